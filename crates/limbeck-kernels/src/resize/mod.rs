//! Resizing of feature maps `[B, C, H, W]`.
//!
//! One task handles whole maps, so that no result depends on the number of threads.

mod autodiff;
pub(crate) mod axis;
pub(crate) mod bilinear;
pub(crate) mod composed;
mod flex;
pub(crate) mod nearest;
mod ops;

use burn::{backend::Dispatch, tensor::Tensor};

use ops::ResizeOps;

/// Where the numbers of a resized map come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The source index is `⌊dst · in / out⌋`.
    Nearest,
    /// The two neighbours along each axis, by their distance.
    Bilinear {
        /// Whether the corner pixels of both grids coincide; otherwise pixel areas do.
        align_corners: bool,
    },
}

/// `[B, C, H, W]` → `[B, C, size[0], size[1]]`, as PyTorch's `interpolate`.
///
/// Differentiable. `f32` on the CPU has kernels of its own, whose results do not depend on the
/// number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where a size is zero.
pub fn resize(x: Tensor<4>, size: [usize; 2], interpolation: Interpolation) -> Tensor<4> {
    let shape = x.dims();
    assert!(
        shape.iter().chain(&size).all(|&n| n > 0),
        "maps of shape {shape:?} cannot be resized to {size:?}: every size must be at least 1"
    );
    if shape[2..] == size {
        return x;
    }
    Tensor::from_dispatch(Dispatch::kernel_resize(
        x.into_dispatch(),
        size,
        interpolation,
    ))
}
