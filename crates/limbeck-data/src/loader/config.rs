//! How images are loaded.

use crate::{Augment, Balanced, DataError, Images};

/// How images are loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoaderConfig {
    /// Images of a batch, at least 1.
    pub batch: usize,
    /// Whether each epoch has an order of its own; otherwise that of the part.
    pub shuffle: bool,
    /// Whether a last batch with fewer images is left out.
    pub drop_last: bool,
    /// Threads that load; with 0, the caller's thread loads when a batch is asked for.
    pub workers: usize,
    /// Batches that are made ahead, at least one for each worker.
    pub prefetch: usize,
    /// Decides order, augmentation and mixing.
    pub seed: u64,
    /// Decides the augmentation of the first view instead of `seed`, so that runs of several seeds
    /// can show the same images; `seed` where missing.
    pub view_seed: Option<u64>,
    /// After how many epochs the first view of each image comes again, at least 1: epoch `e` shows
    /// what epoch `e mod repeats_after` does. Never where missing.
    pub repeats_after: Option<usize>,
    /// What comes with each image, and how batches are put together; class-balanced ones must have
    /// `batch` images.
    pub images: Images,
    /// The first epoch of those that belong together: its own first batch has none before it.
    pub first_epoch: usize,
}

impl Default for LoaderConfig {
    /// Batches of 64 in the order of the part, all of them, loaded by 1 worker, 2 ahead.
    fn default() -> Self {
        Self {
            batch: 64,
            shuffle: false,
            drop_last: false,
            workers: 1,
            prefetch: 2,
            seed: 0,
            view_seed: None,
            repeats_after: None,
            images: Images::default(),
            first_epoch: 0,
        }
    }
}

/// Far above what any machine makes use of; threads beyond it would only fail to start.
const MAX_WORKERS: usize = 1_024;

impl LoaderConfig {
    /// Refuses settings outside their range, and parts of `images` images that give no batch.
    pub(crate) fn check(&self, images: usize, augment: &Augment) -> Result<(), DataError> {
        if self.batch == 0 {
            return Err(DataError::setting("batch", "at least 1", 0));
        }
        if self.workers > MAX_WORKERS {
            return Err(DataError::setting(
                "workers",
                format!("at most {MAX_WORKERS}"),
                self.workers,
            ));
        }
        if self.images.views == 0 {
            return Err(DataError::setting("views", "at least 1", 0));
        }
        if self.repeats_after == Some(0) {
            return Err(DataError::setting("repeats_after", "at least 1", 0));
        }
        if self.images.enlarged == 0 {
            return Err(DataError::setting("enlarged", "at least 1", 0));
        }
        if self.images.enlarged > 1 {
            augment.resized(self.images.largest(augment.size)).check()?;
            if augment.random_erasing.is_some() {
                return Err(DataError::setting(
                    "random_erasing",
                    "left out where images come in two sizes",
                    "it",
                ));
            }
        }
        if let Some(paste) = &self.images.pasted {
            paste.check()?;
        }
        if let Some(Balanced { classes, images }) = self.images.balanced
            && classes.checked_mul(images) != Some(self.batch)
        {
            return Err(DataError::setting(
                "batch",
                format!("{classes} classes times {images} images"),
                self.batch,
            ));
        }
        let accompanied = self.images.accompanied();
        if augment.mixes() && (accompanied || self.images.balanced.is_some()) {
            return Err(DataError::setting(
                "mixup_alpha` and `cutmix_alpha",
                "0 where images come with other views, partners or the batch before, in two sizes, \
                 or in class-balanced batches",
                format!("{} and {}", augment.mixup_alpha, augment.cutmix_alpha),
            ));
        }
        if images == 0 {
            return Err(DataError::EmptyPart {
                part: "loaded",
                reason: "there is no image to load".to_owned(),
            });
        }
        if (self.drop_last || self.images.balanced.is_some()) && images < self.batch {
            return Err(DataError::EmptyPart {
                part: "loaded",
                reason: format!(
                    "{images} images do not fill a batch of {}, and incomplete batches are \
                     dropped; make the batch smaller",
                    self.batch
                ),
            });
        }
        Ok(())
    }
}
