//! Whether stored outputs tell what a method asks its teacher.

use limbeck_methods::{Procedure, Questions, TaskKind};
use limbeck_nn::Taps;

use super::Plan;
use crate::{TrainError, metric::EMBEDDING, recipe::ChooseBy, run_teacher::RunTeacher};

/// Refuses a method that asks its teacher what stored outputs do not tell.
///
/// # Errors
/// What is asked, and what to do.
pub(super) fn check_questions(plan: &Plan, procedure: &dyn Procedure) -> Result<(), TrainError> {
    let Some((network, teacher)) = (plan.teacher.as_ref())
        .and_then(|teacher| Some((teacher.network(), teacher.outputs()?)))
        .filter(|(_, outputs)| !outputs.looks_at_images())
    else {
        return Ok(());
    };
    let method = &plan.recipe.method.name;
    let mut questions = match plan.method.needs_teacher() {
        true => procedure.questions(),
        false => Questions::default(),
    };
    if let Some(beyond) = questions.beyond {
        return Err(TrainError::Setting(format!(
            "the method `{method}` asks the teacher about {beyond}, and stored outputs answer \
             for the images of their cache alone; give the teacher itself with --teacher"
        )));
    }
    if plan.augment.mixes() && plan.task == TaskKind::Segmentation {
        return Err(TrainError::Setting(
            "images are mixed, and the maps of mixed images cannot be told from stored ones; set \
             augment.mixup_alpha and augment.cutmix_alpha to 0, or give the teacher itself with \
             --teacher"
                .to_owned(),
        ));
    }
    if plan.augment.mixes()
        && network
            .taps()
            .iter()
            .any(|tap| questions.taps.wants(&tap.name))
    {
        return Err(TrainError::Setting(format!(
            "the method `{method}` reads features of the teacher, and those of mixed images \
             cannot be told from stored ones; set augment.mixup_alpha and augment.cutmix_alpha \
             to 0, or give the teacher itself with --teacher"
        )));
    }
    if plan.recipe.train.choose_by == ChooseBy::Recall {
        questions.taps.merge(&Taps::from_iter([EMBEDDING]));
    }
    let stored = teacher.taps();
    let network = network.taps();
    let wanted = network.iter().map(|tap| tap.name.as_str());
    let missing: Vec<&str> = wanted
        .filter(|name| questions.taps.wants(name))
        .filter(|name| !stored.iter().any(|tap| tap.name == *name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(TrainError::Setting(format!(
        "the run reads outputs of the teacher that the cache does not hold: {}; build one that \
         does with `limbeck cache build … --taps {}`, or give the teacher itself with --teacher",
        missing.join(", "),
        missing.join(",")
    )))
}

/// Taps of the teacher that the method reads besides its logits, where stored outputs serve as well
/// as the teacher itself, to the bit; `None` where there is no teacher, or it has to be asked.
///
/// # Errors
/// An unknown method.
pub(super) fn storable(
    plan: &Plan,
    procedure: &dyn Procedure,
) -> Result<Option<Vec<String>>, TrainError> {
    let looks = |teacher: &&RunTeacher| {
        let outputs = teacher.outputs();
        outputs.is_none_or(|outputs| outputs.looks_at_images())
    };
    let Some(teacher) = plan.teacher.as_ref().filter(looks) else {
        return Ok(None);
    };
    let questions = procedure.questions();
    let one_size = plan.teacher_augment == plan.augment;
    let serves =
        procedure.asks_teacher() && questions.beyond.is_none() && !plan.augment.mixes() && one_size;
    if !serves || !plan.method.needs_teacher() {
        return Ok(None);
    }
    let taps = teacher.network().taps().into_iter().map(|tap| tap.name);
    let taps = taps.filter(|name| questions.taps.wants(name));
    Ok(Some(taps.collect()))
}
