//! PASCAL VOC's annotations (Everingham et al.): an XML file for each image, as LabelImg and many others
//! write them.

mod place;
mod xml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::FoundBoxes;
use super::names::{Names, list_in};
use super::raw::RawSet;
use crate::DataError;
use crate::source::folder::Tree;
use place::Place;
use xml::Object;

/// How deep the folder of a year's data set may lie below the one that is given: `VOCdevkit/VOC2007`
/// in the folder of an archive.
const MAX_WRAPPED: usize = 3;

/// Looks for VOC's files anywhere in the folder.
pub(super) fn find(folder: &Path, tree: &Tree) -> Result<Option<FoundBoxes>, DataError> {
    let mut places = Vec::new();
    devkits(folder, tree, MAX_WRAPPED, &mut places);
    if places.is_empty() {
        places.push((folder.to_owned(), tree));
    }
    let mut read = Vec::new();
    for (folder, tree) in places {
        read.extend(Place::read(folder, tree)?);
    }
    if read.is_empty() {
        return Ok(None);
    }
    let mut notes = Vec::new();
    let objects = || {
        let described = read.iter().flat_map(|place| &place.described);
        described.flat_map(|described| &described.objects)
    };
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for object in objects() {
        *met.entry(object.name.clone()).or_default() += 1;
    }
    let names = Names::settle(list_in(&[folder])?, &met, &mut notes)?;
    // VOC counts pixels from 1; many programs that write its files count from 0.
    let corners = |object: &Object| {
        object
            .corners
            .is_some_and(|[x, y, ..]| below_one(x) || below_one(y))
    };
    let first = match objects().any(corners) {
        true => {
            notes.push(
                "boxes begin at pixel 0, so pixels are counted from 0, not from 1 as VOC does"
                    .to_owned(),
            );
            0.0
        }
        false => 1.0,
    };
    let mut parts = Vec::new();
    for place in read {
        parts.extend(place.parts(&names, first, &mut notes)?);
    }
    let set = RawSet {
        folder: folder.to_owned(),
        format: "PASCAL VOC",
        classes: names.classes,
        category_ids: None,
        parts,
        notes,
    };
    set.finish().map(Some)
}

fn below_one(place: f64) -> bool {
    (0.0..1.0).contains(&place)
}

/// Adds the folders that have VOC's lists.
fn devkits<'a>(folder: &Path, tree: &'a Tree, depth: usize, places: &mut Vec<(PathBuf, &'a Tree)>) {
    if folder.join("ImageSets/Main").is_dir() {
        places.push((folder.to_owned(), tree));
    } else if depth > 0 {
        for inner in &tree.folders {
            devkits(&folder.join(&inner.name), inner, depth - 1, places);
        }
    }
}
