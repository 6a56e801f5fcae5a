//! The hierarchical context loss of ReviewKD: maps are compared at several resolutions.

use burn::tensor::Tensor;

use crate::connector::{mean_squared_error, pool_map};

/// Sides of the averaged maps: authors' code of ReviewKD.
const PYRAMID: [usize; 3] = [4, 2, 1];

/// Weighted mean, `[1]`, of the mean squared errors of two maps `[B, C, H, W]` of the same shape:
/// as they are with weight 1, then averaged to 4×4, 2×2 and 1×1, each with half the weight of the
/// one before. Sides that are not below H are left out.
pub(crate) fn hierarchical_context_loss(student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
    let [_, _, height, _] = student.dims();
    let mut sum = mean_squared_error(student.clone(), teacher.clone());
    let (mut weight, mut total) = (1.0, 1.0);
    for side in PYRAMID.into_iter().filter(|&side| side < height) {
        weight /= 2.0;
        total += weight;
        let pooled = |map: &Tensor<4>| pool_map(map.clone(), [side; 2]);
        let error = mean_squared_error(pooled(&student), pooled(&teacher));
        sum = sum + error.mul_scalar(weight);
    }
    sum.mul_scalar(1.0 / total)
}
