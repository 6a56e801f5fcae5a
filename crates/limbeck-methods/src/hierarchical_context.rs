//! The hierarchical context loss of ReviewKD: maps are compared at several resolutions.

use burn::tensor::Tensor;
use limbeck_nn::layer::{PyramidLevel, pyramid_squared_error};

/// Sides of the averaged maps: authors' code of ReviewKD.
const PYRAMID: [usize; 3] = [4, 2, 1];

/// Weighted mean, `[1]`, of the mean squared errors of two maps `[B, C, H, W]` of the same shape:
/// as they are with weight 1, then averaged to 4×4, 2×2 and 1×1, each with half the weight of the
/// one before. Sides that are not below H are left out.
pub(crate) fn hierarchical_context_loss(student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
    let [_, _, height, _] = student.dims();
    let (mut weight, mut total) = (1.0, 1.0);
    let mut levels = Vec::with_capacity(PYRAMID.len());
    for side in PYRAMID.into_iter().filter(|&side| side < height) {
        weight /= 2.0;
        total += weight;
        levels.push(PyramidLevel { side, weight });
    }
    pyramid_squared_error(student, teacher, &levels).mul_scalar(1.0 / total)
}
