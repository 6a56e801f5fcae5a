//! How images and masks may lie in folders, and which file belongs to which.

use std::path::{Path, PathBuf};

use super::pairing::{Files, Pairing, apart, of_one_kind, pair};
use crate::DataError;
use crate::source::folder::{LeftOut, Reason, Role, Tree};

/// Names of folders of images, in lower case.
const IMAGE_FOLDERS: [&str; 13] = [
    "images",
    "leftimg8bit",
    "701_stillsraw_full",
    "stillsraw_full",
    "image",
    "imgs",
    "img",
    "jpegimages",
    "photos",
    "pictures",
    "rgb",
    "inputs",
    "input",
];

/// Names of folders of masks, in lower case, in the order in which they are chosen.
const MASK_FOLDERS: [&str; 26] = [
    "masks",
    "mask",
    "gtfine",
    "gtcoarse",
    "stuffthingmaps",
    "labeledapproved_full",
    "labelled",
    "segmentationclass",
    "segmentation",
    "segmentations",
    "seg",
    "segs",
    "annotations",
    "annotation",
    "labels",
    "label",
    "labelids",
    "label_ids",
    "semantic",
    "ground_truth",
    "groundtruth",
    "gt",
    "gts",
    "targets",
    "target",
    "annot",
];

/// What follows the name of a part's folder of images in that of its masks: `train`, `trainannot`.
const SIBLING_ENDS: [&str; 8] = [
    "annot",
    "_annot",
    "_labels",
    "_masks",
    "_mask",
    "_label",
    "_annotations",
    "masks",
];

/// The folders of images and masks of a part, or of all that is there.
pub(super) struct Sides<'a> {
    pub role: Option<Role>,
    pub images: (PathBuf, &'a Tree),
    pub masks: Option<(PathBuf, &'a Tree)>,
    /// Whether the folder of masks has those of other parts too.
    pub shared: bool,
}

/// A part whose files are in pairs.
pub(super) struct Paired {
    pub role: Option<Role>,
    pub files: Files,
    pub pairing: Pairing,
}

/// The folder in which images and masks lie side by side, which may be some folders down.
pub(super) fn place_of_masks(
    place: PathBuf,
    tree: &Tree,
    depth: usize,
) -> Option<(PathBuf, &Tree)> {
    if !sides(&place, tree).is_empty() {
        return Some((place, tree));
    }
    let mut inner = tree.folders_with_images();
    let (Some(lone), None) = (inner.next(), inner.next()) else {
        return None;
    };
    if depth == 0 || !tree.images.is_empty() {
        return None;
    }
    place_of_masks(place.join(&lone.name), lone, depth - 1)
}

/// A folder's name to compare.
fn plain_name(tree: &Tree) -> String {
    tree.name
        .to_string_lossy()
        .to_lowercase()
        .replace(['-', ' '], "_")
}

/// The folder with images whose name is the first of `names` that is there.
fn named<'a>(tree: &'a Tree, names: &[&str]) -> Option<&'a Tree> {
    names.iter().find_map(|name| {
        tree.folders_with_images()
            .find(|folder| plain_name(folder) == *name)
    })
}

/// What a folder's name says that it is for; COCO's have a year behind it.
fn role_of(folder: &Tree) -> Option<Role> {
    let name = folder.name.to_str()?;
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-');
    match name.len() - plain.len() {
        4 | 5 => Role::named(plain),
        _ => Role::of(folder),
    }
}

