//! What a recipe is where nothing is said, which for networks that segment and for what is pre-trained
//! is something else than for classifiers.

use limbeck_data::{Augment, BoxAffine, ColourJitter, HsvJitter, RandomResizedCrop, RandomScale};
use limbeck_nn::{TaskKind, model};

use super::{
    DataRecipe, DetectionRecipe, OptimizerName, OptimizerRecipe, Recipe, ScheduleName,
    ScheduleRecipe, StudentRecipe, TaskName, TaskRecipe, TrainRecipe,
};

/// What of a recipe decides its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grounds<'a> {
    /// `student.model`.
    pub model: &'a str,
    /// `task.kind`.
    pub kind: Option<TaskName>,
    /// Whether the method pre-trains.
    pub pretrains: bool,
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
    ///
    /// Of transformers that are pre-trained (MAE, table 8, where nothing else is said):
    ///
    /// | | |
    /// | --- | --- |
    /// | `augment` | crops of 20 to 100 % of the area, mirrored half the time |
    /// | `optimizer` | AdamW, β 0.9 and 0.95, decay 0.05, not of norms; learning rate 1e-3 |
    /// | `schedule` | cosine after one epoch of warm-up |
    ///
    /// MAE's rate, 1.5e-4 for 256 images a step, is for 400 epochs of a million images: a run of minutes
    /// has a thousandth of its steps.
    ///
    /// Of other networks that are pre-trained, by telling views apart (He et al., "Momentum Contrast", and
    /// its second version's colours):
    ///
    /// | | |
    /// | --- | --- |
    /// | `augment` | the same crops, mirrored half the time, colours 0.4, hue 0.1 |
    /// | `optimizer` | SGD, 0.03, momentum 0.9, decay 1e-4 |
    ///
    /// Of detectors (YOLOv5 5.0, `data/hyps/hyp.scratch.yaml` and `train.py`):
    ///
    /// | | |
    /// | --- | --- |
    /// | `data.batch` | 16 |
    /// | `augment` | mosaic, scale 0.5 to 1.5 and moved by a tenth, hue, saturation and value, mirrored half the time |
    /// | `optimizer` | SGD with Nesterov, 0.01, momentum 0.937, decay 1.25e-4, not of norms; in runs of fewer than 10,000 steps AdamW, 0.01 / (4 + classes), decay 0.01 |
    /// | `schedule` | cosine to a fifth after 1,000 steps of warm-up, at most a fifth of the run, biases from 0.1 (of SGD), momentum from 0.8 |
    /// | `train.average` | 0.9999, over 2,000 steps |
    ///
    /// YOLOv5's decay of 5e-4 is of a step of 64 images, which it adds up; here a step has 16.
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
        let found = model::find(&base.student.model).ok();
        let of_family = |families: &[&str]| {
            let family = found.as_ref().map(|it| it.family);
            family.is_some_and(|family| families.contains(&family))
        };
        if grounds.pretrains && of_family(&TRANSFORMERS) {
            return pretraining(base);
        }
        if grounds.pretrains {
            return contrasting(base);
        }
        let of_model = || found.as_ref().map(|it| it.task);
        let kind = grounds.kind.map(TaskKind::from).or_else(of_model);
        if kind == Some(TaskKind::Detection) {
            return detection(base);
        }
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

/// Steps of a detector's warm-up, where nothing is said of it and the run is long enough (`train.py` of YOLOv5,
/// where it is three epochs if these are more).
pub(crate) const DETECTOR_WARMUP: usize = 1_000;

/// Share of the learning rate that is left at the end of a detector's run, where nothing is said of it (`lrf` of
/// YOLOv5 5.0).
pub(crate) const DETECTOR_MINIMUM: f64 = 0.2;

fn detection(base: Recipe) -> Recipe {
    Recipe {
        task: TaskRecipe {
            detection: Some(DetectionRecipe::default()),
            ..base.task
        },
        data: DataRecipe {
            batch: 16,
            ..base.data
        },
        augment: Augment {
            flip: 0.5,
            pad_crop: None,
            mosaic: 1.0,
            random_affine: Some(BoxAffine::default()),
            hsv_jitter: Some(HsvJitter::default()),
            ..base.augment
        },
        optimizer: OptimizerRecipe {
            learning_rate: 0.01,
            momentum: 0.937,
            nesterov: true,
            weight_decay: 1.25e-4,
            decay_norms: false,
            ..OptimizerRecipe::of(OptimizerName::Auto)
        },
        schedule: ScheduleRecipe {
            minimum: 0.01 * DETECTOR_MINIMUM,
            warmup_iterations: Some(DETECTOR_WARMUP),
            warmup_biases: Some(0.1),
            warmup_momentum: Some(0.8),
            ..base.schedule
        },
        train: TrainRecipe {
            average: Some(0.9999),
            average_ramp: Some(2_000.0),
            ..base.train
        },
        ..base
    }
}

impl Recipe {
    /// What a detector's recipe is where nothing is said.
    pub(crate) fn of_detectors() -> Self {
        detection(Self::default())
    }

    /// Whether it is known to be about objects, from its task or its student.
    pub(super) fn detects(&self) -> bool {
        let of_model = || Some(model::find(&self.student.model).ok()?.task);
        let kind = self.task.kind.map(TaskKind::from).or_else(of_model);
        kind == Some(TaskKind::Detection)
    }
}

/// Families of the zoo that AdamW trains.
const TRANSFORMERS: [&str; 3] = ["vit", "tinyvit", "swin"];

/// Least share of an image's area that is shown: MAE, table 8, and MoCo alike.
const LEAST_AREA: f64 = 0.2;

/// Crops, mirrored half the time.
fn cropped(augment: Augment) -> Augment {
    let crop = RandomResizedCrop {
        scale: [LEAST_AREA, 1.0],
        ..RandomResizedCrop::default()
    };
    Augment {
        flip: 0.5,
        pad_crop: None,
        random_resized_crop: Some(crop),
        ..augment
    }
}

fn contrasting(base: Recipe) -> Recipe {
    let colours = ColourJitter {
        hue: 0.1,
        ..ColourJitter::default()
    };
    Recipe {
        augment: Augment {
            colour_jitter: Some(colours),
            ..cropped(base.augment)
        },
        optimizer: OptimizerRecipe {
            learning_rate: 0.03,
            weight_decay: 1e-4,
            ..OptimizerRecipe::of(OptimizerName::Sgd)
        },
        ..base
    }
}

fn pretraining(base: Recipe) -> Recipe {
    Recipe {
        augment: cropped(base.augment),
        optimizer: OptimizerRecipe {
            weight_decay: 0.05,
            decay_norms: false,
            beta2: 0.95,
            ..OptimizerRecipe::of(OptimizerName::AdamW)
        },
        schedule: ScheduleRecipe {
            warmup_epochs: 1.0,
            ..base.schedule
        },
        ..base
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
