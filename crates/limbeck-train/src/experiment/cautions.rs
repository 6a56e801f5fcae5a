//! What would go wrong in silence.

use limbeck_methods::unreached_weights;
use limbeck_nn::Network;

use super::Plan;
use crate::{TrainError, cache::cache_folder};

/// Settings that would not do what they say, a line each.
pub(super) fn cautions(plan: &Plan) -> Result<Vec<String>, TrainError> {
    let recipe = &plan.recipe;
    let method = &recipe.method;
    let mut cautions = match plan.method.is_own() {
        true => Vec::new(),
        false => unreached_weights(&method.name, &method.values(), recipe.train.epochs)?,
    };
    let source = recipe.teacher.source.as_deref();
    if plan.augment.mixes() && source.and_then(cache_folder).is_some() {
        cautions.push(
            "images are mixed (augment.mixup_alpha, augment.cutmix_alpha) and the teacher is a cache: its targets are mixtures of what it said of the two images, other numbers than those of the teacher itself, which would look at the mixed image"
                .to_owned(),
        );
    }
    Ok(cautions)
}

/// Refuses to train `network` image by image where a batch norm would see one value of a channel:
/// its own mean makes it zero, and nothing before it learns.
pub(super) fn check_batch(plan: &Plan, network: &Network) -> Result<(), TrainError> {
    let batch = plan.recipe.data.batch.min(plan.dataset.train.len());
    if batch > 1 || network.fewest_normalised() != Some(1) {
        return Ok(());
    }
    Err(TrainError::Setting(format!(
        "with one image a step, a batch norm of `{}` sees a single value of each channel, which its own mean makes zero: nothing would be learnt; set data.batch to 2 or more, or take larger images (augment.size is {:?})",
        network.name(),
        plan.augment.size
    )))
}
