//! The perceptron of a transformer's block as one operation, with what it is added to.
//!
//! Vaswani et al. "Attention Is All You Need". NeurIPS 2017, section 3.3, with the unit of Hendrycks and
//! Gimpel. "Gaussian Error Linear Units (GELUs)". 2016. What the unit gives out is not kept: it is in the
//! cache while it is multiplied, and computed once more for the gradient.

mod autodiff;
mod composed;
mod flex;
pub(crate) mod rows;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

use crate::optional::Optional;

/// Weights `[F, I]` and `[O, F]` of a perceptron's two maps, and their biases `[F]` and `[O]`.
#[derive(Clone, Debug)]
pub struct PerceptronWeights {
    /// `[F, I]`.
    pub first: Tensor<2>,
    /// `[F]`.
    pub first_bias: Tensor<1>,
    /// `[O, F]`.
    pub second: Tensor<2>,
    /// `[O]`.
    pub second_bias: Tensor<1>,
}

/// `residual + share · (gelu(x·W₁ᵀ + b₁)·W₂ᵀ + b₂)` of tokens `x` `[B, N, I]` and `residual` `[B, N, O]`, with
/// a share for each image, `[B]`, or 1. The shares are constants.
///
/// Differentiable in all other tensors. `f32` on the CPU has kernels of its own, whose results do not depend
/// on the number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where the shapes do not fit each other.
pub fn perceptron(
    x: Tensor<3>,
    weights: PerceptronWeights,
    residual: Tensor<3>,
    shares: Option<Tensor<1>>,
) -> Tensor<3> {
    let PerceptronWeights {
        first,
        first_bias,
        second,
        second_bias,
    } = weights;
    let [batch, tokens, width] = x.dims();
    let ([inner, inputs], [outputs, of_second]) = (first.dims(), second.dims());
    assert!(
        width == inputs
            && inner == of_second
            && first_bias.dims() == [inner]
            && second_bias.dims() == [outputs]
            && residual.dims() == [batch, tokens, outputs]
            && shares
                .as_ref()
                .is_none_or(|shares| shares.dims() == [batch]),
        "weights of {:?} and {:?} do not fit tokens of shape {:?} and a residual of {:?}",
        first.dims(),
        second.dims(),
        x.dims(),
        residual.dims()
    );
    Tensor::from_dispatch(Dispatch::kernel_perceptron(
        x.into_dispatch(),
        first.into_dispatch(),
        first_bias.into_dispatch(),
        second.into_dispatch(),
        second_bias.into_dispatch(),
        residual.into_dispatch(),
        Optional::new(shares.map(Tensor::into_dispatch)),
    ))
}

type Five<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// Perceptrons, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait PerceptronOps: Backend {
    /// See [`perceptron`].
    fn kernel_perceptron(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        #[extension_type] shares: Optional<Self>,
    ) -> FloatTensor<Self> {
        let maps = [first, first_bias, second, second_bias];
        composed::forward::<Self>(x, maps, residual, shares.into_option()).0
    }

    /// The same, and what the unit was given, `[B, N, F]`.
    fn kernel_perceptron_kept(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        #[extension_type] shares: Optional<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let maps = [first, first_bias, second, second_bias];
        composed::forward::<Self>(x, maps, residual, shares.into_option())
    }

    /// Gradients with respect to `x`, and to either map's weight and bias, from what the unit was given and
    /// the gradient of the output.
    #[allow(clippy::type_complexity, reason = "the extension reads the tuple")]
    fn kernel_perceptron_backward(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        given: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] shares: Optional<Self>,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let shares = shares.into_option();
        composed::backward::<Self>(x, [first, second], given, gradient, shares)
    }
}
