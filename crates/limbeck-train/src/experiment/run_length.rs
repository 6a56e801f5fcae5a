//! What of a detector's recipe follows the length of the run.

use crate::recipe::{DETECTOR_MINIMUM, DETECTOR_WARMUP, OptimizerName, OptimizerRecipe, Recipe};

/// Steps from which on SGD trains detectors, where nothing is said of it (`optimizer=auto` of Ultralytics,
/// `ultralytics/engine/trainer.py`).
const STEPS_OF_SGD: usize = 10_000;

/// Chooses the optimiser of a detector of `classes` classes that trains for `steps` steps, where that is left
/// open.
pub(super) fn choose_optimizer(
    recipe: &mut Recipe,
    steps: usize,
    classes: usize,
) -> Option<String> {
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
pub(super) fn shorten_warmup(recipe: &mut Recipe, steps: usize) -> Option<String> {
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
