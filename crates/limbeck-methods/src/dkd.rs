//! # dkd — Decoupled Knowledge Distillation
//!
//! The divergence of `kd` is the sum of one part about the target class and one about the others,
//! the second silenced on images of which the teacher is sure. Here each has a weight of its own.
//!
//! ## Definition
//! L = ce_weight · CE(z, y) + min(e / warmup_epochs, 1) · (alpha · TCKD + beta · NCKD)   (eq. 7)
//!
//! TCKD = T²/B · Σ_b KL(b_t ‖ b_s) with b = (p_y, 1 − p_y), p = softmax(z/T);
//! NCKD = T²/B · Σ_b KL(p̂_t ‖ p̂_s) with p̂ = softmax over the K − 1 other classes of z/T.
//! z: logits, s: student, t: teacher (detached), y: label, T: `temperature`, e: epoch from 1.
//!
//! ## Inputs and shapes
//! Student and teacher logits `[B, K]`, K ≥ 2, labels `[B]`. Under mixing, the target is the class
//! with the greater share. Of networks that segment, each pixel that is not void is a row, on the
//! student's grid.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | authors' CIFAR-100 settings; 1 for ImageNet |
//! | `alpha` | 1 | ≥ 0 | same |
//! | `beta` | 8 | ≥ 0 | same, R32x4→R8x4 and ShuffleNets; 6 for VGG and WRN pairs, 2 for R56→R20; ImageNet 0.5 or 2 |
//! | `warmup_epochs` | 20 | ≥ 1 | same; 1 for ImageNet |
//! | `ce_weight` | 1 | ≥ 0 | same |
//!
//! ## Notes
//! The authors' code hides the target by subtracting 1000 from its logit and takes logarithms of
//! summed probabilities; here the target is left out and all is done in logarithms, which is equal
//! up to rounding and finite for any logits. For K = 2, NCKD is 0. Cost: that of `kd`.
//!
//! ## Reference
//! Zhao, Cui, Song, Qiu, Liang. "Decoupled Knowledge Distillation". CVPR 2022.
//! <https://arxiv.org/abs/2203.08679>
//! Authors' code: <https://github.com/megvii-research/mdistiller> (a08d46f10d61, MIT).

#[cfg(test)]
pub mod golden;

use burn::tensor::{Int, Tensor};
use limbeck_nn::{Builder, Pass};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    criterion::{require_at_least, require_positive, require_teacher, require_weight, warmup},
    softmax::{log_sum_exp, other_classes, softened_kl},
};

/// Settings of [`Dkd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DkdConfig {
    /// Softens all distributions.
    pub temperature: f64,
    /// Factor of the target's part.
    pub alpha: f64,
    /// Factor of the other classes' part.
    pub beta: f64,
    /// Epochs over which both factors rise to their full size.
    pub warmup_epochs: usize,
    /// Factor of the cross entropy with the labels.
    pub ce_weight: f64,
}

impl Default for DkdConfig {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            alpha: 1.0,
            beta: 8.0,
            warmup_epochs: 20,
            ce_weight: 1.0,
        }
    }
}

/// Target and other classes, weighed apart.
#[derive(Clone, Debug)]
pub struct Dkd {
    config: DkdConfig,
}

impl Dkd {
    const ID: &'static str = "dkd";

    /// Checks the settings.
    ///
    /// # Errors
    /// A setting out of range, no teacher, or a single class.
    pub fn new(
        config: DkdConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "alpha", config.alpha)?;
        require_weight(Self::ID, "beta", config.beta)?;
        require_at_least(Self::ID, "warmup_epochs", config.warmup_epochs, 1)?;
        require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        if probe.classes < 2 {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "target and other classes need at least 2 classes, found {}",
                    probe.classes
                ),
            });
        }
        Ok(Self { config })
    }

    /// TCKD and NCKD, `[1]` each, from logits `[B, K]` and labels `[B]`.
    pub fn parts(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        labels: &Tensor<1, Int>,
    ) -> (Tensor<1>, Tensor<1>) {
        let [batch, _] = student.dims();
        let temperature = self.config.temperature;
        let others = other_classes(&student, labels);
        let columns = labels.clone().reshape([batch, 1]);
        let split = |logits: Tensor<2>| {
            let logits = logits.mul_scalar(1.0 / temperature);
            let target = logits.clone().gather(1, columns.clone());
            let others = logits.gather(1, others.clone());
            // The logits of two classes: the target, and whichever other one.
            let binary = Tensor::cat(vec![target, log_sum_exp(others.clone())], 1);
            (binary, others)
        };
        let (student_binary, student_others) = split(student);
        let (teacher_binary, teacher_others) = split(teacher);
        let scale = temperature * temperature;
        (
            softened_kl(student_binary, teacher_binary, 1.0).mul_scalar(scale),
            softened_kl(student_others, teacher_others, 1.0).mul_scalar(scale),
        )
    }
}

impl Criterion for Dkd {
    fn needs(&self) -> Needs {
        Needs {
            logits: true,
            ..Needs::default()
        }
    }

