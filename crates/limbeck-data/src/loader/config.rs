//! How images are loaded.

use crate::DataError;

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
        }
    }
}

/// Far above what any machine makes use of; threads beyond it would only fail to start.
const MAX_WORKERS: usize = 1_024;

impl LoaderConfig {
    /// Refuses settings outside their range, and parts of `images` images that give no batch.
    pub(crate) fn check(&self, images: usize) -> Result<(), DataError> {
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
        if images == 0 {
            return Err(DataError::EmptyPart {
                part: "loaded",
                reason: "there is no image to load".to_owned(),
            });
        }
        if self.drop_last && images < self.batch {
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
