//! A data set: three parts that share classes.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::source::{Found, Source};
use crate::{DataError, Image};

/// Some of the images of a source.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where the images come from.
    pub source: Arc<dyn Source>,
    /// Which of them, ascending.
    pub indices: Vec<usize>,
}

impl Part {
    /// All images of a source.
    #[must_use]
    pub fn all(source: Arc<dyn Source>) -> Self {
        let indices = (0..source.len()).collect();
        Self { source, indices }
    }

    /// At most `count` of the images, spread evenly over them.
    #[must_use]
    pub fn spread(&self, count: usize) -> Self {
        let count = count.min(self.len());
        let chosen = (0..count).map(|i| self.indices[i * self.len() / count]);
        Self {
            source: self.source.clone(),
            indices: chosen.collect(),
        }
    }

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

    /// Class of the image at `position`, which is below [`Part::len`].
    #[must_use]
    pub fn label(&self, position: usize) -> usize {
        self.source.label(self.indices[position])
    }

    /// The image at `position`, which is below [`Part::len`].
    ///
    /// # Errors
    /// A file that cannot be read or decoded, by name.
    pub fn image(&self, position: usize) -> Result<Image, DataError> {
        self.source.image(self.indices[position])
    }

    /// A short name for the image at `position`, such as its file's path.
    #[must_use]
    pub fn name(&self, position: usize) -> String {
        self.source.name(self.indices[position])
    }

    /// Class names; a label is a position in this list.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        self.source.classes()
    }

    /// Number of images of each class, `[K]`.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        for position in 0..self.len() {
            counts[self.label(position)] += 1;
        }
        counts
    }
}

/// A data set, ready to train on.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// For people, such as `fashion-mnist (IDX)`.
    pub name: String,
    /// Class names; a label is a position in this list.
    pub classes: Vec<String>,
    /// Channels, height and width, if all images are known to have the same. Of folders of image
    /// files, only a few are looked at.
    pub shape: Option<[usize; 3]>,
    /// Images to train on.
    pub train: Part,
    /// Images to choose by; never any of `train` or `test`.
    pub validation: Part,
    /// Images touched once, at the end.
    pub test: Part,
    /// SHA-256, in hexadecimal, over what is in the folder before any splitting: classes and
    /// labels, pixels of what lies in memory, names and lengths of image files. Together with
    /// [`OpenOptions`](crate::OpenOptions) it says which images each part has.
    pub fingerprint: String,
}

/// Hash over all parts as found.
pub(crate) fn fingerprint(found: &Found) -> String {
    let mut hash = Sha256::new();
    for source in [
        Some(&found.train),
        found.validation.as_ref(),
        found.test.as_ref(),
    ] {
        match source {
            Some(source) => hash.update(source.digest()),
            None => hash.update([0; 32]),
        }
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
