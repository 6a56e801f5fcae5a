//! Which mask belongs to which image, by their names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::is_named_jpeg;
use crate::DataError;

/// Ends of the names of masks, in lower case; the name without one is that of the image.
const MASK_ENDS: [&str; 22] = [
    "_gtfine_labeltrainids",
    "_gtfine_labelids",
    "_labeltrainids",
    "_labelids",
    "_mask",
    "-mask",
    "_masks",
    "_label",
    "-label",
    "_labels",
    "_segmentation",
    "_seg",
    "-seg",
    "_segm",
    "_groundtruth",
    "_ground_truth",
    "_gt",
    "-gt",
    "_annotation",
    "_semantic",
    "_ids",
    "_l",
];

/// Ends of the names of what often lies beside masks and is none: instances, pictures of masks.
const OTHER_ENDS: [&str; 9] = [
    "_instanceids",
    "_instancetrainids",
    "_instance",
    "_instances",
    "_color",
    "_colour",
    "_vis",
    "_overlay",
    "_panoptic",
];

/// Ends of the names of images that their masks do not have.
const IMAGE_ENDS: [&str; 7] = [
    "_leftimg8bit",
    "_image",
    "-image",
    "_img",
    "_rgb",
    "_sat",
    "_photo",
];

/// Starts of names.
const MASK_STARTS: [&str; 5] = ["mask_", "mask-", "label_", "gt_", "seg_"];
const IMAGE_STARTS: [&str; 4] = ["image_", "image-", "img_", "img-"];

/// How images and masks of a part were brought together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairing {
    /// Images that have no mask; they are left out.
    pub images_without_mask: Vec<PathBuf>,
    /// Masks that have no image; they are left out.
    pub masks_without_image: Vec<PathBuf>,
    /// Files beside the masks that are none by their names, such as `…_instanceIds.png`.
    pub others: Vec<PathBuf>,
    /// Masks in JPEG files, whose ids are not exact; they are refused when the part is used.
    pub lossy: Vec<PathBuf>,
}

