//! How images are loaded.

use crate::{Augment, DataError};

/// How images are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Independent augmentations of each image, at least 1.
    pub views: usize,
    /// Whether each image comes with another one of its class.
    pub partners: bool,
    /// The first epoch of those in which the batch before comes along in a second view: its own
    /// first batch has none before it.
    pub replay_from: Option<usize>,
    /// Batches of so many classes with so many images each, `(classes, images)`, instead of a
    /// shuffled order; `batch` must be their product.
    pub balanced: Option<(usize, usize)>,
    /// How many times as high and wide the images come along as well, at least 1; with 1 they do
    /// not. The images are then the reduced ones.
    pub enlarged: usize,
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
            views: 1,
            partners: false,
            replay_from: None,
            balanced: None,
            enlarged: 1,
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
        if self.views == 0 {
            return Err(DataError::setting("views", "at least 1", 0));
        }
        if self.repeats_after == Some(0) {
            return Err(DataError::setting("repeats_after", "at least 1", 0));
        }
        if self.enlarged == 0 {
            return Err(DataError::setting("enlarged", "at least 1", 0));
        }
        if self.enlarged > 1 {
            augment.enlarged(self.enlarged).check()?;
        }
        if self.enlarged > 1 && augment.random_erasing.is_some() {
            return Err(DataError::setting(
                "random_erasing",
                "left out where images come in two sizes",
                "it",
            ));
        }
        if let Some((classes, each)) = self.balanced
            && classes.checked_mul(each) != Some(self.batch)
        {
            return Err(DataError::setting(
                "batch",
                format!("{classes} classes times {each} images"),
                self.batch,
            ));
        }
        let accompanied =
            self.views > 1 || self.partners || self.replay_from.is_some() || self.enlarged > 1;
        if augment.mixes() && (accompanied || self.balanced.is_some()) {
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
        if (self.drop_last || self.balanced.is_some()) && images < self.batch {
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
