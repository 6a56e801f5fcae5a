//! Pooling of feature maps `[B, C, H, W]`.
//!
//! One task handles whole maps, so that no result depends on the number of threads.

pub(crate) mod adaptive;
mod adaptive_lanes;
mod autodiff;
pub(crate) mod average;
mod composed;
mod flex;
pub(crate) mod maximum;
mod ops;
mod phases;
mod side_by_side;
pub(crate) mod window;

use burn::{backend::Dispatch, tensor::Tensor};

use ops::PoolingOps;
use window::Windows;

/// Windows of a pooling, `[height, width]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dOptions {
    /// Size of a window, at least 1.
    pub kernel: [usize; 2],
    /// Step between windows, at least 1.
    pub stride: [usize; 2],
    /// Positions added on both sides; at most half of the kernel, so that no window is empty.
    pub padding: [usize; 2],
}

/// Largest number of each window, `[B, C, H, W]` → `[B, C, H', W']` with
/// `H' = (H + 2·padding − kernel) / stride + 1`. What is not a number is larger than every number.
///
/// Differentiable: the gradient of a window goes to its first largest number, or to the last of
/// those that are not one, as in PyTorch. `f32` on the CPU has kernels of its own; everything else
/// is burn's operation.
///
/// # Panics
/// Where a size is zero, or the windows do not fit the maps.
pub fn max_pool2d(x: Tensor<4>, options: Pool2dOptions) -> Tensor<4> {
    Windows::new(x.dims(), options);
    Tensor::from_dispatch(Dispatch::kernel_max_pool2d(x.into_dispatch(), options))
}

/// Mean of each window, in which added positions count as zeros, `[B, C, H, W]` → `[B, C, H', W']`
/// as in [`max_pool2d`].
///
/// Differentiable. `f32` on the CPU has kernels of its own; everything else is burn's operation.
///
/// # Panics
/// As [`max_pool2d`].
pub fn avg_pool2d(x: Tensor<4>, options: Pool2dOptions) -> Tensor<4> {
    Windows::new(x.dims(), options);
    Tensor::from_dispatch(Dispatch::kernel_avg_pool2d(x.into_dispatch(), options))
}

/// Mean over windows that cut the map into `size` parts, overlapping where it does not divide:
/// from `⌊i·n/m⌋` to `⌈(i+1)·n/m⌉`. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
///
/// Differentiable. `f32` on the CPU has kernels of its own; everything else is burn's operation.
///
/// # Panics
/// Where a size is zero.
pub fn adaptive_avg_pool2d(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let shape = x.dims();
    assert!(
        shape.iter().chain(&size).all(|&n| n > 0),
        "maps of shape {shape:?} cannot be averaged to {size:?}: every size must be at least 1"
    );
    Tensor::from_dispatch(Dispatch::kernel_adaptive_avg_pool2d(
        x.into_dispatch(),
        size,
    ))
}

/// Mean over all positions, `[B, C, H, W]` → `[B, C]`.
///
/// # Panics
/// Where a size is zero.
pub fn global_avg_pool2d(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, _, _] = x.dims();
    adaptive_avg_pool2d(x, [1, 1]).reshape([batch, channels])
}
