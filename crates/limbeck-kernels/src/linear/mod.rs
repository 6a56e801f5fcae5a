//! Linear maps of the last axis.

mod autodiff;
pub(crate) mod composed;
pub(crate) mod flex;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

use crate::optional::Optional;

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

/// `a` `[R, K]` times `b` `[K, C]`: `[R, C]`. Both are constants. As [`linear`].
///
/// # Panics
/// Where the shapes do not fit each other.
pub fn product(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let (shape, other) = (a.dims(), b.dims());
    assert!(
        shape[1] == other[0],
        "matrices of {shape:?} and {other:?} have no product"
    );
    let (a, b) = (a.inner().into_dispatch(), b.inner().into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_linear_input_gradient(b, a))
}

/// The transpose of `a` `[R, K]` times `b` `[R, C]`: `[K, C]`. Both are constants. As [`linear`].
///
/// # Panics
/// Where the shapes do not fit each other.
pub fn transposed_product(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let (shape, other) = (a.dims(), b.dims());
    assert!(
        shape[0] == other[0],
        "matrices of {shape:?} and {other:?} have no product over their rows"
    );
    let (a, b) = (a.inner().into_dispatch(), b.inner().into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_linear_weight_gradient(b, a).0)
}

/// `residual + share · (x·Wᵀ + bias)` of tokens `x` `[B, N, I]`, `weight` `[O, I]`, `bias` `[O]` and `residual`
/// `[B, N, O]`, with a share for each image, `[B]`, or 1. The shares are constants.
///
/// Differentiable in all other tensors; as [`linear`].
///
/// # Panics
/// Where the shapes do not fit each other.
pub fn linear_onto(
    x: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    residual: Tensor<3>,
    shares: Option<Tensor<1>>,
) -> Tensor<3> {
    let ([batch, tokens, width], [outputs, inputs]) = (x.dims(), weight.dims());
    assert!(
        width == inputs
            && bias.dims() == [outputs]
            && residual.dims() == [batch, tokens, outputs]
            && shares
                .as_ref()
                .is_none_or(|shares| shares.dims() == [batch]),
        "a weight of {:?} does not fit tokens of shape {:?} and a residual of {:?}",
        weight.dims(),
        x.dims(),
        residual.dims()
    );
    Tensor::from_dispatch(Dispatch::kernel_linear_onto(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        residual.into_dispatch(),
        Optional::new(shares.map(Tensor::into_dispatch)),
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

    /// See [`linear_onto`].
    fn kernel_linear_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        #[extension_type] shares: Optional<Self>,
    ) -> FloatTensor<Self> {
        composed::linear_onto::<Self>(x, weight, bias, residual, shares.into_option())
    }

    /// Each image of `x` `[B, …]` times its share of `[B]`.
    fn kernel_scale_images(x: FloatTensor<Self>, shares: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::scale_images::<Self>(x, shares)
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
