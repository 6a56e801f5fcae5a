//! Softened distributions, shared by the methods on logits.

use burn::tensor::{Tensor, activation::log_softmax};

/// `T²/B · Σ_b Σ_c p_t (log p_t − log p_s)` with both distributions softened by `temperature`.
/// Logits `[B, K]`, result `[1]`. Gradients flow wherever the arguments carry them.
pub(crate) fn softened_kl(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = student.dims();
    let student = log_softmax(student.div_scalar(temperature), 1);
    let teacher = log_softmax(teacher.div_scalar(temperature), 1);
    let divergence = teacher.clone().exp() * (teacher - student);
    divergence
        .sum()
        .mul_scalar(temperature * temperature / batch as f64)
}
