//! What a recipe is where nothing is said, which for networks that segment is something else than for
//! classifiers.

use limbeck_data::{Augment, RandomScale};
use limbeck_nn::{TaskKind, model};

use super::{
    DataRecipe, OptimizerName, OptimizerRecipe, Recipe, ScheduleName, ScheduleRecipe,
    StudentRecipe, TaskName,
};

/// What of a recipe decides its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grounds<'a> {
    /// `student.model`.
    pub model: &'a str,
    /// `task.kind`.
    pub kind: Option<TaskName>,
    /// Whether the student starts from trained weights.
    pub starts_trained: bool,
}

impl Recipe {
    /// The defaults for a student.
    ///
    /// Of networks that segment (mmsegmentation's protocols where nothing else is said):
    ///
    /// | | CNN | SegFormer (section 4.1) |
    /// | --- | --- | --- |
    /// | `data.batch` | 8 | 8 |
    /// | `augment` | scale 0.5 to 2 and crop, mirrored half the time | the same |
    /// | `optimizer` | SGD, 0.01, momentum 0.9, decay 5e-4 | AdamW, 6e-5 and 10 times that for the head from trained weights, 5e-4 from none; decay 0.01, not of norms |
    /// | `schedule` | polynomial, power 0.9 | polynomial, power 1, after one epoch of warm-up |
    pub(super) fn defaults(grounds: Grounds<'_>) -> Self {
        let base = Self::default();
        let base = Self {
            student: StudentRecipe {
                model: match grounds.model {
                    "" => base.student.model.clone(),
                    model => model.to_owned(),
                },
                ..base.student.clone()
            },
            ..base
        };
        let of_model = || model::find(&base.student.model).ok().map(|it| it.task);
        let kind = grounds.kind.map(TaskKind::from).or_else(of_model);
        if kind != Some(TaskKind::Segmentation) {
            return base;
        }
        let name = base.student.model.to_lowercase();
        let (optimizer, schedule) = match name.starts_with("segformer") {
            true => segformer(grounds.starts_trained),
            false => convolutional(),
        };
        Self {
            data: DataRecipe {
                batch: 8,
                ..base.data.clone()
            },
            augment: Augment {
                flip: 0.5,
                pad_crop: None,
                random_scale: Some(RandomScale::default()),
                ..base.augment.clone()
            },
            optimizer,
            schedule,
            ..base
        }
    }
}

fn convolutional() -> (OptimizerRecipe, ScheduleRecipe) {
    let optimizer = OptimizerRecipe {
        learning_rate: 0.01,
        ..OptimizerRecipe::of(OptimizerName::Sgd)
    };
    let schedule = ScheduleRecipe {
        name: ScheduleName::Polynomial,
        ..ScheduleRecipe::default()
    };
    (optimizer, schedule)
}

fn segformer(starts_trained: bool) -> (OptimizerRecipe, ScheduleRecipe) {
    let (learning_rate, head_factor) = match starts_trained {
        true => (6e-5, 10.0),
        false => (5e-4, 1.0),
    };
    let optimizer = OptimizerRecipe {
        learning_rate,
        head_factor,
        decay_norms: false,
        ..OptimizerRecipe::of(OptimizerName::AdamW)
    };
    let schedule = ScheduleRecipe {
        name: ScheduleName::Polynomial,
        power: 1.0,
        warmup_epochs: 1.0,
        ..ScheduleRecipe::default()
    };
    (optimizer, schedule)
}
