//! Images in one folder and masks in another, in parts or without.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::class_file::ClassFile;
use super::encoding::Encoding;
use super::pairing::{Files, Pairing, apart, of_one_kind, pair};
use super::sample::Sample;
use super::settle::{Settled, settle};
use super::{Pairs, Reader, ade20k, camvid, cityscapes, coco_stuff, labelme, voc};
use crate::source::Source;
use crate::source::folder::{LeftOut, Reason, Role, Tree};
use crate::source::kept::Room;
use crate::{DataError, Found};

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

/// How many folders may lie around a data set, as archives leave them.
const MAX_WRAPPED: usize = 2;

/// The folders of images and masks of a part, or of all that is there.
struct Sides<'a> {
    role: Option<Role>,
    images: (PathBuf, &'a Tree),
    masks: Option<(PathBuf, &'a Tree)>,
}

/// A part whose files are in pairs.
pub(super) struct Paired {
    pub role: Option<Role>,
    pub files: Files,
    pub pairing: Pairing,
}

/// Looks for images with masks in a folder and all that is below it.
pub(in crate::source) fn find_masks(
    folder: &Path,
    tree: &Tree,
) -> Result<Option<Found>, DataError> {
    if tree.run {
        return Ok(None);
    }
    if let Some(found) = voc::find(folder)? {
        return Ok(Some(found));
    }
    ade20k::refuse_full(folder, tree)?;
    let Some((place, tree)) = place_of_masks(folder.to_owned(), tree, MAX_WRAPPED) else {
        return labelme::find(folder, tree);
    };
    let sides = sides(&place, tree);
    let mut left_out = LeftOut::default();
    let mut notes = Vec::new();
    let mut parts = Vec::new();
    for sides in &sides {
        parts.extend(paired(&place, sides, &mut left_out, &mut notes)?);
    }
    parts.retain(|part| !part.files.is_empty());
    if parts.is_empty() {
        return Err(unmatched(&place, &sides));
    }
    tell_beside(&place, tree, &sides, &mut left_out);
    let mask_folders = sides
        .iter()
        .filter_map(|sides| Some(&sides.masks.as_ref()?.0));
    let mut places: Vec<&Path> = vec![&place];
    places.extend(
        mask_folders
            .flat_map(|masks| [Some(masks.as_path()), masks.parent()])
            .flatten(),
    );
    let settled = settle_parts(&place, &places, &mut parts, &mut notes)?;
    notes.extend(settled.notes.iter().cloned());
    if place != folder {
        notes.push(format!("the data set lies in {}", place.display()));
    }
    let name = format!("{} (images and masks)", crate::open::folder_name(folder));
    let mut found = assemble(name, parts, settled, Reader::Files, notes);
    found.notes.extend(left_out.lines());
    Ok(Some(found))
}

/// Settles the classes: by a file in one of `places`, as the files' names say of well-known data sets,
/// or by what the masks hold. Parts that cannot be used are taken away.
fn settle_parts(
    place: &Path,
    places: &[&Path],
    parts: &mut Vec<Paired>,
    notes: &mut Vec<String>,
) -> Result<Settled, DataError> {
    let file = ClassFile::find(places)?.filter(|file| !coco_stuff::is_own_list(file));
    let pairs = || parts.iter().flat_map(|part| &part.files);
    let images: Vec<&Path> = pairs().map(|(image, _)| image.as_path()).collect();
    let masks: Vec<&Path> = pairs().map(|(_, mask)| mask.as_path()).collect();
    if file.is_some() {
        return settle(place, &Sample::of(&masks, true), file);
    }
    if let Some(settled) = camvid::settle(&masks)? {
        return Ok(settled);
    }
    if let Some(settled) = ade20k::settle(place, &images, &masks)? {
        return Ok(settled);
    }
    if let Some(settled) = coco_stuff::settle(&images, &masks)? {
        return Ok(settled);
    }
    let files: Vec<&[(PathBuf, PathBuf)]> =
        parts.iter().map(|part| part.files.as_slice()).collect();
    if let Some(found) = cityscapes::settle(place, &files)? {
        let mut dummies = found.dummies.into_iter();
        parts.retain(|part| {
            let dummy = dummies.next().unwrap_or(false);
            if dummy {
                notes.push(format!(
                    "left out: {}, whose masks are dummies (the car itself and borders alone)",
                    part.role.map_or("images", Role::name)
                ));
            }
            !dummy
        });
        return Ok(found.settled);
    }
    settle(place, &Sample::of(&masks, false), None)
}

/// Adds the folders with images that are neither images nor masks of a part.
fn tell_beside(place: &Path, tree: &Tree, sides: &[Sides], left_out: &mut LeftOut) {
    for folder in tree.folders_with_images() {
        let path = place.join(&folder.name);
        let within = |other: &Path| other.starts_with(&path);
        let used = sides.iter().any(|sides| {
            within(&sides.images.0) || sides.masks.as_ref().is_some_and(|masks| within(&masks.0))
        });
        if !used {
            left_out.add(Reason::Beside, Path::new(&folder.name));
        }
    }
}

/// The folder in which images and masks lie side by side, which may be some folders down.
fn place_of_masks(place: PathBuf, tree: &Tree, depth: usize) -> Option<(PathBuf, &Tree)> {
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
fn sides<'a>(place: &Path, tree: &'a Tree) -> Vec<Sides<'a>> {
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
            }];
        }
        return with_roles
            .into_iter()
            .map(|(role, folder)| {
                let masks = masks
                    .folders_with_images()
                    .find(|masks| role_of(masks) == Some(role));
                Sides {
                    role: Some(role),
                    images: (image_place.join(&folder.name), folder),
                    masks: masks.map(|masks| (mask_place.join(&masks.name), masks)),
                }
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
        });
    }
    if parts.is_empty() && !tree.images.is_empty() && apart(&files_of(tree)).is_some() {
        return vec![Sides {
            role: None,
            images: (place.to_owned(), tree),
            masks: Some((place.to_owned(), tree)),
        }];
    }
    if parts.iter().all(|sides| sides.masks.is_none()) {
        return Vec::new();
    }
    parts
}

