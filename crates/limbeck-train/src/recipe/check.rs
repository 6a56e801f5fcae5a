//! The ranges of a recipe's values.

use std::fmt::Display;

use limbeck_data::{Augment, DataError};
use limbeck_methods::{METHODS, MethodError};

use super::{DetectionRecipe, Mistake, Place, QuantiseRecipe, Recipe, RecipeError};
use crate::{cache::cache_folder, model_facts::parse_normalisation};

impl Recipe {
    /// Checks every value's range.
    ///
    /// # Errors
    /// The first value that is out of range, with what is allowed.
    pub fn check(&self) -> Result<(), RecipeError> {
        self.mistake()
            .map_err(|mistake| mistake.at(Place::default()))
    }

    /// The same where the method is not one of the catalogue.
    ///
    /// # Errors
    /// As [`Recipe::check`].
    pub(crate) fn check_but_method(&self) -> Result<(), RecipeError> {
        self.mistake_but_method()
            .map_err(|mistake| mistake.at(Place::default()))
    }

    /// The same, for [`super::Layers::resolve`] to add where the value was written.
    pub(super) fn mistake(&self) -> Result<(), Mistake> {
        self.check_method()?;
        self.mistake_but_method()
    }

    fn mistake_but_method(&self) -> Result<(), Mistake> {
        self.check_data()?;
        self.check_teacher()?;
        self.check_augment()?;
        self.check_optimizer()?;
        self.check_schedule()?;
        self.check_task()?;
        self.check_evaluate()?;
        self.check_probe()?;
        self.check_train()
    }

    fn check_task(&self) -> Result<(), Mistake> {
        let it = &self.task;
        at_least_zero("task.auxiliary_weight", it.auxiliary_weight)?;
        let weights = it.class_weights.iter().flat_map(|weights| weights.values());
        for weight in weights {
            at_least_zero("task.class_weights", weight)?;
        }
        if let Some(rate) = it.later_rate {
            positive("task.later_rate", rate)?;
        }
        if let Some(detection) = &it.detection {
            check_detection(detection)?;
        }
        let Some(ohem) = it.ohem else {
            return Ok(());
        };
        for (key, value) in [
            ("task.ohem.threshold", ohem.threshold),
            ("task.ohem.least", ohem.least),
        ] {
            number(
                key,
                value,
                value > 0.0 && value <= 1.0,
                "above 0 and at most 1",
            )?;
        }
        Ok(())
    }

    fn check_probe(&self) -> Result<(), Mistake> {
        let it = &self.probe;
        at_least_one("probe.neighbours", it.neighbours)?;
        at_least_one("probe.bank", it.bank)?;
        at_least_one("probe.every", it.every)
    }

    fn check_evaluate(&self) -> Result<(), Mistake> {
        let it = &self.evaluate;
        let sides = [
            ("evaluate.window", it.window),
            ("evaluate.stride", it.stride),
        ];
        for (key, sides) in sides {
            for side in sides.into_iter().flatten() {
                bounded(key, side, 1 << 13)?;
            }
        }
        let window = it.window.unwrap_or(self.augment.size);
        if let Some(stride) = it.stride
            && window != [0, 0]
        {
            fits(
                "evaluate.stride",
                format!("{stride:?}"),
                stride[0] <= window[0] && stride[1] <= window[1],
                &format!("at most the window {window:?}, so that no pixel is left out"),
            )?;
        }
        fits(
            "evaluate.scales",
            format!("{:?}", it.scales),
            !it.scales.is_empty(),
            "one factor or more",
        )?;
        for &scale in &it.scales {
            number(
                "evaluate.scales",
                scale,
                (0.1..=8.0).contains(&scale),
                "from 0.1 to 8",
            )?;
        }
        number(
            "evaluate.boundary",
            it.boundary,
            it.boundary > 0.0 && it.boundary < 0.5,
            "above 0 and below 0.5",
        )?;
        for (key, value) in [
            ("evaluate.confidence", it.confidence),
            ("evaluate.overlap", it.overlap),
        ] {
            number(key, value, (0.0..=1.0).contains(&value), "from 0 to 1")?;
        }
        bounded("evaluate.detections", it.detections, 100_000)
    }

