//! The ordered loader: batches of augmented images, made ahead of time by threads of its own.

mod batch;
mod classes;
mod config;
mod domains;
mod epoch;
mod ordered;
mod whole;

use std::sync::Arc;

use batch::Plan;
pub use batch::{Batch, Large};
use classes::Classes;
pub use config::LoaderConfig;
pub use domains::{Domains, InStyles};
pub use epoch::Epoch;
pub use whole::{WholeImage, WholeImages};

use crate::saliency::KeptSaliency;
use crate::{Augment, DataError, Labelling, Part};

/// Makes the batches of every epoch over a part.
///
/// Order, augmentation and mixing depend on seed, epoch, image and batch number alone, so any
/// number of workers gives the same bytes, and an epoch can be entered at any batch.
#[derive(Clone, Debug)]
pub struct Loader {
    plan: Arc<Plan>,
}

impl Loader {
    /// A loader over `part`. With `train`, images are augmented; without, they are only fitted to
    /// the size and normalised.
    ///
    /// # Errors
    /// Settings outside their range; a part without images, or with fewer than one batch where
    /// incomplete batches are dropped.
    pub fn new(
        part: Part,
        augment: Augment,
        train: bool,
        config: LoaderConfig,
    ) -> Result<Self, DataError> {
        if train {
            augment.check_for(part.labelling())?;
        }
        augment.check()?;
        config.check(part.len(), &augment)?;
        match part.labelling() {
            Labelling::Masks => config.images.check_for_places("masks")?,
            Labelling::Boxes => {
                config.images.check_for_places("boxes")?;
                if config.images.enlarged > 1 {
                    return Err(DataError::setting(
                        "enlarged",
                        "1 where images have boxes",
                        config.images.enlarged,
                    ));
                }
            }
            Labelling::None | Labelling::Classes => {}
        }
        part.check()?;
        let classes = Classes::of(&part, &config.images)?;
        let saliency = match &config.images.pasted {
            Some(paste) if train => Some(KeptSaliency::of(&part, paste.saliency)?),
            _ => None,
        };
        Ok(Self {
            plan: Arc::new(Plan {
                classes,
                saliency,
                part,
                augment,
                train,
                config,
                domains: None,
            }),
        })
    }

    /// The same with the images of another domain, which batches have where [`Images::styled`] is set.
    ///
    /// [`Images::styled`]: crate::Images::styled
    ///
    /// # Errors
    /// Domains that do not go with the images.
    pub fn with_domains(mut self, domains: Domains) -> Result<Self, DataError> {
        domains.check(&self.plan.part)?;
        match Arc::get_mut(&mut self.plan) {
            Some(plan) => plan.domains = Some(domains),
            None => {
                return Err(DataError::setting(
                    "styled",
                    "given before the first epoch",
                    "a loader that is at work",
                ));
            }
        }
        Ok(self)
    }

    /// Batches of an epoch.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.plan.batches()
    }

    /// The images that are loaded.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.plan.part
    }

    /// What is done to them.
    #[must_use]
    pub fn augment(&self) -> &Augment {
        &self.plan.augment
    }

    /// How they are loaded.
    #[must_use]
    pub fn config(&self) -> &LoaderConfig {
        &self.plan.config
    }

    /// The batches of an epoch (counted from 0) from `start_batch` on: those that an epoch from 0
    /// would give after `start_batch` batches.
    #[must_use]
    pub fn epoch(&self, epoch: usize, start_batch: usize) -> Epoch {
        Epoch::start(Arc::clone(&self.plan), epoch, start_batch)
    }
}