impl Pairing {
    /// A line for each thing that a user would want to know; `part` is `train` or the like.
    #[must_use]
    pub fn notes(&self, part: &str) -> Vec<String> {
        let line = |paths: &[PathBuf], what: &str| {
            let first = paths.first()?;
            Some(format!(
                "{part}: {} {what}, such as {}",
                paths.len(),
                first.display()
            ))
        };
        [
            line(&self.images_without_mask, "images without a mask, left out"),
            line(
                &self.masks_without_image,
                "masks without an image, left out",
            ),
            line(
                &self.others,
                "files that are no masks of classes by their names, left out",
            ),
            line(&self.lossy, "masks in JPEG files, which cannot be used"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The images and the masks of a folder in which both lie, if nine of ten images have a mask: the same
/// name with an end such as `_mask`, or a PNG file of the name of a JPEG file.
pub(super) fn apart(files: &[PathBuf]) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
    let place = |path: &Path, stem: &str| path.with_file_name(stem);
    let jpegs: BTreeSet<PathBuf> = files
        .iter()
        .filter(|path| is_named_jpeg(path))
        .map(|path| place(path, &stem(path)))
        .collect();
    let stems: BTreeSet<PathBuf> = files.iter().map(|path| place(path, &stem(path))).collect();
    let is_mask = |path: &PathBuf| {
        let name = stem(path);
        let ends = MASK_ENDS.iter().chain(&OTHER_ENDS);
        let cut = ends.filter_map(|end| without_end(&name, &[end]));
        let of_another = cut
            .into_iter()
            .any(|core| stems.contains(&place(path, core)));
        of_another || !is_named_jpeg(path) && jpegs.contains(&place(path, &name))
    };
    let (masks, images): (Vec<PathBuf>, Vec<PathBuf>) = files.iter().cloned().partition(is_mask);
    (!masks.is_empty() && 10 * masks.len() >= 9 * images.len()).then_some((images, masks))
}

/// Of masks of which every one is there by label ids and by train ids, those that are there more
/// often, train ids if equally often; and the others.
pub(super) fn of_one_kind(masks: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let ends = |mask: &PathBuf, end: &str| without_end(&stem(mask), &[end]).is_some();
    let count = |end: &str| masks.iter().filter(|mask| ends(mask, end)).count();
    let (train, label) = (count("_labelTrainIds"), count("_labelIds"));
    if train == 0 || label == 0 {
        return (masks, Vec::new());
    }
    let dropped = if train >= label {
        "_labelIds"
    } else {
        "_labelTrainIds"
    };
    masks.into_iter().partition(|mask| !ends(mask, dropped))
}

/// Files of images and of masks in pairs, in the order of the images.
pub(super) type Files = Vec<(PathBuf, PathBuf)>;

/// Brings the images below one folder together with the masks below another; paths are relative to
/// those.
///
/// # Errors
/// Two images for one mask, or two masks for one image; `place` is for messages.
pub(super) fn pair(
    place: &Path,
    images: &[PathBuf],
    masks: &[PathBuf],
) -> Result<(Files, Pairing), DataError> {
    let (files, pairing) = pair_in(place, images, masks, true)?;
    if !files.is_empty() {
        return Ok((files, pairing));
    }
    // The folders in which they lie differ, so names alone have to do.
    pair_in(place, images, masks, false)
}

/// The folder of a file where that counts, and a name without ending.
type Key = (PathBuf, String);

fn pair_in(
    place: &Path,
    images: &[PathBuf],
    masks: &[PathBuf],
    in_folders: bool,
) -> Result<(Files, Pairing), DataError> {
    let key = |path: &Path, stem: &str| -> Key {
        let folder = match in_folders {
            true => path.parent().unwrap_or(Path::new("")).to_owned(),
            false => PathBuf::new(),
        };
        (folder, stem.to_owned())
    };
    let mut exact: HashMap<Key, Vec<&PathBuf>> = HashMap::new();
    let mut cut: HashMap<Key, Vec<&PathBuf>> = HashMap::new();
    for mask in masks {
        let stem = stem(mask);
        exact.entry(key(mask, &stem)).or_default().push(mask);
        let core = without_end(&stem, &MASK_ENDS).or_else(|| without_start(&stem, &MASK_STARTS));
        if let Some(core) = core {
            cut.entry(key(mask, core)).or_default().push(mask);
        }
    }
    let mut files = Files::new();
    let mut pairing = Pairing::default();
    let mut taken: BTreeMap<&PathBuf, &PathBuf> = BTreeMap::new();
    for image in images {
        let stem = stem(image);
        let short = without_end(&stem, &IMAGE_ENDS).or_else(|| without_start(&stem, &IMAGE_STARTS));
        let found = [Some(stem.as_str()), short]
            .into_iter()
            .flatten()
            .find_map(|core| {
                let key = key(image, core);
                exact.get(&key).or_else(|| cut.get(&key))
            });
        let Some(found) = found else {
            pairing.images_without_mask.push(image.clone());
            continue;
        };
        let [mask] = found.as_slice() else {
            return Err(twice(place, "masks", image, found[0], found[1]));
        };
        if let Some(other) = taken.insert(mask, image) {
            return Err(twice(place, "images", mask, other, image));
        }
        if is_named_jpeg(mask) {
            pairing.lossy.push((*mask).clone());
        }
        files.push((image.clone(), (*mask).clone()));
    }
    let used: BTreeSet<&PathBuf> = taken.into_keys().collect();
    for mask in masks.iter().filter(|mask| !used.contains(mask)) {
        match without_end(&stem(mask), &OTHER_ENDS).is_some() {
            true => pairing.others.push(mask.clone()),
            false => pairing.masks_without_image.push(mask.clone()),
        }
    }
    Ok((files, pairing))
}

fn twice(place: &Path, what: &str, of: &Path, one: &Path, other: &Path) -> DataError {
    DataError::Layout {
        path: place.to_owned(),
        reason: format!(
            "two {what} belong to {} by their names: {} and {}; keep one, or give them different \
             names",
            of.display(),
            one.display(),
            other.display()
        ),
    }
}

/// A file's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The name without the first of the ends that it has.
fn without_end<'a>(name: &'a str, ends: &[&str]) -> Option<&'a str> {
    ends.iter().find_map(|end| {
        let at = name.len().checked_sub(end.len()).filter(|&at| at > 0)?;
        let (core, tail) = (name.get(..at)?, name.get(at..)?);
        tail.eq_ignore_ascii_case(end).then_some(core)
    })
}

/// The name without the first of the starts that it has.
fn without_start<'a>(name: &'a str, starts: &[&str]) -> Option<&'a str> {
    starts.iter().find_map(|start| {
        let (head, core) = (name.get(..start.len())?, name.get(start.len()..)?);
        (head.eq_ignore_ascii_case(start) && !core.is_empty()).then_some(core)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn paired(images: &[&str], masks: &[&str]) -> (Vec<(String, String)>, Pairing) {
        let (files, pairing) = pair(Path::new("set"), &paths(images), &paths(masks)).unwrap();
        let text = |path: PathBuf| path.display().to_string();
        let files = files.into_iter().map(|(a, b)| (text(a), text(b)));
        (files.collect(), pairing)
    }

    fn masks_of(images: &[&str], masks: &[&str]) -> Vec<String> {
        paired(images, masks)
            .0
            .into_iter()
            .map(|(_, mask)| mask)
            .collect()
    }

    #[test]
    fn names_are_equal_or_have_a_known_end_or_start() {
        for (image, mask) in [
            ("a.jpg", "a.png"),
            ("a.jpg", "a_mask.png"),
            ("a.jpg", "a_L.png"),
            ("a.jpg", "a-seg.tif"),
            ("a_leftImg8bit.png", "a_gtFine_labelIds.png"),
            ("7_sat.jpg", "7_mask.png"),
            ("image_7.jpg", "mask_7.png"),
            ("in/a.jpg", "in/a_Segmentation.bmp"),
            ("one/a.jpg", "a.png"),
        ] {
            assert_eq!(masks_of(&[image], &[mask]), [mask]);
        }
        assert!(masks_of(&["a.jpg"], &["b.png"]).is_empty());
    }

    #[test]
    fn equal_names_in_other_folders_are_other_files() {
        let masks = masks_of(&["x/1.jpg", "y/1.jpg"], &["y/1.png", "x/1.png"]);
        assert_eq!(masks, ["x/1.png", "y/1.png"]);
    }

    #[test]
    fn images_and_masks_in_one_folder_are_told_apart() {
        let files = paths(&[
            "a.jpg",
            "a.png",
            "b.jpg",
            "b_mask.png",
            "in/c.png",
            "in/c_seg.png",
        ]);
        let (images, masks) = apart(&files).unwrap();
        assert_eq!(images, paths(&["a.jpg", "b.jpg", "in/c.png"]));
        assert_eq!(masks, paths(&["a.png", "b_mask.png", "in/c_seg.png"]));
        assert_eq!(apart(&paths(&["a.jpg", "b.png", "the_label.png"])), None);
    }

    #[test]
    fn what_is_left_over_is_told() {
        let (files, pairing) = paired(
            &["a.jpg", "b.jpg", "c.jpg"],
            &["a.png", "a_instanceIds.png", "c.jpg", "z.png"],
        );
        assert_eq!(files.len(), 2);
        assert_eq!(pairing.images_without_mask, paths(&["b.jpg"]));
        assert_eq!(pairing.masks_without_image, paths(&["z.png"]));
        assert_eq!(pairing.others, paths(&["a_instanceIds.png"]));
        assert_eq!(pairing.lossy, paths(&["c.jpg"]));
        assert_eq!(pairing.notes("train").len(), 4);
    }

    #[test]
    fn names_that_collide_are_refused() {
        for (images, masks) in [
            (["a.jpg", "a.png"], ["a.png", "b.png"]),
            (["a.jpg", "b.jpg"], ["a.png", "a.bmp"]),
            (["a.jpg", "b.jpg"], ["a_mask.png", "a_label.png"]),
        ] {
            let error = pair(Path::new("set"), &paths(&images), &paths(&masks)).unwrap_err();
            assert!(error.to_string().contains("by their names"), "{error}");
        }
    }
}
