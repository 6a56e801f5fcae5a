//! Resizing as an extension of burn's backends.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use super::{Interpolation, composed};

/// Resizing of maps; the bodies given here are made of burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait ResizeOps: Backend {
    /// See [`crate::resize`].
    fn kernel_resize(
        x: FloatTensor<Self>,
        size: [usize; 2],
        interpolation: Interpolation,
    ) -> FloatTensor<Self> {
        composed::resize::<Self>(x, size, interpolation)
    }

    /// Gradient of [`ResizeOps::kernel_resize`] with respect to maps of this height and width.
    fn kernel_resize_backward(
        size: [usize; 2],
        gradient: FloatTensor<Self>,
        interpolation: Interpolation,
    ) -> FloatTensor<Self> {
        composed::resize_backward::<Self>(size, gradient, interpolation)
    }
}
