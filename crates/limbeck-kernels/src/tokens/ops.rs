//! Operations on tokens as an extension of burn's backends.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use super::composed;
use crate::{activation::Activation, normalisation};

/// Operations on tokens; the bodies given here are made of burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait TokenOps: Backend {
    /// `[B, M, N]` → `[B, N, M]`, moved in memory.
    fn kernel_transpose(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::transpose::<Self>(x)
    }

    /// See [`crate::token_patches`].
    fn kernel_token_patches(
        x: FloatTensor<Self>,
        grid: [usize; 2],
        side: usize,
    ) -> FloatTensor<Self> {
        composed::patches::<Self>(x, grid, side)
    }

    /// Gradient of [`TokenOps::kernel_token_patches`] with respect to the tokens.
    fn kernel_token_patches_backward(
        gradient: FloatTensor<Self>,
        grid: [usize; 2],
        side: usize,
    ) -> FloatTensor<Self> {
        composed::patches_backward::<Self>(gradient, grid, side)
    }

    /// See [`crate::depthwise_tokens`].
    fn kernel_depthwise_tokens(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grid: [usize; 2],
    ) -> FloatTensor<Self> {
        composed::depthwise::<Self>(x, weight, bias, grid)
    }

    /// See [`crate::depthwise_tokens_with`].
    fn kernel_depthwise_tokens_with(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grid: [usize; 2],
        activation: Activation,
    ) -> FloatTensor<Self> {
        let y = Self::kernel_depthwise_tokens(x, weight, bias, grid);
        normalisation::finish::<Self>(y, None, activation)
    }

    /// Gradients of [`TokenOps::kernel_depthwise_tokens`] with respect to tokens, weight and bias.
    fn kernel_depthwise_tokens_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        grid: [usize; 2],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::depthwise_backward::<Self>(x, weight, gradient, grid)
    }
}