/// The folders of images and of masks in a folder; none where they do not lie side by side.
pub(super) fn sides<'a>(place: &Path, tree: &'a Tree) -> Vec<Sides<'a>> {
    // images/ and masks/, with parts in both or without.
    if let (Some(images), Some(masks)) = (named(tree, &IMAGE_FOLDERS), named(tree, &MASK_FOLDERS)) {
        let (image_place, mask_place) = (place.join(&images.name), place.join(&masks.name));
        let with_roles: Vec<(Role, &Tree)> = images
            .folders_with_images()
            .filter_map(|folder| Some((role_of(folder)?, folder)))
            .collect();
        if with_roles.is_empty() || !images.images.is_empty() {
            return vec![Sides {
                role: None,
                images: (image_place, images),
                masks: Some((mask_place, masks)),
                shared: false,
            }];
        }
        let shared = !masks
            .folders_with_images()
            .any(|masks| role_of(masks).is_some());
        let masks_of = |role: Role| match shared {
            true => Some((mask_place.clone(), masks)),
            false => masks
                .folders_with_images()
                .find(|masks| role_of(masks) == Some(role))
                .map(|masks| (mask_place.join(&masks.name), masks)),
        };
        return with_roles
            .into_iter()
            .map(|(role, folder)| Sides {
                role: Some(role),
                images: (image_place.join(&folder.name), folder),
                masks: masks_of(role),
                shared,
            })
            .collect();
    }
    let mut parts = Vec::new();
    for folder in tree.folders_with_images() {
        let Some(role) = role_of(folder) else {
            continue;
        };
        let inside = place.join(&folder.name);
        // train/images and train/masks.
        if let (Some(images), Some(masks)) =
            (named(folder, &IMAGE_FOLDERS), named(folder, &MASK_FOLDERS))
        {
            parts.push(Sides {
                role: Some(role),
                images: (inside.join(&images.name), images),
                masks: Some((inside.join(&masks.name), masks)),
                shared: false,
            });
            continue;
        }
        // train and trainannot.
        let name = plain_name(folder);
        let ends = SIBLING_ENDS.map(|end| format!("{name}{end}"));
        let masks = tree
            .folders_with_images()
            .find(|masks| ends.contains(&plain_name(masks)));
        let masks = masks.map(|masks| (place.join(&masks.name), masks));
        // Both in train.
        let masks = masks.or_else(|| apart(&files_of(folder)).map(|_| (inside.clone(), folder)));
        parts.push(Sides {
            role: Some(role),
            images: (inside, folder),
            masks,
            shared: false,
        });
    }
    if parts.is_empty() && !tree.images.is_empty() && apart(&files_of(tree)).is_some() {
        return vec![Sides {
            role: None,
            images: (place.to_owned(), tree),
            masks: Some((place.to_owned(), tree)),
            shared: false,
        }];
    }
    if parts.iter().all(|sides| sides.masks.is_none()) {
        return Vec::new();
    }
    parts
}

/// Brings a part's files together.
pub(super) fn paired(
    place: &Path,
    sides: &Sides,
    left_out: &mut LeftOut,
    notes: &mut Vec<String>,
) -> Result<Option<Paired>, DataError> {
    let (image_place, images) = &sides.images;
    let relative = |path: &Path| path.strip_prefix(place).unwrap_or(path).to_owned();
    images.tell_left_out(&relative(image_place), left_out);
    let Some((mask_place, masks)) = &sides.masks else {
        left_out.add(Reason::WithoutMasks, &relative(image_place));
        return Ok(None);
    };
    let (images, masks) = match std::ptr::eq(*images, *masks) {
        // Both lie in one folder.
        true => apart(&files_of(images)).unwrap_or_default(),
        false => {
            masks.tell_left_out(&relative(mask_place), left_out);
            (files_of(images), files_of(masks))
        }
    };
    let (kept, others) = of_one_kind(masks);
    let (files, mut pairing) = pair(place, &images, &kept)?;
    pairing.others.extend(others);
    if sides.shared {
        // They are those of other parts.
        pairing.masks_without_image.clear();
        pairing.others.clear();
    }
    let part = sides.role.map_or("images", Role::name);
    notes.extend(pairing.notes(part));
    let absolute =
        |(image, mask): (PathBuf, PathBuf)| (image_place.join(image), mask_place.join(mask));
    Ok(Some(Paired {
        role: sides.role,
        files: files.into_iter().map(absolute).collect(),
        pairing,
    }))
}

/// The images of a folder at any depth, in the order of their paths.
pub(super) fn files_of(tree: &Tree) -> Vec<PathBuf> {
    let mut files = Vec::new();
    tree.collect(Path::new(""), &mut files);
    files.sort();
    files
}