    fn task_weight(&self) -> f64 {
        self.config.ce_weight
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let (student, teacher, labels) = step.labelled_rows(Self::ID)?;
        let (target, others) = self.parts(student, teacher, &labels);
        let share = warmup(step.progress, self.config.warmup_epochs);
        Ok(vec![
            Term::new("tckd", target, share * self.config.alpha),
            Term::new("nckd", others, share * self.config.beta),
        ])
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Outputs;

    use super::*;
    use crate::softmax::softened_kl;
    use crate::testing::{
        assert_close, build, gradient, labels, leaf, number, numbers, probe, random, tensor,
        terms_at,
    };

    fn make(config: DkdConfig) -> Dkd {
        build(&probe(&[], &[]), |p, b| Dkd::new(config, p, b))
            .unwrap()
            .0
    }

    fn parts(student: Tensor<2>, teacher: Tensor<2>, y: &[i64]) -> [f64; 2] {
        let (target, others) = make(DkdConfig::default()).parts(student, teacher, &labels(y));
        [number(&target), number(&others)]
    }

    #[test]
    fn weighed_by_what_the_teacher_leaves_to_the_others_the_parts_add_up_to_kd() {
        let (student, teacher) = (random("s", [1, 5]), random("t", [1, 5]));
        let [target, others] = parts(student.clone(), teacher.clone(), &[2]);
        let p = numbers(
            &burn::tensor::activation::log_softmax(teacher.clone().div_scalar(4.0), 1).exp(),
        )[2];
        let kd = number(&softened_kl(student, teacher, 4.0));
        assert_close(&[target + (1.0 - p) * others], &[kd]);
    }

    #[test]
    fn equal_logits_cost_nothing_and_others_something() {
        let (student, teacher) = (random("s", [3, 5]), random("t", [3, 5]));
        assert_close(
            &parts(student.clone(), student.clone(), &[0, 2, 4]),
            &[0.0, 0.0],
        );
        assert!(
            parts(student, teacher, &[0, 2, 4])
                .iter()
                .all(|&part| part > 1e-3)
        );
    }

    #[test]
    fn the_other_classes_part_ignores_the_target_logit_and_both_ignore_shifts() {
        let (student, teacher) = (random("s", [2, 4]), random("t", [2, 4]));
        let before = parts(student.clone(), teacher.clone(), &[0, 3]);
        let target = tensor(vec![9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -5.0], [2, 4]);
        let after = parts(
            student.clone() + target.clone(),
            teacher.clone() + target,
            &[0, 3],
        );
        assert_close(&[after[1]], &[before[1]]);
        assert!((after[0] - before[0]).abs() > 1e-3);
        let shift = tensor(vec![100.0, -3.0], [2, 1]);
        let shifted = parts(student + shift.clone(), teacher - shift, &[0, 3]);
        assert_close(&shifted, &before);
    }

    #[test]
    fn the_targets_gradient_sums_to_zero_over_classes() {
        let student = leaf(random("s", [2, 4]));
        let method = make(DkdConfig::default());
        let (target, _) = method.parts(student.clone(), random("t", [2, 4]), &labels(&[1, 2]));
        let gradient = gradient(&student, &target.backward()).unwrap();
        for row in gradient.chunks(4) {
            assert_close(&[row.iter().sum()], &[0.0]);
        }
    }

    #[test]
    fn two_classes_leave_nothing_for_the_others_and_great_logits_stay_finite() {
        let great = tensor(vec![1e4, -1e4, 0.0, 1e4], [2, 2]);
        let [target, others] = parts(great.clone(), great.neg(), &[0, 1]);
        assert!(target.is_finite() && target > 0.0);
        assert_eq!(others, 0.0);
    }

    #[test]
    fn both_weights_rise_over_the_warm_up() {
        let (mut method, store) = build(&probe(&[], &[]), |p, b| {
            Dkd::new(DkdConfig::default(), p, b)
        })
        .unwrap();
        let student = Outputs::from_logits(random("s", [4, 5]));
        let teacher = Outputs::from_logits(random("t", [4, 5]));
        for (epoch, share) in [(0, 0.05), (9, 0.5), (19, 1.0), (99, 1.0)] {
            let terms = terms_at(epoch, &mut method, &store, &student, &teacher);
            assert_close(&[terms[0].weight, terms[1].weight], &[share, 8.0 * share]);
        }
    }

    #[test]
    fn settings_out_of_range_and_a_single_class_are_refused() {
        let default = DkdConfig::default;
        for (config, key) in [
            (
                DkdConfig {
                    temperature: 0.0,
                    ..default()
                },
                "temperature",
            ),
            (
                DkdConfig {
                    alpha: -1.0,
                    ..default()
                },
                "alpha",
            ),
            (
                DkdConfig {
                    beta: f64::NAN,
                    ..default()
                },
                "beta",
            ),
            (
                DkdConfig {
                    warmup_epochs: 0,
                    ..default()
                },
                "warmup_epochs",
            ),
            (
                DkdConfig {
                    ce_weight: -0.1,
                    ..default()
                },
                "ce_weight",
            ),
        ] {
            let error = build(&probe(&[], &[]), |p, b| Dkd::new(config, p, b)).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
        let mut probe = probe(&[], &[]);
        probe.classes = 1;
        let error = build(&probe, |p, b| Dkd::new(default(), p, b)).unwrap_err();
        assert!(error.to_string().contains("at least 2 classes"), "{error}");
    }
}
