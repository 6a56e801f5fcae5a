//! # kd — Distilling the Knowledge in a Neural Network
//!
//! The student's softened class distribution is pulled towards the teacher's.
//!
//! ## Definition
//! L = ce_weight · CE(z, y) + kd_weight · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T))
//!
//! z: student logits, u: teacher logits (detached), T: `temperature`. T² keeps the size of the
//! soft gradient at the hard one's: ∂/∂z = (T/B)(softmax(z/T) − softmax(u/T)).
//!
//! ## Inputs and shapes
//! Student and teacher logits `[B, K]`, labels `[B]`. Of networks that segment, each pixel that is
//! not void is a row, on the student's grid. Of detectors, each anchor of each cell in which a box is to be
//! learnt, or the teacher sees one with a probability of 0.05 or more, is a row of 1 + K logits: the
//! log-probabilities of no object and of an object of each class, ln σ(o) + ln softmax(c). Their divergence is that
//! of objectness and, as far as the teacher sees an object, of classes (Mehta and Ozturk, "Object detection at 200
//! frames per second", ECCV workshops 2018); boxes are learnt from labels.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | CIFAR protocol of RepDistiller and mdistiller; ImageNet uses 1 |
//! | `ce_weight` | 0.1 | ≥ 0 | same; ImageNet uses 0.5 |
//! | `kd_weight` | 0.9 | ≥ 0 | same; ImageNet uses 0.5 |
//!
//! ## Notes
//! Of detectors all three are 1 where a recipe says nothing: a tenth of their labels' loss would teach no boxes,
//! and their rows are of few classes.
//!
//! The paper leaves the weights open; its advice to multiply by T² is followed. Classes are
//! summed and the batch averaged; code that averages over classes too has another weight.
//! A student that cannot tell classes apart yet answers with the mean of the softened distributions,
//! whose largest entry is a class that resembles many others rather than the most frequent one: until
//! it has learnt more, its accuracy can be below that of labels alone. At a temperature of 1 it was not
//! (`docs/PRETRAINING.md`, "Tokens of single pixels").
//! Cost: one forward pass of the teacher.
//!
//! ## Reference
//! Hinton, Vinyals, Dean. "Distilling the Knowledge in a Neural Network". NIPS 2014 Deep Learning
//! Workshop. <https://arxiv.org/abs/1503.02531>

#[cfg(test)]
pub mod golden;

use limbeck_nn::{Builder, Pass};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    criterion::{require_positive, require_teacher, require_weight},
    softmax::softened_kl,
};

/// Settings of [`Kd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KdConfig {
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the cross entropy with the labels.
    pub ce_weight: f64,
    /// Factor of the divergence from the teacher.
    pub kd_weight: f64,
}

impl Default for KdConfig {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            ce_weight: 0.1,
            kd_weight: 0.9,
        }
    }
}

/// Softened logits.
#[derive(Clone, Debug)]
pub struct Kd {
    config: KdConfig,
}

impl Kd {
    const ID: &'static str = "kd";

    /// Checks the settings.
    ///
    /// # Errors
    /// A temperature that is not positive, a negative weight, or no teacher.
    pub fn new(
        config: KdConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        Ok(Self { config })
    }
}

impl Criterion for Kd {
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
        let (student, teacher) = step.rows(Self::ID)?;
        let value = softened_kl(student, teacher, self.config.temperature);
        Ok(vec![Term::new("kd", value, self.config.kd_weight)])
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use limbeck_nn::Outputs;

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, number, numbers, probe, random, tensor, terms,
    };

    fn kl(student: Tensor<2>, teacher: Tensor<2>) -> f64 {
        let (mut method, store) = build(&probe(&[], &[]), |probe, builder| {
            Kd::new(KdConfig::default(), probe, builder)
        })
        .unwrap();
        let student = Outputs::from_logits(student);
        let teacher = Outputs::from_logits(teacher);
        number(&terms(&mut method, &store, &student, &teacher)[0].value)
    }

    #[test]
    fn equal_logits_cost_nothing_and_others_something() {
        let logits = random("a", [4, 5]);
        assert_close(&[kl(logits.clone(), logits.clone())], &[0.0]);
        assert!(kl(logits, random("b", [4, 5])) > 0.01);
    }

    #[test]
    fn a_constant_added_to_the_logits_of_an_image_changes_nothing() {
        let (student, teacher) = (random("a", [4, 5]), random("b", [4, 5]));
        let shift = random("shift", [4, 1]).mul_scalar(10.0);
        let before = kl(student.clone(), teacher.clone());
        assert_close(
            &[kl(student.clone() + shift.clone(), teacher.clone())],
            &[before],
        );
        assert_close(&[kl(student, teacher + shift)], &[before]);
    }

    #[test]
    fn the_gradient_is_the_difference_of_the_softened_distributions() {
        let student = leaf(random("a", [4, 5]));
        let teacher = leaf(random("b", [4, 5]));
        let value = softened_kl(student.clone(), teacher.clone().inner(), 4.0);
        let gradients = value.backward();
        let soft = |logits: Tensor<2>| {
            numbers(&burn::tensor::activation::softmax(
                logits.inner().div_scalar(4.0),
                1,
            ))
        };
        let expected: Vec<f64> = soft(student.clone())
            .into_iter()
            .zip(soft(teacher.clone()))
            .map(|(p, q)| p - q)
            .collect();
        assert_close(&gradient(&student, &gradients).unwrap(), &expected);
        assert!(gradient(&teacher, &gradients).is_none());
    }

    #[test]
    fn logits_of_ten_thousand_stay_finite() {
        let student = tensor(vec![1e4, -1e4, 0.0, 1e4, 1e4, -1e4], [2, 3]);
        assert!(kl(student.clone(), student.neg()).is_finite());
    }

    #[test]
    fn settings_out_of_range_are_refused_with_the_range() {
        for (temperature, ce_weight, kd_weight, expected) in [
            (
                0.0,
                0.1,
                0.9,
                "`temperature` must be a number above 0, found 0",
            ),
            (
                f64::NAN,
                0.1,
                0.9,
                "`temperature` must be a number above 0, found NaN",
            ),
            (
                4.0,
                -1.0,
                0.9,
                "`ce_weight` must be a number of at least 0, found -1",
            ),
            (
                4.0,
                0.1,
                f64::INFINITY,
                "`kd_weight` must be a number of at least 0, found inf",
            ),
        ] {
            let config = KdConfig {
                temperature,
                ce_weight,
                kd_weight,
            };
            let error = build(&probe(&[], &[]), |p, b| Kd::new(config, p, b)).unwrap_err();
            assert_eq!(error.to_string(), format!("method `kd`: {expected}"));
        }
        assert!(build(&probe(&[], &[]), |p, b| Kd::new(KdConfig::default(), p, b)).is_ok());
    }

    #[test]
    fn without_a_teacher_it_says_so() {
        let mut probe = probe(&[], &[]);
        probe.teacher = None;
        let error = build(&probe, |p, b| Kd::new(KdConfig::default(), p, b)).unwrap_err();
        assert!(error.to_string().contains("--teacher"), "{error}");
    }
}