    fn check_bits(&self) -> Result<(), Mistake> {
        let it = &self.student;
        let refuse = |key: &str, reason: &str| {
            Err(Mistake::Refused {
                key: key.to_owned(),
                reason: reason.to_owned(),
            })
        };
        if let Some(threshold) = it.hybrid_threshold {
            positive("student.hybrid_threshold", threshold)?;
            if it.quantise != Some(QuantiseRecipe::Hybrid) {
                return refuse(
                    "student.hybrid_threshold",
                    "found without student.quantise = \"hybrid\", which alone reads it; leave it out",
                );
            }
        }
        match it.quantise {
            None if it.quantiser.is_some() => refuse(
                "student.quantiser",
                "found without student.quantise, which says how many bits; leave it out",
            ),
            Some(_) if self.task.continual.is_some() => refuse(
                "student.quantise",
                "classes that are learnt in steps are learnt in full precision; leave it out",
            ),
            _ => Ok(()),
        }
    }

    fn check_data(&self) -> Result<(), Mistake> {
        let data = &self.data;
        let share = data.validation;
        text("data.path", &data.path)?;
        text("student.model", &self.student.model)?;
        if let (Some(backbone), Some(_)) = (&self.student.backbone, &self.student.weights) {
            return Err(Mistake::Refused {
                key: "student.backbone".to_owned(),
                reason: format!(
                    "found `{backbone}`, and student.weights, from which all of the student starts; \
                     leave one of them out"
                ),
            });
        }
        self.check_bits()?;
        number(
            "data.validation",
            share,
            share > 0.0 && share < 1.0,
            "above 0 and below 1",
        )?;
        if let Some(shots) = data.shots {
            count("data.shots", shots)?;
        }
        if let Some(limit) = data.limit {
            count("data.limit", limit)?;
        }
        if let Some(scale) = data.scale {
            number(
                "data.scale",
                scale,
                scale > 0.0 && scale <= 1.0,
                "above 0 and at most 1",
            )?;
        }
        if let Some(block) = &data.block {
            text("data.block", block)?;
        }
        if let Some(target) = &data.target {
            text("data.target.path", &target.path)?;
            number(
                "data.target.share",
                target.share,
                (0.0..=0.5).contains(&target.share),
                "from 0 to 0.5",
            )?;
        }
        if let Some(seed) = data.view_seed {
            fits(
                "data.view_seed",
                seed,
                seed <= i64::MAX as u64,
                "a whole number below 2^63",
            )?;
        }
        if let Some(views) = data.views {
            count("data.views", views)?;
        }
        bounded("data.batch", data.batch, 1 << 20)?;
        fits(
            "data.split_seed",
            data.split_seed,
            data.split_seed <= i64::MAX as u64,
            "a whole number below 2^63",
        )?;
        // As many as the loader starts.
        let most = 1024;
        fits(
            "data.workers",
            data.workers,
            data.workers <= most,
            "a whole number from 0 to 1024",
        )
    }

