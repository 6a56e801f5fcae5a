//! How long a run is, and what of a detector's recipe follows from that.

use limbeck_methods::TaskKind;

use crate::TrainError;
use crate::recipe::{DETECTOR_MINIMUM, DETECTOR_WARMUP, OptimizerName, OptimizerRecipe, Recipe};

/// Settles what is left open of a run of `steps` steps that learns `classes` classes, and says what that is.
///
/// # Errors
/// An optimiser that is left open where no objects are found.
pub(super) fn settle(
    recipe: &mut Recipe,
    kind: TaskKind,
    steps: usize,
    classes: usize,
) -> Result<Vec<String>, TrainError> {
    if kind == TaskKind::Detection {
        let notes = [
            choose_optimizer(recipe, steps, classes),
            shorten_warmup(recipe, steps),
        ];
        return Ok(notes.into_iter().flatten().collect());
    }
    match recipe.optimizer.name {
        OptimizerName::Auto => Err(TrainError::Setting(format!(
            "optimizer.name = \"auto\" is for detectors, and this is {kind}; say sgd or adamw"
        ))),
        OptimizerName::Sgd | OptimizerName::AdamW => Ok(Vec::new()),
    }
}

/// Steps from which on SGD trains detectors, where nothing is said of it (`optimizer=auto` of Ultralytics,
/// `ultralytics/engine/trainer.py`).
const STEPS_OF_SGD: usize = 10_000;

/// Chooses the optimiser of a detector of `classes` classes that trains for `steps` steps, where that is left
/// open.
fn choose_optimizer(recipe: &mut Recipe, steps: usize, classes: usize) -> Option<String> {
    if recipe.optimizer.name != OptimizerName::Auto {
        return None;
    }
    let rate = recipe.optimizer.learning_rate;
    if steps >= STEPS_OF_SGD {
        recipe.optimizer.name = OptimizerName::Sgd;
        return Some(format!(
            "optimizer: sgd at {rate}, for {steps} steps (adamw below {STEPS_OF_SGD})"
        ));
    }
    recipe.optimizer.name = OptimizerName::AdamW;
    let defaults = Recipe::of_detectors();
    let adamw = OptimizerRecipe::of(OptimizerName::AdamW);
    if rate == defaults.optimizer.learning_rate {
        let rate = 0.01 / (4 + classes) as f64;
        recipe.optimizer.learning_rate = (rate * 1e6).round() / 1e6;
    }
    if recipe.optimizer.weight_decay == defaults.optimizer.weight_decay {
        recipe.optimizer.weight_decay = adamw.weight_decay;
    }
    let schedule = &mut recipe.schedule;
    let rate = recipe.optimizer.learning_rate;
    if schedule.minimum == defaults.schedule.minimum {
        schedule.minimum = DETECTOR_MINIMUM * rate;
    }
    if schedule.warmup_biases == defaults.schedule.warmup_biases {
        schedule.warmup_biases = None;
    }
    Some(format!(
        "optimizer: adamw at {rate}, for {steps} steps (sgd from {STEPS_OF_SGD} on)"
    ))
}

/// Keeps a detector's warm-up, where nothing was said of it, to a fifth of the run of `steps` steps.
fn shorten_warmup(recipe: &mut Recipe, steps: usize) -> Option<String> {
    let most = (steps / 5).max(1);
    let is_default = recipe.schedule.warmup_iterations == Some(DETECTOR_WARMUP);
    if !is_default || most >= DETECTOR_WARMUP {
        return None;
    }
    recipe.schedule.warmup_iterations = Some(most);
    Some(format!(
        "schedule.warmup_iterations: {most}, a fifth of the run ({DETECTOR_WARMUP} where it is longer)"
    ))
}

/// Steps of an epoch over that many images.
pub(super) fn steps_of(images: usize, batch: usize) -> usize {
    (images / batch.max(1)).max(1)
}
