//! # tinyvit — TinyViT: Fast Pretraining Distillation for Small Vision Transformers
//!
//! The student learns the teacher's distribution over classes as a store keeps it: the largest
//! probabilities, and one small number for all the others.
//!
//! ## Definition
//! L = −1/B Σ_b Σ_c t_bc log p_bc, without temperature and without a term of the labels.
//!
//! p: softmax of the student logits. t: the teacher's probabilities cut to their K = `topk`
//! largest, v_1 … v_K, each rounded to half precision; every other class gets
//! m = (1 − Σ_k v_k)/(C − K), which rounding may bring a little below 0. The target is a constant.
//!
//! ## Inputs and shapes
//! Student and teacher logits `[B, C]`. A teacher that runs along is cut and rounded in the same
//! way as a stored one, whose logits are the logarithms of the stored target.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `topk` | none | 1 to C − 1 | the paper's stores have 10 for ImageNet-1k, 100 for ImageNet-22k |
//! | `clamp_minor` | false | | ours: whether m below 0 counts as 0; the authors' code keeps it |
//!
//! ## Notes
//! Without `topk`, the ten largest are kept, or all but one where there are ten classes or fewer.
//! Equal probabilities are taken in the order of the classes. Which networks are trained so is
//! free; those of the paper are the models `tiny_vit_5m`, `tiny_vit_11m` and `tiny_vit_21m`.
//! Cost: one forward pass of the teacher, none with a stored one, and finding the K largest of the
//! C probabilities of each image.
//!
//! ## Reference
//! Wu, Zhang, Peng, Liu, Xiao, Fu, Yuan. "TinyViT: Fast Pretraining Distillation for Small Vision
//! Transformers". ECCV 2022. <https://arxiv.org/abs/2207.10666>
//! Authors' code: <https://github.com/microsoft/Cream> (4a13c4091e78, TinyViT, MIT).

#[cfg(test)]
pub mod golden;
mod sparse_target;

use limbeck_nn::{Builder, Pass};
use serde::{Deserialize, Serialize};

use crate::{Criterion, MethodError, Needs, Probe, Step, Term, criterion::require_teacher};

pub use sparse_target::SparseTarget;

/// K for ImageNet-1k in the paper, section 4.1.
const USUAL_TOPK: usize = 10;

/// Settings of [`Tinyvit`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TinyvitConfig {
    /// Probabilities that are kept; `None` keeps ten, or all but one of fewer classes.
    pub topk: Option<usize>,
    /// Whether what is left for the other classes is never below 0.
    pub clamp_minor: bool,
}

/// Sparse soft labels.
#[derive(Clone, Debug)]
pub struct Tinyvit {
    topk: usize,
    clamp_minor: bool,
}

impl Tinyvit {
    const ID: &'static str = "tinyvit";

    /// Checks the settings.
    ///
    /// # Errors
    /// A number of kept probabilities that is 0 or leaves no class out, or no teacher.
    pub fn new(
        config: TinyvitConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        let most = probe.classes.saturating_sub(1);
        let topk = config.topk.unwrap_or(USUAL_TOPK.min(most));
        if !(1..=most).contains(&topk) {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "topk",
                expected: format!("from 1 to {most} with {} classes", probe.classes),
                found: topk.to_string(),
            });
        }
        Ok(Self {
            topk,
            clamp_minor: config.clamp_minor,
        })
    }
}

impl Criterion for Tinyvit {
    fn needs(&self) -> Needs {
        Needs {
            logits: true,
            ..Needs::default()
        }
    }

    fn task_weight(&self) -> f64 {
        0.0
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let (student, teacher) = step.rows(Self::ID)?;
        let target = SparseTarget::cut(teacher, self.topk, self.clamp_minor)?;
        let value = target.cross_entropy(student);
        Ok(vec![Term::new("soft", value, 1.0)])
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{
        DType, Tensor,
        activation::{log_softmax, softmax},
    };
    use limbeck_nn::Outputs;

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, number, numbers, probe, random, tensor, terms,
    };

    fn probabilities(target: &SparseTarget) -> Vec<f64> {
        target.dense(|p| p)
    }

    fn dense(target: &SparseTarget) -> Tensor<2> {
        tensor(probabilities(target), [target.minor.len(), target.classes])
    }

    fn rows(values: &[f64]) -> Vec<f64> {
        values.chunks(5).map(|row| row.iter().sum()).collect()
    }

    #[test]
    fn the_loss_is_the_cross_entropy_with_the_whole_target() {
        let target = SparseTarget::cut(random("t", [4, 5]), 2, false).unwrap();
        let student = random("s", [4, 5]);
        let whole = (dense(&target) * log_softmax(student.clone(), 1)).sum();
        let expected = -number(&whole) / 4.0;
        assert_close(&[number(&target.cross_entropy(student))], &[expected]);
    }

