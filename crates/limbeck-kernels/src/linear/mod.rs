//! Linear maps of the last axis.

mod autodiff;
mod composed;
mod flex;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// `x` `[…, I]` times the transpose of `weight` `[O, I]`, plus `bias` `[O]`: `[…, O]`.
///
/// Differentiable in all tensors. `f32` on the CPU has kernels of its own, whose results do not
/// depend on the number of threads; everything else is burn's product.
///
/// # Panics
/// Where the shapes do not fit each other.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let (shape, [outputs, inputs]) = (x.dims(), weight.dims());
    assert!(
        shape.last() == Some(&inputs),
        "a weight of {:?} does not fit an input of {shape:?}",
        weight.dims()
    );
    let Some(bias) = bias else {
        let y = Dispatch::kernel_linear(x.into_dispatch(), weight.into_dispatch());
        return Tensor::from_dispatch(y);
    };
    assert!(
        bias.dims() == [outputs],
        "a bias of {:?} does not fit a weight of {:?}",
        bias.dims(),
        weight.dims()
    );
    Tensor::from_dispatch(Dispatch::kernel_linear_with_bias(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// Linear maps, with burn's own operations as bodies; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait LinearOps: Backend {
    /// See [`linear`].
    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::linear::<Self>(x, weight)
    }

    /// See [`linear`].
    fn kernel_linear_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::linear_with_bias::<Self>(x, weight, bias)
    }

    /// Gradient with respect to the input, `[…, I]`, of that of the output, `[…, O]`.
    fn kernel_linear_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::input_gradient::<Self>(weight, gradient)
    }

    /// Gradients with respect to weight, `[O, I]`, and bias, `[O]`.
    fn kernel_linear_weight_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::weight_gradient::<Self>(x, gradient)
    }
}
