//! Cityscapes (Cordts et al., 2016): street scenes, known by the names of its files.

use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use super::pairing::stem;
use super::sample::Sample;
use super::settle::Settled;
use crate::{DataError, VOID};

/// What the names of all images end with.
const IMAGE_END: &str = "_leftImg8bit";

/// The classes that are measured, in the order of their train ids, each with its label id
/// (`labels.py` of cityscapesScripts).
const CLASSES: [(&str, u16); 19] = [
    ("road", 7),
    ("sidewalk", 8),
    ("building", 11),
    ("wall", 12),
    ("fence", 13),
    ("pole", 17),
    ("traffic light", 19),
    ("traffic sign", 20),
    ("vegetation", 21),
    ("terrain", 22),
    ("sky", 23),
    ("person", 24),
    ("rider", 25),
    ("car", 26),
    ("truck", 27),
    ("bus", 28),
    ("train", 31),
    ("motorcycle", 32),
    ("bicycle", 33),
];

/// The greatest label id; all others are void.
const LAST_LABEL: u16 = 33;

/// The greatest train id.
const LAST_TRAIN: u16 = 18;

/// The greatest label id of what the dummy labels of the test part hold: unlabelled, the car itself,
/// borders.
const LAST_DUMMY: u16 = 4;

/// What there is to say of a data set of these files.
#[derive(Debug)]
pub(super) struct Cityscapes {
    pub settled: Settled,
    /// For each part, whether its masks are dummies.
    pub dummies: Vec<bool>,
}

/// The classes, if all images are named as those of Cityscapes; `parts` are files in pairs.
///
/// # Errors
/// Masks that hold neither label ids nor train ids; parts that hold dummies alone.
pub(super) fn settle(
    place: &Path,
    parts: &[&[(PathBuf, PathBuf)]],
) -> Result<Option<Cityscapes>, DataError> {
    let mut images = parts
        .iter()
        .flat_map(|part| part.iter())
        .map(|(image, _)| image);
    if !images.all(|image| stem(image).ends_with(IMAGE_END)) {
        return Ok(None);
    }
    let samples: Vec<Sample> = parts
        .iter()
        .map(|part| {
            let masks: Vec<&Path> = part.iter().map(|(_, mask)| mask.as_path()).collect();
            Sample::of(&masks, true)
        })
        .collect();
    if let Some((path, [x, y])) = samples.iter().find_map(|sample| sample.coloured.as_ref()) {
        return Err(super::encoding::not_grey(path, *x, *y));
    }
    let dummy = |sample: &Sample| {
        sample.looked_at > 0 && sample.ids.keys().all(|&id| id <= LAST_DUMMY || id == 255)
    };
    let dummies: Vec<bool> = samples.iter().map(dummy).collect();
    if dummies.iter().all(|dummy| *dummy) {
        return Err(DataError::Layout {
            path: place.to_owned(),
            reason:
                "its masks are the dummies of Cityscapes' test part (the car itself and borders \
                     alone): nothing can be learnt from them or measured on them; give the folder \
                     that has train and val"
                    .to_owned(),
        });
    }
    let ids = || {
        let true_ones = samples.iter().zip(&dummies).filter(|(_, dummy)| !**dummy);
        true_ones.flat_map(|(sample, _)| sample.ids_besides_255())
    };
    let labels = ids().any(|id| id > LAST_TRAIN);
    let (encoding, kind) = match labels {
        true => {
            let void = (0..=LAST_LABEL).map(|id| (id, VOID));
            let classes = CLASSES.iter().enumerate();
            let classes = classes.map(|(class, (_, id))| (*id, class as u8));
            let hint = "Cityscapes has label ids 0 to 33, and 255".to_owned();
            (Encoding::of_ids(void.chain(classes), hint), "label ids")
        }
        false => {
            let hint = "Cityscapes has train ids 0 to 18, and 255".to_owned();
            let ids = (0..=LAST_TRAIN).map(|id| (id, id as u8));
            (Encoding::of_ids(ids, hint), "train ids")
        }
    };
    let settled = Settled {
        classes: CLASSES.map(|(name, _)| name.to_owned()).to_vec(),
        encoding,
        notes: vec![format!(
            "the files are those of Cityscapes, and the masks hold its {kind} (up to {}): 19 \
             classes, the rest is void",
            ids().max().unwrap_or(0)
        )],
    };
    Ok(Some(Cityscapes { settled, dummies }))
}
