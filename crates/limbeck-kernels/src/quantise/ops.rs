//! Quantisation as an extension of burn's backends.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use super::{Levels, composed};

/// Quantisation, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait QuantiseOps: Backend {
    /// See [`crate::quantise`].
    fn kernel_quantise(x: FloatTensor<Self>, levels: Levels) -> FloatTensor<Self> {
        composed::quantise::<Self>(x, levels)
    }

    /// Gradient of [`QuantiseOps::kernel_quantise`] from its input and the gradient of its output.
    fn kernel_quantise_backward(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        levels: Levels,
    ) -> FloatTensor<Self> {
        composed::quantise_backward::<Self>(x, gradient, levels)
    }

    /// See [`crate::value_range`]: `[2]`.
    fn kernel_value_range(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::value_range::<Self>(x)
    }

    /// See [`crate::quantise_rows`].
    fn kernel_quantise_rows(weight: FloatTensor<Self>, bits: u32) -> FloatTensor<Self> {
        composed::quantise_rows::<Self>(weight, bits)
    }
}