    #[test]
    fn targets_sum_to_one_and_keep_the_largest_in_order() {
        let logits = tensor(vec![0.0, 3.0, 1.0, 2.0, 1.0], [1, 5]);
        let target = SparseTarget::cut(logits.clone(), 3, false).unwrap();
        assert_eq!(target.index, [1, 3, 2], "of equals the first");
        assert_close(&rows(&probabilities(&target)), &[1.0]);
        let exact = numbers(&softmax(logits, 1));
        for (found, expected) in probabilities(&target).iter().zip(exact).skip(1).take(3) {
            // Half precision has eleven binary digits.
            assert!(
                (found - expected).abs() <= expected * 2f64.powi(-11),
                "{found}"
            );
        }
    }

    #[test]
    fn single_precision_keeps_the_same_classes() {
        let logits = random("t", [4, 5]);
        let exact = SparseTarget::cut(logits.clone(), 3, false).unwrap();
        let single = SparseTarget::cut(logits.cast(DType::F32), 3, false).unwrap();
        assert_eq!(single.index, exact.index);
        for (found, expected) in single.value.iter().zip(&exact.value) {
            // What is rounded to half precision may lie on the other side of a middle.
            assert!((found - expected).abs() <= expected * 2f64.powi(-10));
        }
        let ties = tensor(vec![0.0, 3.0, 1.0, 2.0, 1.0], [1, 5]).cast(DType::F32);
        assert_eq!(SparseTarget::cut(ties, 3, false).unwrap().index, [1, 3, 2]);
        let none = tensor(vec![f64::NAN; 5], [1, 5]).cast(DType::F32);
        assert!(SparseTarget::cut(none, 2, false).is_err());
    }

    #[test]
    fn the_gradient_is_the_difference_from_the_target() {
        let student = leaf(random("s", [4, 5]));
        let target = SparseTarget::cut(random("t", [4, 5]), 2, false).unwrap();
        let gradients = target.cross_entropy(student.clone()).backward();
        let own = numbers(&softmax(student.clone().inner(), 1));
        let expected: Vec<f64> = own
            .iter()
            .zip(probabilities(&target))
            .map(|(own, target)| (own - target) / 4.0)
            .collect();
        assert_close(&gradient(&student, &gradients).unwrap(), &expected);
    }

    #[test]
    fn a_stored_target_gives_the_same_loss_as_the_teacher_that_it_is_of() {
        let logits = random("t", [4, 5]);
        let live = SparseTarget::cut(logits, 2, false).unwrap();
        let stored = SparseTarget::cut(dense(&live).log(), 2, false).unwrap();
        assert_close(&probabilities(&live), &probabilities(&stored));
    }

    #[test]
    fn what_rounding_leaves_below_zero_can_be_cut_off() {
        // Both large ones are rounded up: half precision has steps of 2⁻¹² there.
        let p: f64 = 0.499_9;
        let logits = tensor(vec![p.ln(), p.ln(), -40.0, -40.0, -40.0], [1, 5]);
        let minor = |clamp| {
            let target = SparseTarget::cut(logits.clone(), 2, clamp).unwrap();
            target.minor[0]
        };
        assert!(minor(false) <= 0.0);
        assert_eq!(minor(true), 0.0);
    }

    #[test]
    fn numbers_of_kept_probabilities_that_say_nothing_are_refused() {
        let make = |topk| {
            let config = TinyvitConfig {
                topk,
                ..TinyvitConfig::default()
            };
            build(&probe(&[], &[]), |p, b| Tinyvit::new(config, p, b))
        };
        for topk in [0, 5, 6] {
            let error = make(Some(topk)).unwrap_err().to_string();
            assert!(error.contains("from 1 to 4 with 5 classes"), "{error}");
        }
        assert_eq!(make(None).unwrap().0.topk, 4);
    }

    #[test]
    fn the_labels_have_no_part_and_the_entropy_is_the_least_loss() {
        let (mut method, store) = build(&probe(&[], &[]), |p, b| {
            Tinyvit::new(TinyvitConfig::default(), p, b)
        })
        .unwrap();
        assert_eq!(method.task_weight(), 0.0);
        let teacher = random("t", [4, 5]);
        let target = SparseTarget::cut(teacher.clone(), 4, false).unwrap();
        let mut loss = |student: Tensor<2>| {
            let (student, teacher) = (
                Outputs::from_logits(student),
                Outputs::from_logits(teacher.clone()),
            );
            number(&terms(&mut method, &store, &student, &teacher)[0].value)
        };
        let entropy: f64 = probabilities(&target)
            .iter()
            .map(|t| -t * t.ln())
            .sum::<f64>()
            / 4.0;
        assert_close(&[loss(dense(&target).log())], &[entropy]);
        assert!(loss(random("s", [4, 5])) > entropy);
    }

    #[test]
    fn logits_that_are_no_numbers_are_refused() {
        let logits = tensor(vec![f64::NAN; 5], [1, 5]);
        assert!(SparseTarget::cut(logits, 2, false).is_err());
    }
}
