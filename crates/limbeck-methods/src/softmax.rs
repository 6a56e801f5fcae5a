//! Distributions over classes, shared by the methods on logits.
//!
//! Here and in the methods, numbers are divided by multiplying with the reciprocal: the gradient of
//! `div_scalar` takes it in single precision, whatever the tensor's element type.

use burn::tensor::{
    Int, Tensor,
    activation::{log_softmax, softmax},
};
use limbeck_nn::layer;

/// Added to every probability of the target in the code of ONE, FFL and OKDDip.
const FLOOR: f64 = 1e-7;

/// `T²/B · Σ_b Σ_c p_t (log p_t − log p_s)` with both distributions softened by `temperature`.
/// Logits `[B, K]`, result `[1]`. The teacher's are constants.
pub(crate) fn softened_kl(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = student.dims();
    layer::divergence(student, teacher, 1.0 / temperature)
        .mul_scalar(temperature * temperature / batch as f64)
}

/// As [`softened_kl`] with 1e-7 added to each of the target's probabilities, which then sum to a
/// little more than 1.
pub(crate) fn floored_kl(student: Tensor<2>, target: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = student.dims();
    let target = softmax(target.mul_scalar(1.0 / temperature), 1).add_scalar(FLOOR);
    let own = log_softmax(student.mul_scalar(1.0 / temperature), 1);
    let divergence = (target.clone() * (target.log() - own)).sum();
    divergence.mul_scalar(temperature * temperature / batch as f64)
}

/// `1/B · Σ_b Σ_c p_t (log p_t − log p_s)` from logarithms of probabilities `[B, K]`, result `[1]`.
pub(crate) fn divergence(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let [batch, _] = student.dims();
    let weighted = teacher.clone().exp() * (teacher - student);
    weighted.sum().mul_scalar(1.0 / batch as f64)
}

/// `log Σ_c exp z_c` without overflow: `[B, K]` → `[B, 1]`.
pub(crate) fn log_sum_exp(logits: Tensor<2>) -> Tensor<2> {
    let greatest = logits.clone().inner().max_dim(1);
    (logits - greatest.clone()).exp().sum_dim(1).log() + greatest
}

/// Mean over the batch of the cross entropy of logits `[B, K]` with the distributions `targets`
/// `[B, K]`, which are constants. Result `[1]`.
pub(crate) fn soft_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    layer::cross_entropy_with_shares(logits, targets).mul_scalar(1.0 / batch as f64)
}

/// The classes that are not the label, in order: `[B, K − 1]`.
pub(crate) fn other_classes(logits: &Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<2, Int> {
    let [batch, classes] = logits.dims();
    let columns = Tensor::<1, Int>::arange(0..classes as i64 - 1, &labels.device())
        .cast(labels.dtype())
        .reshape([1, classes - 1])
        .expand([batch, classes - 1]);
    let labels = labels
        .clone()
        .reshape([batch, 1])
        .expand([batch, classes - 1]);
    let behind = columns.clone().greater_equal(labels.clone());
    columns + behind.int().cast(labels.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, number, numbers, random, tensor};

    #[test]
    fn the_floor_leaves_a_little_between_equal_logits() {
        let logits = random::<2>("z", [4, 5]);
        let temperature = 3.0;
        let p = numbers(&softmax(logits.clone().mul_scalar(1.0 / temperature), 1));
        let sum: f64 = p.iter().map(|p| (p + 1e-7) * ((p + 1e-7) / p).ln()).sum();
        let expected = temperature * temperature / 4.0 * sum;
        let found = number(&floored_kl(logits.clone(), logits, temperature));
        assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        assert!(found > 0.0 && found < 1e-3);
    }

    #[test]
    fn log_sum_exp_neither_overflows_nor_underflows() {
        let logits = tensor(vec![1e4, 1e4, -1e4, -1e4], [2, 2]);
        let two = 2f64.ln();
        assert_close(&numbers(&log_sum_exp(logits)), &[1e4 + two, -1e4 + two]);
    }
}
