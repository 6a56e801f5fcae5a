//! Where labelled images come from: one file for each kind of data set.

mod cifar;
mod folder;
mod idx;
mod packed;
mod shapes;

use std::fmt::Debug;

use sha2::{Digest, Sha256};

pub(crate) use cifar::find_cifar;
pub use folder::Folder;
pub(crate) use folder::find_folder;
pub(crate) use idx::find_idx;
pub use packed::Packed;
pub(crate) use shapes::find_shapes;
pub use shapes::{Difficulty, Shapes};

use crate::{DataError, Image};

/// Labelled images, counted from 0.
pub trait Source: Send + Sync + Debug {
    /// Class names; a label is a position in this list.
    fn classes(&self) -> &[String];

    /// Number of images.
    fn len(&self) -> usize;

    /// True if there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class of an image; `index` is below [`Source::len`].
    fn label(&self, index: usize) -> usize;

    /// An image; `index` is below [`Source::len`].
    ///
    /// # Errors
    /// A file that cannot be read or decoded, by name.
    fn image(&self, index: usize) -> Result<Image, DataError>;

    /// Channels, height and width, if all images have the same.
    fn shape(&self) -> Option<[usize; 3]> {
        None
    }

    /// A short name for an image, such as its file's path; where there is none, its number.
    fn name(&self, index: usize) -> String {
        index.to_string()
    }

    /// SHA-256 of what tells this source from others: classes and labels, and, where a source
    /// can cheaply say more, names, sizes and pixels.
    fn digest(&self) -> [u8; 32] {
        self.labels_digest().finalize().into()
    }

    /// Hash of class names and labels, to continue.
    fn labels_digest(&self) -> Sha256 {
        let mut hash = Sha256::new();
        hash.update((self.classes().len() as u64).to_le_bytes());
        for class in self.classes() {
            hash.update((class.len() as u64).to_le_bytes());
            hash.update(class);
        }
        hash.update((self.len() as u64).to_le_bytes());
        for index in 0..self.len() {
            hash.update((self.label(index) as u64).to_le_bytes());
        }
        hash
    }
}

/// What a recogniser found: the parts as they lie in the folder, before any splitting.
#[derive(Debug)]
pub(crate) struct Found {
    /// For people, such as `fashion-mnist (IDX)`.
    pub name: String,
    pub train: std::sync::Arc<dyn Source>,
    pub validation: Option<std::sync::Arc<dyn Source>>,
    pub test: Option<std::sync::Arc<dyn Source>>,
}
