//! The poolings as an extension of burn's backends.

use burn::backend::{
    Backend, backend_extension,
    tensor::{FloatTensor, IntTensor},
};

use super::{Pool2dOptions, composed};

/// Poolings; the bodies given here are burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait PoolingOps: Backend {
    /// See [`crate::max_pool2d`].
    fn kernel_max_pool2d(x: FloatTensor<Self>, options: Pool2dOptions) -> FloatTensor<Self> {
        composed::max_pool2d::<Self>(x, options)
    }

    /// [`PoolingOps::kernel_max_pool2d`], and what its gradient needs: the place of each largest
    /// number, in its window as bytes, or in its map as burn numbers them.
    fn kernel_max_pool2d_with_places(
        x: FloatTensor<Self>,
        options: Pool2dOptions,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        composed::max_pool2d_with_places::<Self>(x, options)
    }

    /// Gradient of [`PoolingOps::kernel_max_pool2d`] with respect to maps of this shape.
    fn kernel_max_pool2d_backward(
        shape: [usize; 4],
        options: Pool2dOptions,
        places: IntTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::max_pool2d_backward::<Self>(shape, options, places, gradient)
    }

    /// See [`crate::avg_pool2d`].
    fn kernel_avg_pool2d(x: FloatTensor<Self>, options: Pool2dOptions) -> FloatTensor<Self> {
        composed::avg_pool2d::<Self>(x, options)
    }

    /// Gradient of [`PoolingOps::kernel_avg_pool2d`] with respect to maps of this shape.
    fn kernel_avg_pool2d_backward(
        shape: [usize; 4],
        options: Pool2dOptions,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::avg_pool2d_backward::<Self>(shape, options, gradient)
    }

    /// See [`crate::adaptive_avg_pool2d`].
    fn kernel_adaptive_avg_pool2d(x: FloatTensor<Self>, size: [usize; 2]) -> FloatTensor<Self> {
        Self::adaptive_avg_pool2d(x, size)
    }

    /// Gradient of [`PoolingOps::kernel_adaptive_avg_pool2d`] with respect to maps of this shape.
    fn kernel_adaptive_avg_pool2d_backward(
        shape: [usize; 4],
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::adaptive_avg_pool2d_backward::<Self>(shape, gradient)
    }
}
