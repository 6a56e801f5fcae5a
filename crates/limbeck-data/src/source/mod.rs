//! Where images come from: one file for each kind of data set.

mod annotation;
mod below;
mod boxes;
mod cifar;
mod folder;
mod generated;
mod idx;
mod joined;
mod kept;
mod masks;
mod packed;
mod relabelled;
mod scaled;
mod scenes;
mod shapes;
mod styled;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use annotation::{Annotation, Labelling};
pub use below::images_below;
use boxes::look_for_boxes;
pub use boxes::{
    BoxCheck, BoxLabel, BoxPlace, BoxPosition, BoxProblem, BoxProblems, BoxSizes, BoxedImage,
    BoxedImages, ClassBoxes, FoundBoxes, find_boxes,
};
pub(crate) use cifar::find_cifar;
pub use folder::Folder;
pub(crate) use folder::SALIENCY_FOLDER;
use folder::{Tree, find_folder};
pub(crate) use idx::find_idx;
pub(crate) use joined::Joined;
pub(crate) use kept::Room;
use masks::find_masks;
pub use masks::{Pairing, Pairs};
pub use packed::Packed;
pub use relabelled::Relabelled;
pub use scaled::Scaled;
pub(crate) use scaled::scaled_sides;
pub(crate) use scenes::find_scenes;
pub use scenes::{BoxedScenes, SceneBox, SceneDifficulty, Scenes};
pub(crate) use shapes::find_shapes;
pub use shapes::{Difficulty, Shapes};
pub use styled::{Style, Styled};

use crate::{DataError, Found, Image};

/// Looks for image files: with masks, with boxes, in folders of classes, or without labels. Where there
/// are masks and boxes, those that are `wanted` are taken; LabelMe's shapes are masks where nothing is.
pub(crate) fn find_files(
    folder: &Path,
    wanted: Option<Labelling>,
) -> Result<Option<Found>, DataError> {
    let tree = Tree::read(folder)?;
    if wanted == Some(Labelling::Boxes) {
        return Ok(Some(find_boxes(folder)?.into()));
    }
    match find_masks(folder, &tree)? {
        // A file that would be one of boxes and cannot be read is none of the masks' business.
        Some(_)
            if wanted.is_none()
                && look_for_boxes(folder, &tree, false).is_ok_and(|found| found.is_some()) =>
        {
            return Err(DataError::MasksAndBoxes {
                path: folder.to_owned(),
            });
        }
        Some(found) => return Ok(Some(found)),
        None if wanted.is_none() => {
            if let Some(found) = look_for_boxes(folder, &tree, true)? {
                return Ok(Some(found.into()));
            }
        }
        None => {}
    }
    find_folder(folder, tree)
}

/// Images, counted from 0, and what is known of them.
pub trait Source: Send + Sync + Debug {
    /// What is known of each image.
    fn labelling(&self) -> Labelling {
        Labelling::Classes
    }

    /// Class names; a label is a position in this list. Empty where nothing is known of the images.
    fn classes(&self) -> &[String];

    /// Number of images.
    fn len(&self) -> usize;

    /// True if there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of an image, as [`Source::labelling`] says; `index` is below [`Source::len`].
    ///
    /// # Errors
    /// A file that cannot be read, by name.
    fn annotation(&self, index: usize) -> Result<Annotation, DataError>;

    /// What splits, limits and balanced batches are balanced over: the class where there is one,
    /// else 0. `index` is below [`Source::len`].
    fn stratum(&self, index: usize) -> usize {
        if self.labelling() != Labelling::Classes {
            return 0;
        }
        let annotation = self.annotation(index).unwrap_or(Annotation::None);
        annotation.class().unwrap_or(0)
    }

    /// An image; `index` is below [`Source::len`].
    ///
    /// # Errors
    /// A file that cannot be read or decoded, by name.
    fn image(&self, index: usize) -> Result<Image, DataError>;

    /// The same, shared with the source where that keeps what is decoded.
    ///
    /// # Errors
    /// Those of [`Source::image`].
    fn shared_image(&self, index: usize) -> Result<Arc<Image>, DataError> {
        self.image(index).map(Arc::new)
    }

    /// Channels, height and width, if all images have the same: an image that has another one is
    /// refused.
    fn shape(&self) -> Option<[usize; 3]> {
        None
    }

    /// Channels, height and width of most images, as far as that is known at no great cost.
    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.shape()
    }

    /// Height and width of an image, as far as that is known without decoding it.
    fn size(&self, _index: usize) -> Option<[usize; 2]> {
        self.shape().map(|[_, height, width]| [height, width])
    }

    /// Factor by which both sides of an image are smaller than those of its mask, rounded to whole
    /// pixels; 1 unless the source reduces images alone.
    fn reduction(&self) -> f64 {
        1.0
    }

    /// The number of each class in the COCO file that the images are from, to write predictions for it.
    fn category_ids(&self) -> Option<&[i64]> {
        None
    }

    /// The number of an image in that file.
    fn image_id(&self, _index: usize) -> Option<i64> {
        None
    }

    /// What is wrong with the boxes, where images have some from files.
    fn box_problems(&self) -> Vec<BoxProblems> {
        Vec::new()
    }

    /// A short name for an image, such as its file's path; where there is none, its number.
    fn name(&self, index: usize) -> String {
        index.to_string()
    }

    /// The file of an image, where it has one of its own: what [`decode_file`](crate::decode_file)
    /// reads is then the image.
    fn file(&self, _index: usize) -> Option<PathBuf> {
        None
    }

    /// The mask's file of an image, where it has one.
    fn mask_file(&self, _index: usize) -> Option<PathBuf> {
        None
    }

    /// How images and masks were brought together, where a source has masks in files.
    fn pairing(&self) -> Option<&Pairing> {
        None
    }

    /// SHA-256 of what tells this source from others: classes and strata, and, where a source
    /// can cheaply say more, names, sizes and pixels.
    fn digest(&self) -> [u8; 32] {
        self.labels_digest().finalize().into()
    }

    /// Takes what tells an image from others into `hash`, as far as that is cheap: its name, and
    /// where a source can say more, its size or its pixels. `index` is below [`Source::len`].
    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        let name = self.name(index);
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
    }

    /// Whether every image is there as soon as the source is, decoded or computed, so that none can
    /// turn out to be damaged.
    fn is_certain(&self) -> bool {
        false
    }

    /// Hash of class names and strata, to continue.
    fn labels_digest(&self) -> Sha256 {
        let mut hash = Sha256::new();
        hash.update((self.classes().len() as u64).to_le_bytes());
        for class in self.classes() {
            hash.update((class.len() as u64).to_le_bytes());
            hash.update(class);
        }
        hash.update((self.len() as u64).to_le_bytes());
        for index in 0..self.len() {
            hash.update((self.stratum(index) as u64).to_le_bytes());
        }
        hash
    }
}
