//! Batch normalisation with the statistics of the batch.

use burn::tensor::{Tensor, module};

/// What [`batch_norm_train`] returns.
#[derive(Clone, Debug)]
pub struct BatchNormOutput {
    /// The normalised batch, `[B, C, H, W]`.
    pub output: Tensor<4>,
    /// Mean of each channel, `[C]`, detached.
    pub mean: Tensor<1>,
    /// Population (biased) variance of each channel, `[C]`, without `epsilon`, detached.
    pub variance: Tensor<1>,
}

/// Normalises each channel of `x` `[B, C, H, W]` with its own mean and population variance over
/// batch and positions, then scales by `weight` `[C]` and shifts by `bias` `[C]`.
///
/// Differentiable in all three tensors, through the statistics too.
pub fn batch_norm_train(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> BatchNormOutput {
    let result = module::batch_norm_train(x, weight, bias, epsilon);
    BatchNormOutput {
        output: result.output,
        mean: result.mean,
        variance: result.variance,
    }
}