/// Brings a part's files together.
fn paired(
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
fn files_of(tree: &Tree) -> Vec<PathBuf> {
    let mut files = Vec::new();
    tree.collect(Path::new(""), &mut files);
    files.sort();
    files
}

/// Images and masks of which none have names in common.
fn unmatched(place: &Path, sides: &[Sides]) -> DataError {
    let first = |tree: &Tree| {
        let files = files_of(tree);
        files
            .first()
            .map_or_else(String::new, |file| file.display().to_string())
    };
    let of_both = sides
        .iter()
        .find_map(|sides| Some((sides.images.1, sides.masks.as_ref()?.1)));
    let (image, mask) = of_both.map_or_else(Default::default, |(a, b)| (first(a), first(b)));
    DataError::Layout {
        path: place.to_owned(),
        reason: format!(
            "no mask has the name of an image (an image: {image}, a mask: {mask}); give them the \
             same names but for the ending, or an end such as _mask for masks"
        ),
    }
}

/// The parts that have files as sources. A lone validation part is what is reported on, so it becomes the test part.
pub(super) fn assemble(
    name: String,
    parts: Vec<Paired>,
    settled: Settled,
    reader: Reader,
    notes: Vec<String>,
) -> Found {
    let encoding: Arc<Encoding> = Arc::new(settled.encoding);
    let room = Room::new();
    let mut found = Found {
        name,
        train: None,
        validation: None,
        test: None,
        notes,
    };
    for part in parts {
        if part.files.is_empty() {
            continue;
        }
        let source: Arc<dyn Source> = Arc::new(Pairs::new(
            settled.classes.clone(),
            Arc::clone(&encoding),
            reader.clone(),
            part.files,
            part.pairing,
            room.clone(),
        ));
        match part.role {
            None | Some(Role::Train) => found.train = Some(source),
            Some(Role::Validation) => found.validation = Some(source),
            Some(Role::Test) => found.test = Some(source),
        }
    }
    if found.test.is_none() {
        found.test = found.validation.take();
    }
    found
}
