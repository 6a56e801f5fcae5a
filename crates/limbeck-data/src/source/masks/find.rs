//! Finds images with masks, and says what their classes are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::class_file::ClassFile;
use super::encoding::Encoding;
use super::layout::{Paired, Sides, files_of, paired, place_of_masks, sides};
use super::pairing::apart;
use super::sample::Sample;
use super::settle::{Settled, settle};
use super::{Pairs, Reader, ade20k, boxes, camvid, cityscapes, coco_stuff, labelme, voc};
use crate::source::Source;
use crate::source::folder::{LeftOut, Reason, Role, Tree};
use crate::source::kept::Room;
use crate::{DataError, Found};

/// How many folders may lie around a data set, as archives leave them.
const MAX_WRAPPED: usize = 2;

/// Looks for images with masks in a folder and all that is below it.
pub(in crate::source) fn find_masks(
    folder: &Path,
    tree: &Tree,
) -> Result<Option<Found>, DataError> {
    if tree.run {
        return Ok(None);
    }
    if let Some(mut found) = voc::find(folder)? {
        found.notes.extend(boxes::note(folder, tree));
        return Ok(Some(found));
    }
    // What lies around the images and masks counts too.
    let whole = tree;
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
    found.notes.extend(boxes::note(folder, whole));
    Ok(Some(found))
}

/// The images below `folder` without the masks that lie there with them, which are added to what was
/// left out as are the folders that are neither; `None` where no masks lie there.
pub(in crate::source) fn images_of_masks(
    folder: &Path,
    tree: &Tree,
    left_out: &mut LeftOut,
) -> Option<Vec<PathBuf>> {
    let (place, tree) = place_of_masks(folder.to_owned(), tree, MAX_WRAPPED)?;
    let sides = sides(&place, tree);
    let mut images: BTreeSet<PathBuf> = BTreeSet::new();
    let mut others: BTreeSet<PathBuf> = BTreeSet::new();
    for Sides {
        images: (at, own),
        masks,
        ..
    } in &sides
    {
        let below = |at: &Path, files: Vec<PathBuf>| -> Vec<PathBuf> {
            files.into_iter().map(|file| at.join(file)).collect()
        };
        match masks {
            Some((_, masks)) if std::ptr::eq(*own, *masks) => {
                let (own, masks) = apart(&files_of(own)).unwrap_or_default();
                images.extend(below(at, own));
                others.extend(below(at, masks));
            }
            Some((mask_place, masks)) => {
                images.extend(below(at, files_of(own)));
                others.extend(below(mask_place, files_of(masks)));
            }
            None => images.extend(below(at, files_of(own))),
        }
    }
    for mask in &others {
        left_out.add(Reason::Mask, mask);
    }
    tell_beside(&place, tree, &sides, left_out);
    Some(images.into_iter().collect())
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

/// Images and masks of which none have names in common.
fn unmatched(place: &Path, sides: &[Sides]) -> DataError {
    let first = |tree: &Tree| {
        let files = files_of(tree);
        files
            .first()
            .map_or_else(String::new, |file| file.display().to_string())
    };
    let both = sides
        .iter()
        .find_map(|sides| Some((sides.images.1, sides.masks.as_ref()?.1)));
    let reason = match both {
        Some((images, masks)) => format!(
            "no mask has the name of an image (an image: {}, a mask: {}); give them the same names \
             but for the ending, or an end such as _mask for masks",
            first(images),
            first(masks)
        ),
        None => {
            "its folder of masks has none of the parts that its folder of images has; call them \
                 train, val and test in both"
                .to_owned()
        }
    };
    DataError::Layout {
        path: place.to_owned(),
        reason,
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
