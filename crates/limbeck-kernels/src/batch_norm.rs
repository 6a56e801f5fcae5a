//! Batch normalisation with the statistics of the batch.

use burn::{
    backend::{Dispatch, DispatchTensor},
    tensor::Tensor,
};

use crate::ops::KernelOps;

/// What [`batch_norm_train`] and its relatives return.
#[derive(Clone, Debug)]
pub struct BatchNormOutput {
    /// The result, `[B, C, H, W]`.
    pub output: Tensor<4>,
    /// Mean of each channel, `[C]`, detached.
    pub mean: Tensor<1>,
    /// Population (biased) variance of each channel, `[C]`, without `epsilon`, detached.
    pub variance: Tensor<1>,
}

impl BatchNormOutput {
    fn new((output, mean, variance): (DispatchTensor, DispatchTensor, DispatchTensor)) -> Self {
        Self {
            output: Tensor::from_dispatch(output),
            mean: Tensor::from_dispatch(mean),
            variance: Tensor::from_dispatch(variance),
        }
    }
}

/// Normalises each channel of `x` `[B, C, H, W]` with its own mean and population variance over
/// batch and positions, then scales by `weight` `[C]` and shifts by `bias` `[C]`.
///
/// Differentiable in all three tensors, through the statistics too. `f32` on the CPU has kernels
/// of its own, whose results do not depend on the number of threads; everything else is burn's
/// operation.
///
/// # Panics
/// Where the batch is empty, or the shapes do not fit each other.
pub fn batch_norm_train(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> BatchNormOutput {
    check(&x, &weight, &bias);
    BatchNormOutput::new(Dispatch::kernel_batch_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    ))
}

/// [`batch_norm_train`], then [`crate::relu`], in one pass over memory each way.
///
/// # Panics
/// As [`batch_norm_train`].
pub fn batch_norm_relu_train(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> BatchNormOutput {
    check(&x, &weight, &bias);
    BatchNormOutput::new(Dispatch::kernel_batch_norm_relu(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    ))
}

/// [`batch_norm_train`], plus `residual` `[B, C, H, W]`, then [`crate::relu`], in one pass over
/// memory each way. Differentiable in `residual` too.
///
/// # Panics
/// As [`batch_norm_train`], and where the residual has another shape than `x`.
pub fn batch_norm_add_relu_train(
    x: Tensor<4>,
    residual: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> BatchNormOutput {
    check(&x, &weight, &bias);
    assert!(
        residual.dims() == x.dims(),
        "a residual of shape {:?} does not fit maps of shape {:?}",
        residual.dims(),
        x.dims()
    );
    BatchNormOutput::new(Dispatch::kernel_batch_norm_add_relu(
        x.into_dispatch(),
        residual.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    ))
}

fn check(x: &Tensor<4>, weight: &Tensor<1>, bias: &Tensor<1>) {
    let shape = x.dims();
    assert!(
        shape.iter().all(|&n| n > 0),
        "maps of shape {shape:?} have no statistics: every size must be at least 1"
    );
    assert!(
        weight.dims() == [shape[1]] && bias.dims() == [shape[1]],
        "a weight of {:?} and a bias of {:?} do not fit maps of shape {shape:?}",
        weight.dims(),
        bias.dims()
    );
}
