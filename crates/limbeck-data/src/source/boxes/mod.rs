//! Images with boxes around objects: COCO's JSON, PASCAL VOC's XML, YOLO's text files and LabelMe's
//! JSON, one file each.

mod coco;
mod files;
mod found;
mod label;
mod labelme;
mod names;
mod problem;
mod raw;
mod report;
mod settle;
mod voc;
mod yolo;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

pub(super) use self::found::look_for_boxes;
pub use self::found::{FoundBoxes, find_boxes};
pub use self::label::BoxLabel;
pub use self::problem::{BoxPlace, BoxPosition, BoxProblem};
pub use self::report::{BoxCheck, BoxProblems, BoxSizes, ClassBoxes};

use self::problem::Problems;
use super::folder::common_shape;
use super::kept::Room;
use super::{Annotation, Labelling, Source};
use crate::decode::{decode_file, is_marked, upright};
use crate::{DataError, Image};

/// An image and the boxes around its objects.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxedImage {
    /// Its file.
    pub file: PathBuf,
    /// Width and height of the image as it is upright.
    pub size: [usize; 2],
    /// Its objects, none where there is nothing but background.
    pub boxes: Vec<BoxLabel>,
    /// Its number in the COCO file that it is from, to write predictions for that file.
    pub id: Option<i64>,
}

/// Images with boxes. All are given in colour and upright.
#[derive(Debug)]
pub struct BoxedImages {
    classes: Vec<String>,
    /// The number of each class in the COCO file, to write predictions for it.
    category_ids: Option<Vec<i64>>,
    images: Vec<BoxedImage>,
    kept: Vec<OnceLock<Arc<Image>>>,
    shape: Option<[usize; 3]>,
    problems: Problems,
    room: Room,
}

impl BoxedImages {
    fn new(
        classes: Vec<String>,
        category_ids: Option<Vec<i64>>,
        images: Vec<BoxedImage>,
        problems: Problems,
        room: Room,
    ) -> Self {
        Self {
            classes,
            category_ids,
            kept: images.iter().map(|_| OnceLock::new()).collect(),
            shape: common_shape(images.len(), |index| images[index].file.clone()),
            images,
            problems,
            room,
        }
    }

    /// An image and its boxes; `index` is below [`Source::len`].
    #[must_use]
    pub fn boxed(&self, index: usize) -> &BoxedImage {
        &self.images[index]
    }

    /// All images with their boxes.
    #[must_use]
    pub fn all(&self) -> &[BoxedImage] {
        &self.images
    }
}

impl Source for BoxedImages {
    fn labelling(&self) -> Labelling {
        Labelling::Boxes
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Boxes(self.images[index].boxes.clone()))
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.shared_image(index).map(Arc::unwrap_or_clone)
    }

    fn shared_image(&self, index: usize) -> Result<Arc<Image>, DataError> {
        if let Some(image) = self.kept[index].get() {
            return Ok(Arc::clone(image));
        }
        let path = &self.images[index].file;
        let image = decode_file(path)?.with_channels(3);
        let image = upright(image, path, || None);
        let size = self.images[index].size;
        if [image.width, image.height] != size {
            let reason = format!(
                "it has {}x{} pixels, and had {}x{} when its boxes were read",
                image.width, image.height, size[0], size[1]
            );
            return Err(DataError::corrupt(path, reason));
        }
        let image = Arc::new(image);
        self.room
            .keep(&self.kept[index], &image, image.pixels.len());
        Ok(image)
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        let [width, height] = self.images[index].size;
        Some([height, width])
    }

    fn category_ids(&self) -> Option<&[i64]> {
        self.category_ids.as_deref()
    }

    fn image_id(&self, index: usize) -> Option<i64> {
        self.images[index].id
    }

    fn box_problems(&self) -> Vec<BoxProblems> {
        BoxProblems::all(&self.problems)
    }

    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.shape
    }

    fn name(&self, index: usize) -> String {
        self.images[index].file.display().to_string()
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        // What is turned is not what decoding the file gives.
        let path = &self.images[index].file;
        (!is_marked(path)).then(|| path.clone())
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        (0..self.images.len()).for_each(|index| self.hash_image(index, &mut hash));
        hash.finalize().into()
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        let image = &self.images[index];
        let length = std::fs::metadata(&image.file).map_or(0, |metadata| metadata.len());
        let name = image.file.file_name().unwrap_or_default().to_string_lossy();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(length.to_le_bytes());
        hash.update((image.boxes.len() as u64).to_le_bytes());
        for label in &image.boxes {
            hash.update((label.class as u64).to_le_bytes());
            for number in label.corners.iter().chain([&label.area]) {
                hash.update(number.to_le_bytes());
            }
            hash.update([u8::from(label.crowd), u8::from(label.difficult)]);
        }
    }
}
