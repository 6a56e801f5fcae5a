//! Blending of two feature maps, each channel by a share of its own.

mod autodiff;
mod composed;
mod flex;
pub(crate) mod maps;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// `share · first + (1 − share) · second` of maps `[B, C, H, W]` of one shape, with one share for
/// each channel of each image, `[B, C, 1, 1]`.
///
/// Differentiable in all three. `f32` on the CPU has kernels of its own, whose results do not depend
/// on the number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where the shapes do not fit, or a size is zero.
pub fn blend_channels(first: Tensor<4>, second: Tensor<4>, share: Tensor<4>) -> Tensor<4> {
    let (shape, other, shares) = (first.dims(), second.dims(), share.dims());
    let [batch, channels, ..] = shape;
    assert!(
        shape == other && shares == [batch, channels, 1, 1] && shape.iter().all(|&n| n > 0),
        "maps of shapes {shape:?} and {other:?} cannot be blended by shares of shape {shares:?}"
    );
    Tensor::from_dispatch(Dispatch::kernel_blend(
        first.into_dispatch(),
        second.into_dispatch(),
        share.into_dispatch(),
    ))
}

/// Blending, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait BlendOps: Backend {
    /// See [`blend_channels`].
    fn kernel_blend(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        share: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::blend::<Self>(first, second, share)
    }

    /// Gradients of [`BlendOps::kernel_blend`] with respect to `first`, `second` and `share`.
    fn kernel_blend_backward(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        share: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::blend_backward::<Self>(first, second, share, gradient)
    }
}