    fn check_teacher(&self) -> Result<(), Mistake> {
        let teacher = &self.teacher;
        let stored = teacher.source.as_deref().and_then(cache_folder).is_some();
        if let Some(backbone) = teacher.backbone.as_ref().filter(|_| stored) {
            return Err(Mistake::Refused {
                key: "teacher.backbone".to_owned(),
                reason: format!(
                    "found `{backbone}`, and the teacher's outputs are stored in a cache, where no \
                     backbone has a part; leave it out, or name a model of the zoo as the teacher"
                ),
            });
        }
        if let Some(size) = teacher.size {
            bounded("teacher.size", size, 1 << 13)?;
        }
        // For one channel and for three the same texts can be read, those of three named channels
        // excepted.
        let Some(text) = &teacher.normalisation else {
            return Ok(());
        };
        let [grey, colour] = [1, 3].map(|channels| parse_normalisation(text, channels));
        match (grey, colour) {
            (Err(_), Err(error)) => Err(Mistake::Refused {
                key: "teacher.normalisation".to_owned(),
                reason: error.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Size and channels that are left to the data (0) are not looked at.
    fn check_augment(&self) -> Result<(), Mistake> {
        let mut augment = self.augment.clone();
        let shown = Augment::default();
        if augment.size == [0, 0] {
            augment.size = shown.size;
        }
        if augment.channels == 0 {
            let given = augment.normalisation.as_ref();
            augment.channels = given.map_or(shown.channels, |given| given.mean.len());
        }
        augment.check().map_err(|error| match error {
            DataError::Setting {
                key,
                expected,
                found,
            } => Mistake::Value {
                key: format!("augment.{key}"),
                expected,
                found,
            },
            other => Mistake::Refused {
                key: "augment".to_owned(),
                reason: other.to_string(),
            },
        })
    }

    fn check_method(&self) -> Result<(), Mistake> {
        const KEY: &str = "method.name";
        match limbeck_methods::check_trainable(&self.method.name) {
            Ok(()) => Ok(()),
            Err(MethodError::UnknownMethod { name, .. }) => {
                let ids = METHODS.iter().map(|entry| entry.id);
                Err(Mistake::unknown_name(KEY, &name, ids))
            }
            Err(other) => Err(Mistake::Refused {
                key: KEY.to_owned(),
                reason: other.to_string(),
            }),
        }
    }

    fn check_optimizer(&self) -> Result<(), Mistake> {
        let it = &self.optimizer;
        let below_one = |key, value| {
            number(
                key,
                value,
                (0.0..1.0).contains(&value),
                "of at least 0 and below 1",
            )
        };
        positive("optimizer.learning_rate", it.learning_rate)?;
        below_one("optimizer.momentum", it.momentum)?;
        number(
            "optimizer.dampening",
            it.dampening,
            (0.0..=1.0).contains(&it.dampening),
            "from 0 to 1",
        )?;
        at_least_zero("optimizer.weight_decay", it.weight_decay)?;
        below_one("optimizer.beta1", it.beta1)?;
        below_one("optimizer.beta2", it.beta2)?;
        positive("optimizer.epsilon", it.epsilon)?;
        positive("optimizer.head_factor", it.head_factor)?;
        let decay = it.layer_decay;
        let range = decay > 0.0 && decay <= 1.0;
        number(
            "optimizer.layer_decay",
            decay,
            range,
            "above 0 and at most 1",
        )?;
        fits(
            "optimizer.nesterov",
            it.nesterov,
            !it.nesterov || (it.momentum > 0.0 && it.dampening == 0.0),
            "false where momentum is 0 or dampening is not 0",
        )
    }

    fn check_schedule(&self) -> Result<(), Mistake> {
        let it = &self.schedule;
        let epochs = self.train.epochs as f64;
        let rising = it.milestones.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = it.milestones.iter().all(|&at| at > 0.0 && at < 1.0);
        fits(
            "schedule.milestones",
            format!("{:?}", it.milestones),
            rising && inside,
            "rising shares of the run, each above 0 and below 1",
        )?;
        number(
            "schedule.gamma",
            it.gamma,
            it.gamma > 0.0 && it.gamma <= 1.0,
            "above 0 and at most 1",
        )?;
        positive("schedule.power", it.power)?;
        let peak = self.optimizer.learning_rate;
        number(
            "schedule.minimum",
            it.minimum,
            (0.0..=peak).contains(&it.minimum),
            &format!("from 0 to optimizer.learning_rate ({peak})"),
        )?;
        number(
            "schedule.warmup_start",
            it.warmup_start,
            (0.0..=peak).contains(&it.warmup_start),
            &format!("from 0 to optimizer.learning_rate ({peak})"),
        )?;
        if let (Some(warmup), Some(all)) = (it.warmup_iterations, self.train.iterations) {
            fits(
                "schedule.warmup_iterations",
                warmup,
                warmup <= all,
                &format!("at most train.iterations ({all})"),
            )?;
        }
        if let Some(rate) = it.warmup_biases {
            at_least_zero("schedule.warmup_biases", rate)?;
        }
        if let Some(momentum) = it.warmup_momentum {
            number(
                "schedule.warmup_momentum",
                momentum,
                (0.0..1.0).contains(&momentum),
                "of at least 0 and below 1",
            )?;
        }
        number(
            "schedule.warmup_epochs",
            it.warmup_epochs,
            (0.0..=epochs).contains(&it.warmup_epochs),
            &format!("from 0 to train.epochs ({epochs})"),
        )
    }

    fn check_train(&self) -> Result<(), Mistake> {
        let it = &self.train;
        count("train.epochs", it.epochs)?;
        if let Some(iterations) = it.iterations {
            bounded("train.iterations", iterations, 1 << 40)?;
        }
        bounded("train.seeds", it.seeds, 1000)?;
        // TOML's whole numbers end here; the last student's seed must fit too.
        let last = it.seed.checked_add(it.seeds as u64);
        fits(
            "train.seed",
            it.seed,
            last.is_some_and(|last| last <= i64::MAX as u64),
            "a whole number that leaves room for train.seeds below 2^63",
        )?;
        number(
            "train.label_smoothing",
            it.label_smoothing,
            (0.0..1.0).contains(&it.label_smoothing),
            "of at least 0 and below 1",
        )?;
        if let Some(norm) = it.clip_norm {
            positive("train.clip_norm", norm)?;
        }
        if let Some(decay) = it.average {
            number(
                "train.average",
                decay,
                decay > 0.0 && decay < 1.0,
                "above 0 and below 1",
            )?;
        }
        if let Some(steps) = it.average_ramp {
            number("train.average_ramp", steps, steps > 0.0, "above 0")?;
        }
        count("train.accumulate", it.accumulate)?;
        count("train.choose_epochs", it.choose_epochs)?;
        match it.threads {
            Some(threads) => bounded("train.threads", threads, 1024),
            None => Ok(()),
        }
    }
}

fn check_detection(it: &DetectionRecipe) -> Result<(), Mistake> {
    at_least_zero("task.detection.box_gain", it.box_gain)?;
    at_least_zero("task.detection.objectness_gain", it.objectness_gain)?;
    at_least_zero("task.detection.class_gain", it.class_gain)?;
    at_least_zero("task.detection.focal_gamma", it.focal_gamma)?;
    number(
        "task.detection.anchor_ratio",
        it.anchor_ratio,
        it.anchor_ratio > 1.0,
        "above 1",
    )?;
    let sides = it.anchors.iter().flatten().flatten().flatten();
    for &side in sides {
        positive("task.detection.anchors", side)?;
    }
    Ok(())
}

fn fits(key: &str, found: impl Display, is_in_range: bool, expected: &str) -> Result<(), Mistake> {
    if is_in_range {
        return Ok(());
    }
    Err(Mistake::Value {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    })
}

fn number(key: &str, value: f64, is_in_range: bool, range: &str) -> Result<(), Mistake> {
    let expected = format!("a number {range}");
    fits(key, value, is_in_range && value.is_finite(), &expected)
}

fn at_least_one(key: &str, value: usize) -> Result<(), Mistake> {
    number(key, value as f64, value >= 1, "at least 1")
}

fn positive(key: &str, value: f64) -> Result<(), Mistake> {
    number(key, value, value > 0.0, "above 0")
}

fn at_least_zero(key: &str, value: f64) -> Result<(), Mistake> {
    number(key, value, value >= 0.0, "of at least 0")
}

fn count(key: &str, value: usize) -> Result<(), Mistake> {
    fits(key, value, value >= 1, "a whole number of at least 1")
}

fn bounded(key: &str, value: usize, most: usize) -> Result<(), Mistake> {
    count(key, value)?;
    let expected = format!("a whole number of at most {most}");
    fits(key, value, value <= most, &expected)
}

fn text(key: &str, value: &str) -> Result<(), Mistake> {
    let is_given = !value.trim().is_empty();
    fits(key, "an empty text", is_given, "a text that is not empty")
}
