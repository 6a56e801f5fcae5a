//! What lies in a folder of images with boxes, and the three parts that are made of it.

use std::path::Path;
use std::sync::Arc;

use super::{BoxedImage, BoxedImages, coco, labelme, voc, yolo};
use crate::dataset::Part;
use crate::source::Source;
use crate::source::folder::Tree;
use crate::{DataError, Found, Image, OpenOptions};

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

/// Some of the images of a source.
#[derive(Clone, Debug)]
pub struct BoxPart {
    /// Where the images come from.
    pub source: Arc<BoxedImages>,
    /// Which of them, ascending.
    pub indices: Vec<usize>,
}

impl BoxPart {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True if there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The boxes of the image at `position`, which is below [`BoxPart::len`].
    #[must_use]
    pub fn boxed(&self, position: usize) -> &BoxedImage {
        self.source.boxed(self.indices[position])
    }

    /// The image at `position`, which is below [`BoxPart::len`], in colour and upright.
    ///
    /// # Errors
    /// A file that cannot be read or decoded, by name; one that has changed its size.
    pub fn image(&self, position: usize) -> Result<Image, DataError> {
        let boxed = self.boxed(position);
        let image = self.pictures().image(position)?;
        if [image.width, image.height] != boxed.size {
            let reason = format!(
                "it has {}x{} pixels, and had {}x{} when its boxes were read",
                image.width, image.height, boxed.size[0], boxed.size[1]
            );
            return Err(DataError::corrupt(&boxed.file, reason));
        }
        Ok(image)
    }

    /// The images without their boxes.
    #[must_use]
    pub fn pictures(&self) -> Part {
        Part {
            source: Arc::clone(&self.source) as Arc<dyn Source>,
            indices: self.indices.clone(),
        }
    }
}

/// A data set of images with boxes: three parts that share classes and no image.
#[derive(Clone, Debug)]
pub struct BoxDataset {
    /// For people, such as `bccd (PASCAL VOC)`.
    pub name: String,
    /// Class names; a box's class is a position in this list.
    pub classes: Vec<String>,
    /// The number of each class in the COCO file, to write predictions for it.
    pub category_ids: Option<Vec<i64>>,
    /// Images to train on.
    pub train: BoxPart,
    /// Images to choose by; never any of `train` or `test`.
    pub validation: BoxPart,
    /// Images touched once, at the end.
    pub test: BoxPart,
    /// SHA-256, in hexadecimal, over what is in the folder before any splitting: classes, boxes,
    /// names and lengths of image files.
    pub fingerprint: String,
    /// What was found besides, and what was left out and why: a line each, for people.
    pub notes: Vec<String>,
}

/// Opens images with boxes at `path`: a folder, or a file of YOLO or COCO that describes one. What lies
/// there is recognised in this order:
///
/// - YOLO: a `data.yaml` with the images of each part and the names of the classes, or `images/` with
///   `labels/` beside it and a list of classes in `classes.txt`;
/// - COCO: JSON files of instances, one for each part;
/// - PASCAL VOC: XML files, with parts by the lists in `ImageSets/Main` or by folders;
/// - LabelMe: JSON files beside their images.
///
/// Parts are those of the data; what it lacks is taken from its training part as [`crate::open`] does
/// it. Boxes that are none are left out, each told by file and place ([`FoundBoxes::check`]); images
/// without objects stay.
///
/// # Errors
/// Every way in which the folder, its files or the options can be wrong, by name.
pub fn open_boxes(path: &Path, options: &OpenOptions) -> Result<BoxDataset, DataError> {
    find_boxes(path)?.split(options)
}

/// What lies at `path`, as [`open_boxes`] recognises it, before any splitting.
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
    if let Some(found) = yolo::find(path)? {
        return Ok(found);
    }
    let tree = Tree::read(path)?;
    for find in [coco::find, voc::find, labelme::find] {
        if let Some(found) = find(path, &tree)? {
            return Ok(found);
        }
    }
    Err(DataError::Layout {
        path: path.to_owned(),
        reason: "no boxes of objects were found; looked for YOLO (data.yaml, or images/ and labels/ \
                 with classes.txt), COCO (JSON with images, annotations and categories), PASCAL VOC \
                 (XML with bndbox) and LabelMe (JSON with shapes beside each image)"
            .to_owned(),
    })
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

    /// Splits what was found as the options say, by the rules of [`Found::split`].
    ///
    /// # Errors
    /// Those of [`Found::split`].
    pub fn split(self, options: &OpenOptions) -> Result<BoxDataset, DataError> {
        let source = |part: &Option<Arc<BoxedImages>>| {
            part.as_ref()
                .map(|part| Arc::clone(part) as Arc<dyn Source>)
        };
        let pictures = Found {
            name: self.name.clone(),
            train: source(&self.train),
            validation: source(&self.validation),
            test: source(&self.test),
            notes: Vec::new(),
        };
        let split = pictures.split(options)?;
        let Some(whole) = self.train else {
            // Cannot be: splitting has refused it.
            return Err(DataError::EmptyPart {
                part: "train",
                reason: format!("{} has none", self.name),
            });
        };
        let part = |own: Option<Arc<BoxedImages>>, part: Part| BoxPart {
            source: own.unwrap_or_else(|| Arc::clone(&whole)),
            indices: part.indices,
        };
        Ok(BoxDataset {
            name: self.name,
            classes: self.classes,
            category_ids: self.category_ids,
            validation: part(self.validation, split.validation),
            test: part(self.test, split.test),
            train: part(None, split.train),
            fingerprint: split.fingerprint,
            notes: self.notes,
        })
    }
}
