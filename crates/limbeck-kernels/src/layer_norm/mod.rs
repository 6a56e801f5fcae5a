//! Layer normalisation over the last axis.
//!
//! Ba, Kiros and Hinton. "Layer Normalization". 2016.

mod autodiff;
mod composed;
mod flex;
pub(crate) mod rows;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

type Three<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// Normalises each row of `x` `[…, D]` with its own mean and population variance, to which
/// `epsilon` is added, then scales by `weight` `[D]` and shifts by `bias` `[D]`.
///
/// Differentiable in all three tensors. `f32` on the CPU has kernels of its own, whose results do
/// not depend on the number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where rows are empty, or the shapes do not fit each other.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let shape = x.dims();
    let width = shape.last().copied().unwrap_or(0);
    assert!(width > 0, "rows of shape {shape:?} have no statistics");
    assert!(
        weight.dims() == [width] && bias.dims() == [width],
        "a weight of {:?} and a bias of {:?} do not fit rows of shape {shape:?}",
        weight.dims(),
        bias.dims()
    );
    let (y, _, _) = Dispatch::kernel_layer_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    );
    Tensor::from_dispatch(y)
}

/// Layer norms, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait LayerNormOps: Backend {
    /// See [`layer_norm`]: output, and mean and 1/√(variance + ε) of each row, `[…, 1]`.
    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::forward::<Self>(x, weight, bias, epsilon)
    }

    /// Gradients with respect to `x`, `weight` and bias.
    fn kernel_layer_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::backward::<Self>(x, weight, mean, scale, gradient)
    }
}
