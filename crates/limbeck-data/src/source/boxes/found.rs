//! What lies in a folder of images with boxes.

use std::path::Path;
use std::sync::Arc;

use super::{BoxedImages, coco, labelme, voc, yolo};
use crate::source::Source;
use crate::source::folder::Tree;
use crate::{DataError, Found};

/// Images with boxes as they lie in a folder, before any splitting.
#[derive(Clone, Debug)]
pub struct FoundBoxes {
    /// For people, such as `bccd (PASCAL VOC)`.
    pub name: String,
    /// Class names; a box's class is a position in this list.
    pub classes: Vec<String>,
    /// The number of each class in the COCO file, to write predictions for it.
    pub category_ids: Option<Vec<i64>>,
    /// Images to train on. Where a data set has no parts, all its images are these.
    pub train: Option<Arc<BoxedImages>>,
    /// Images to choose by.
    pub validation: Option<Arc<BoxedImages>>,
    /// Images touched once, at the end.
    pub test: Option<Arc<BoxedImages>>,
    /// What was found besides, and what was left out and why: a line each, for people.
    pub notes: Vec<String>,
}

/// Images with boxes at `path`: a folder, or a file of YOLO or COCO that describes one. What lies there is
/// recognised in this order:
///
/// - YOLO: a `data.yaml` with the images of each part and the names of the classes, or `images/` with
///   `labels/` beside it and a list of classes in `classes.txt`;
/// - COCO: JSON files of instances, one for each part;
/// - PASCAL VOC: XML files, with parts by the lists in `ImageSets/Main` or by folders;
/// - LabelMe: JSON files beside their images.
///
/// Boxes that are none are left out, each told by file and place ([`FoundBoxes::check`]); images without
/// objects stay.
///
/// # Errors
/// Every way in which the folder and its files can be wrong, by name.
pub fn find_boxes(path: &Path) -> Result<FoundBoxes, DataError> {
    if !path.exists() {
        return Err(DataError::Missing {
            path: path.to_owned(),
        });
    }
    if path.is_file() {
        let end = path.extension().and_then(|end| end.to_str());
        return match end.unwrap_or("").to_lowercase().as_str() {
            "yaml" | "yml" => yolo::read(path),
            "json" => coco::read(path),
            _ => Err(DataError::Layout {
                path: path.to_owned(),
                reason:
                    "boxes are read from a folder, from a data.yaml of YOLO or from a JSON file \
                         of COCO"
                        .to_owned(),
            }),
        };
    }
    if let Some(found) = look_for_boxes(path, &Tree::read(path)?, true)? {
        return Ok(found);
    }
    Err(DataError::NoBoxes {
        path: path.to_owned(),
    })
}

/// Images with boxes in a folder with this content, in LabelMe's files if `labelme`; `None` where there are
/// none.
pub(in crate::source) fn look_for_boxes(
    path: &Path,
    tree: &Tree,
    labelme: bool,
) -> Result<Option<FoundBoxes>, DataError> {
    if let Some(found) = yolo::find(path)? {
        return Ok(Some(found));
    }
    for find in [coco::find, voc::find] {
        if let Some(found) = find(path, tree)? {
            return Ok(Some(found));
        }
    }
    match labelme {
        true => labelme::find(path, tree),
        false => Ok(None),
    }
}

impl FoundBoxes {
    /// The parts that are there, by name, in this order.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, &Arc<BoxedImages>)> {
        [
            ("train", &self.train),
            ("validation", &self.validation),
            ("test", &self.test),
        ]
        .into_iter()
        .filter_map(|(name, part)| part.as_ref().map(|part| (name, part)))
        .collect()
    }
}

impl From<FoundBoxes> for Found {
    fn from(found: FoundBoxes) -> Self {
        let source = |part: Option<Arc<BoxedImages>>| part.map(|part| part as Arc<dyn Source>);
        Self {
            name: found.name,
            train: source(found.train),
            validation: source(found.validation),
            test: source(found.test),
            notes: found.notes,
        }
    }
}
