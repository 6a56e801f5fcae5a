//! What would go wrong in silence.

use limbeck_methods::{Procedure, Stage, unreached_weights};
use limbeck_nn::{Network, TaskKind};

use super::Plan;
use crate::{TrainError, cache::cache_folder, recipe::Recipe};

/// Settings that would not do what they say, a line each.
pub(super) fn cautions(plan: &Plan, student: &Network) -> Result<Vec<String>, TrainError> {
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
    if plan.task == TaskKind::Segmentation {
        cautions.extend(of_norms(plan, student));
    }
    if recipe.optimizer.head_factor != 1.0 && student.is_backbone("").is_none() {
        cautions.push(format!(
            "optimizer.head_factor does nothing: `{}` has no backbone that is told from its head",
            student.name()
        ));
    }
    if recipe.optimizer.layer_decay != 1.0 && student.layer_of("").is_none() {
        cautions.push(format!(
            "optimizer.layer_decay does nothing: the layers of `{}` are not told apart, as those of \
             vision transformers are",
            student.name()
        ));
    }
    Ok(cautions)
}

/// Refuses settings of the student's weights that would do nothing: a start that the method replaces, an
/// average of weights that no step changes.
pub(super) fn check_weights(plan: &Plan, procedure: &dyn Procedure) -> Result<(), TrainError> {
    let recipe = &plan.recipe;
    let method = &recipe.method.name;
    let refuse = |reason: String| Err(TrainError::Setting(reason));
    if procedure.gives_start() && recipe.student.weights.is_some() {
        return refuse(format!(
            "the method `{method}` gives the student the weights that it starts from; leave \
             student.weights (--weights) out"
        ));
    }
    if procedure.gives_start() && recipe.student.quantise.is_some() {
        return refuse(format!(
            "the method `{method}` makes the student's weights of the teacher's, in full precision; leave \
             student.quantise (--quantise) out, and train its student in few bits afterwards"
        ));
    }
    let stages = procedure.stages(recipe.train.epochs);
    let follows = |stage: &Stage| {
        stage.acts.is_empty() || stage.acts.iter().any(|act| act.trains(&stage.student))
    };
    if recipe.train.average.is_some() && !stages.iter().any(follows) {
        return refuse(format!(
            "train.average follows the student's weights from step to step, and `{method}` changes them \
             at the end of each epoch alone; leave it out (train.choose = \"average\" takes the mean of \
             the last epochs)"
        ));
    }
    Ok(())
}

/// Refuses to compute units again of a student that has none.
pub(super) fn check_units(recipe: &Recipe, student: &Network) -> Result<(), TrainError> {
    if !recipe.train.recompute || student.units() > 0 {
        return Ok(());
    }
    Err(TrainError::Setting(format!(
        "train.recompute forgets what blocks compute and computes it again, and `{}` has no blocks that \
         could be told apart; leave it out, and set data.batch to less where memory is short",
        student.name()
    )))
}

/// Images of a batch below which its statistics are said to be noisy: the neighbouring pixels of one
/// image are alike (mmsegmentation trains on 2 to 4 images a device, with statistics of all devices).
const FEW: usize = 4;

/// What small batches do to batch norms.
fn of_norms(plan: &Plan, student: &Network) -> Option<String> {
    let recipe = &plan.recipe;
    let fewest = student.fewest_normalised()?;
    let batch = recipe.data.batch.min(plan.dataset.train.len());
    if recipe.task.frozen_norms {
        let drawn = recipe.student.weights.is_none() && recipe.student.backbone.is_none();
        return drawn.then(|| {
            "task.frozen_norms keeps the statistics of batch norms as they are drawn, mean 0 and \
             variance 1, since the student starts from no trained weights (student.weights, student.backbone): they \
             normalise nothing"
                .to_owned()
        });
    }
    let pooled = match fewest {
        1 => ", and a batch norm behind global pooling sees one value for each image",
        _ => "",
    };
    (batch < FEW).then(|| {
        format!(
            "batch norms take their statistics from {batch} images{pooled}: they are noisy in training \
             and others in use. Set data.batch to {FEW} or more with smaller crops (augment.size), or \
             start from trained weights and set task.frozen_norms; train.accumulate does not help"
        )
    })
}

/// Refuses to train `network` image by image where a batch norm would see one value of a channel:
/// its own mean makes it zero, and nothing before it learns.
pub(super) fn check_batch(plan: &Plan, network: &Network) -> Result<(), TrainError> {
    let batch = plan.recipe.data.batch.min(plan.dataset.train.len());
    if batch > 1 || plan.recipe.task.frozen_norms || network.fewest_normalised() != Some(1) {
        return Ok(());
    }
    Err(TrainError::Setting(format!(
        "with one image a step, a batch norm of `{}` sees a single value of each channel, which its own mean makes zero: nothing would be learnt; set data.batch to 2 or more, or take larger images (augment.size is {:?})",
        network.name(),
        plan.augment.size
    )))
}
