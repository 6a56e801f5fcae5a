//! The images that a job's stages train on.

use limbeck_data::{Domains, Loader, LoaderConfig, Part};
use limbeck_methods::{HeldOut, Images};

use super::Job;
use crate::{TrainError, held_out::HeldOutImages, recipe::Recipe, step::Learner};

/// Batches that are loaded ahead, at least.
pub(crate) const PREFETCH: usize = 4;

/// What a job's stages train on.
pub(super) struct Material {
    pub train: Part,
    held_out: Option<HeldOutImages>,
}

impl Material {
    pub fn held_out(&self) -> Option<&dyn HeldOut> {
        self.held_out.as_ref().map(|images| images as &dyn HeldOut)
    }
}

impl Job<'_> {
    /// The images to train on, and those that the procedure wants held out.
    pub(super) fn material(&self, learner: &Learner) -> Result<Material, TrainError> {
        let share = learner.procedure.held_out();
        let sampled = learner.procedure.sampled();
        let (train, apart) = match (share, sampled) {
            (0.0, 0) => {
                return Ok(Material {
                    train: self.train.clone(),
                    held_out: None,
                });
            }
            (0.0, sampled) => (self.train.clone(), self.train.spread(sampled)),
            (share, _) => self.train.apart(share, self.seed)?,
        };
        let (device, dtype) = (learner.cast.device(), learner.cast.dtype());
        let batch = self.recipe.data.batch;
        Ok(Material {
            train,
            held_out: Some(HeldOutImages::new(
                apart,
                self.augment,
                batch,
                device,
                dtype,
            )?),
        })
    }
}

/// The loader with the other domain, where the stage wants its images.
///
/// # Errors
/// No other domain, or one that does not go with the images.
pub(crate) fn with_domains(
    loader: Loader,
    images: Images,
    domains: Option<&Domains>,
) -> Result<Loader, TrainError> {
    if !images.styled {
        return Ok(loader);
    }
    match domains {
        Some(domains) => Ok(loader.with_domains(domains.clone())?),
        None => Err(TrainError::Setting(
            "the method adapts to another domain; name its images with --target DIR (data.target)"
                .to_owned(),
        )),
    }
}

/// How a stage that begins with the epoch `first` (counted from 0 over all stages) loads its
/// images.
pub(crate) fn loader_config(
    recipe: &Recipe,
    train: &Part,
    seed: u64,
    images: Images,
    first: usize,
) -> LoaderConfig {
    let balanced = images.balanced.map(|it| it.classes * it.images);
    let batch = balanced.unwrap_or(recipe.data.batch);
    LoaderConfig {
        batch,
        shuffle: true,
        drop_last: train.len() >= batch,
        workers: recipe.data.workers,
        prefetch: PREFETCH,
        seed,
        view_seed: recipe.data.view_seed,
        repeats_after: recipe.data.views,
        images,
        first_epoch: first,
    }
}
