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

/// The classes of SegNet's version, if all masks are named as its frames are and hold its ids.
pub(super) fn settle_segnet(masks: &[&Path]) -> Result<Option<Settled>, DataError> {
    let is_frame = |path: &&Path| {
        let stem = stem(path);
        DRIVES.iter().any(|drive| stem.starts_with(drive))
    };
    if !masks.iter().all(is_frame) {
        return Ok(None);
    }
    let void = CLASSES.len() as u16;
    let sample = Sample::of(masks, true);
    if sample.coloured.is_some() || sample.ids_besides_255().iter().any(|id| *id > void) {
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
