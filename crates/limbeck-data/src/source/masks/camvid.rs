//! CamVid: street scenes from a car (Brostow et al., 2009), known by the names of its four drives.

use std::path::Path;

use super::encoding::Encoding;
use super::pairing::stem;
use super::sample::Sample;
use super::settle::Settled;
use crate::{DataError, VOID};

/// Starts of the names of all frames.
const DRIVES: [&str; 4] = ["0001TP_", "0006R0_", "0016E5_", "Seq05VD_"];

/// The 11 classes of SegNet's version (Badrinarayanan et al., 2015), by id; 11 is void.
const CLASSES: [&str; 11] = [
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
];

/// The colours of the 32 classes of the original masks, each with its class in SegNet's version
/// (`label_colors.txt`, and the grouping of its authors); black is void.
const COLOURS: [([u8; 3], u8); 32] = [
    ([0, 0, 0], VOID),
    // Sky.
    ([128, 128, 128], 0),
    // Archway, bridge, building, tunnel, wall.
    ([192, 0, 128], 1),
    ([0, 128, 64], 1),
    ([128, 0, 0], 1),
    ([64, 0, 64], 1),
    ([64, 192, 0], 1),
    // Column or pole, traffic cone.
    ([192, 192, 128], 2),
    ([0, 0, 64], 2),
    // Lane markings to drive between and others, road.
    ([128, 0, 192], 3),
    ([192, 0, 64], 3),
    ([128, 64, 128], 3),
    // Parking block, road shoulder, sidewalk.
    ([64, 192, 128], 4),
    ([128, 128, 192], 4),
    ([0, 0, 192], 4),
    // Tree, other plants.
    ([128, 128, 0], 5),
    ([192, 192, 0], 5),
    // Text, sign or symbol, traffic light.
    ([128, 128, 64], 6),
    ([192, 128, 128], 6),
    ([0, 64, 64], 6),
    // Fence.
    ([64, 64, 128], 7),
    // Car, other that moves, pick-up, train, truck or bus.
    ([64, 0, 128], 8),
    ([128, 64, 64], 8),
    ([64, 128, 192], 8),
    ([192, 64, 128], 8),
    ([192, 128, 192], 8),
    // Animal, luggage or pram, child, pedestrian.
    ([64, 128, 64], 9),
    ([64, 0, 192], 9),
    ([192, 128, 64], 9),
    ([64, 64, 0], 9),
    // Bicyclist, motorcycle.
    ([0, 128, 192], 10),
    ([192, 0, 192], 10),
];

/// The classes of SegNet's version, if all masks are named as CamVid's frames are and hold its ids or
/// the original's colours.
pub(super) fn settle(masks: &[&Path]) -> Result<Option<Settled>, DataError> {
    let is_frame = |path: &&Path| {
        let stem = stem(path);
        DRIVES.iter().any(|drive| stem.starts_with(drive))
    };
    if !masks.iter().all(is_frame) {
        return Ok(None);
    }
    let void = CLASSES.len() as u16;
    let sample = Sample::of(masks, true);
    if sample.coloured.is_some() {
        return Ok(Some(Settled {
            classes: CLASSES.map(str::to_owned).to_vec(),
            encoding: Encoding::of_colours(
                COLOURS,
                "CamVid's original masks have 32 colours; a file classes.csv with lines name,r,g,b \
                 beside the masks' folder can give others"
                    .to_owned(),
            ),
            notes: vec![
                "the frames are those of CamVid in their original colours, whose 32 classes are \
                 taken together to the 11 of SegNet's version, black is void; a file classes.csv \
                 with lines name,r,g,b would keep them apart"
                    .to_owned(),
            ],
        }));
    }
    if sample.ids_besides_255().iter().any(|id| *id > void) {
        return Ok(None);
    }
    let ids = (0..void).map(|id| (id, id as u8)).chain([(void, VOID)]);
    let hint =
        "CamVid has the ids 0 to 10, and 11 and 255 for void; a file classes.txt beside the \
                masks' folder can name others"
            .to_owned();
    Ok(Some(Settled {
        classes: CLASSES.map(str::to_owned).to_vec(),
        encoding: Encoding::of_ids(ids, hint),
        notes: vec![
            "the frames are those of CamVid, so ids are those of SegNet's version of it: 11 classes \
             from 0 (Sky) to 10 (Bicyclist), 11 is void"
                .to_owned(),
        ],
    }))
}
