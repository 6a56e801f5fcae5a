//! Unbiased distillation: what the teacher calls background may be a class that it never knew.
//!
//! Cermelli, Mancini, Rota Bulò, Ricci, Caputo. "Modeling the Background for Incremental Learning in
//! Semantic Segmentation". CVPR 2020, equation 9.

use burn::tensor::{
    Tensor,
    activation::{log_softmax, softmax},
};
use limbeck_nn::layer::resize_bilinear;

/// −1/O Σ_c q_c log p_c at each position, `[B, H, W]`, of the student's logits `[B, N, H, W]` and the
/// teacher's `[B, O, h, w]`, which are brought to the student's size: q is softmax(α·teacher), p the
/// student's probabilities with those of new classes added to background's, the class 0.
pub fn distillation(student: Tensor<4>, teacher: Tensor<4>, alpha: f64) -> Tensor<3> {
    let [_, classes, height, width] = student.dims();
    let [_, old, h, w] = teacher.dims();
    let teacher = match [h, w] == [height, width] {
        true => teacher,
        false => resize_bilinear(teacher, [height, width], false),
    };
    let known = softmax(teacher.mul_scalar(alpha), 1);
    let logs = log_softmax(student, 1);
    let mut background = vec![logs.clone().narrow(1, 0, 1)];
    if classes > old {
        background.push(logs.clone().narrow(1, old, classes - old));
    }
    let mut all = vec![log_sum(Tensor::cat(background, 1))];
    if old > 1 {
        all.push(logs.narrow(1, 1, old - 1));
    }
    let products = known * Tensor::cat(all, 1);
    products
        .sum_dim(1)
        .squeeze_dim::<3>(1)
        .mul_scalar(-1.0 / old as f64)
}

/// log Σ exp over the channels, `[B, C, H, W]` → `[B, 1, H, W]`. The greatest is taken out and put
/// back as a constant, which changes neither value nor gradient.
fn log_sum(logs: Tensor<4>) -> Tensor<4> {
    let greatest = logs.clone().inner().max_dim(1);
    let greatest = match logs.is_tracked() {
        true => Tensor::from_inner(greatest),
        false => greatest,
    };
    (logs - greatest.clone()).exp().sum_dim(1).log() + greatest
}
