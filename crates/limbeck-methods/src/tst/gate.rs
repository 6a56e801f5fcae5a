//! The relaxed Bernoulli draw that decides how far something is applied.

use burn::tensor::{Tensor, activation::sigmoid};

/// Temperature of the draw (authors' code).
const TEMPERATURE: f64 = 0.05;

/// σ((ln u − ln(1 − u) + logits) / 0.05) for uniform draws u in (0, 1).
pub fn gate<const D: usize>(uniform: Tensor<D>, logits: Tensor<D>) -> Tensor<D> {
    let odds = uniform.clone().log() - (-uniform).add_scalar(1.0).log();
    sigmoid((odds + logits).mul_scalar(1.0 / TEMPERATURE))
}
