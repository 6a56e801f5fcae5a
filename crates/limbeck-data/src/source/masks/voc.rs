//! PASCAL VOC 2012 (Everingham et al.) and the masks of SBD for it (Hariharan et al., 2011): images
//! by lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use super::find::assemble;
use super::layout::Paired;
use super::pairing::Pairing;
use super::settle::Settled;
use super::{Reader, class_file};
use crate::source::folder::Role;
use crate::{DataError, Found};

/// The classes by id; 255 is the rim of objects and what is too hard to tell.
const CLASSES: [&str; 21] = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// Where the data set may lie below the folder that is given.
const PLACES: [&str; 4] = [
    "",
    "VOC2012",
    "VOCdevkit/VOC2012",
    "VOCtrainval/VOCdevkit/VOC2012",
];

/// Where lists may lie.
const LIST_FOLDERS: [&str; 4] = [
    "ImageSets/Segmentation",
    "ImageSets/SegmentationAug",
    "list",
    "",
];

/// Names of lists of SBD's images besides VOC's own.
const AUGMENTED: [&str; 3] = ["train_aug.txt", "trainaug.txt", "train_augvoc.txt"];

/// Where SBD's masks may lie, seen from the folder of the data set or from that which was given.
const SBD_FOLDERS: [&str; 7] = [
    "SegmentationClassAug",
    "SegmentationClass_aug",
    "SegmentationClass",
    "SBD/dataset/cls",
    "sbd/dataset/cls",
    "benchmark_RELEASE/dataset/cls",
    "dataset/cls",
];

/// Looks for `JPEGImages` with `SegmentationClass` and lists.
pub(super) fn find(folder: &Path) -> Result<Option<Found>, DataError> {
    let is_here = |place: &PathBuf| {
        place.join("JPEGImages").is_dir()
            && (place.join("ImageSets/Segmentation").is_dir() || list(place, &AUGMENTED).is_some())
    };
    let Some(place) = PLACES.iter().map(|place| folder.join(place)).find(is_here) else {
        return Ok(None);
    };
    let masks: Vec<PathBuf> = SBD_FOLDERS
        .iter()
        .flat_map(|name| [place.join(name), folder.join(name)])
        .filter(|folder| folder.is_dir())
        .collect();
    if masks.is_empty() {
        return Ok(None);
    }
    let mut notes = Vec::new();
    let validation = list(&place, &["val.txt"]);
    let augmented = list(&place, &AUGMENTED);
    let train = augmented.clone().or_else(|| list(&place, &["train.txt"]));
    if train.is_none() && validation.is_none() {
        return Err(DataError::Layout {
            path: place,
            reason: "ImageSets/Segmentation has neither train.txt nor val.txt, which say which \
                     images are for what"
                .to_owned(),
        });
    }
    // Of images to measure on, the original masks with their rims come first.
    let originals: Vec<PathBuf> = [vec![place.join("SegmentationClass")], masks.clone()].concat();
    let held_back = validation
        .map(|list| read_list(&place, &list, &originals))
        .transpose()?;
    let to_train = match &augmented {
        Some(list) => Some(read_list(&place, list, &masks)?),
        None => train
            .map(|list| read_list(&place, &list, &originals))
            .transpose()?,
    };
    let mut parts = Vec::new();
    if let Some(mut part) = to_train {
        let others: BTreeSet<&PathBuf> = held_back
            .iter()
            .flat_map(|part| part.files.iter().map(|(image, _)| image))
            .collect();
        let before = part.files.len();
        part.files.retain(|(image, _)| !others.contains(image));
        if part.files.len() < before {
            notes.push(format!(
                "{} images of the list to train on are in val.txt too (SBD's own lists have some of \
                 VOC's); they are left out of training",
                before - part.files.len()
            ));
        }
        if let Some(list) = &augmented {
            notes.push(format!(
                "images to train on are those of {}",
                list.display()
            ));
        }
        notes.extend(part.pairing.notes("train"));
        parts.push(Paired {
            role: Some(Role::Train),
            ..part
        });
    }
    if let Some(part) = held_back {
        notes.extend(part.pairing.notes("val"));
        parts.push(Paired {
            role: Some(Role::Validation),
            ..part
        });
    }
    if parts.iter().all(|part| part.files.is_empty()) {
        return Err(DataError::Layout {
            path: place,
            reason: "none of the images that its lists name has a mask in SegmentationClass, \
                     SegmentationClassAug or dataset/cls"
                .to_owned(),
        });
    }
    let ids = (0..CLASSES.len() as u16).map(|id| (id, id as u8));
    let hint = "VOC has the ids 0 to 20, and 255 for rims".to_owned();
    notes.push("the files are those of PASCAL VOC: 21 classes, 255 is void".to_owned());
    let settled = Settled {
        classes: CLASSES.map(str::to_owned).to_vec(),
        encoding: Encoding::of_ids(ids, hint),
        notes: Vec::new(),
    };
    let name = format!("{} (PASCAL VOC)", crate::open::folder_name(folder));
    Ok(Some(assemble(name, parts, settled, Reader::Files, notes)))
}

/// The first list of one of the names.
fn list(place: &Path, names: &[&str]) -> Option<PathBuf> {
    let candidates = LIST_FOLDERS
        .iter()
        .map(|folder| place.join(folder))
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    candidates.into_iter().find(|path| path.is_file())
}

/// The images that a list names, with the first mask that there is for each. A line has the name of an
/// image with or without folders and ending, and perhaps the path of its mask.
fn read_list(place: &Path, list: &Path, masks: &[PathBuf]) -> Result<Paired, DataError> {
    let text = class_file::read_text(list)?;
    let mut part = Paired {
        role: None,
        files: Vec::new(),
        pairing: Pairing::default(),
    };
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(image) = words.next() else { continue };
        let Some(stem) = Path::new(image).file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let stem = stem
            .strip_suffix(".jpg")
            .or(stem.strip_suffix(".png"))
            .unwrap_or(stem);
        if !seen.insert(stem.to_owned()) {
            continue;
        }
        let image = place.join("JPEGImages").join(format!("{stem}.jpg"));
        // Only the folder's name is taken from a path in the list, which may lead anywhere.
        let named = words.next().and_then(|mask| {
            let folder = Path::new(mask).parent()?.file_name()?;
            Some(place.join(folder).join(format!("{stem}.png")))
        });
        let below = |folder: &PathBuf| {
            let endings = if folder.ends_with("cls") {
                "mat"
            } else {
                "png"
            };
            folder.join(format!("{stem}.{endings}"))
        };
        let mask = named
            .into_iter()
            .chain(masks.iter().map(below))
            .find(|path| path.is_file());
        match (image.is_file(), mask) {
            (true, Some(mask)) => part.files.push((image, mask)),
            (true, None) => part.pairing.images_without_mask.push(image),
            (false, Some(mask)) => part.pairing.masks_without_image.push(mask),
            (false, None) => part.pairing.images_without_mask.push(image),
        }
    }
    part.files.sort();
    Ok(part)
}
