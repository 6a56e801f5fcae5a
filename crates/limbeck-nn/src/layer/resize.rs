//! Resizing of feature maps.

use burn::tensor::Tensor;
use limbeck_kernels::{Interpolation, resize};

/// Bilinear interpolation to `size` `[height, width]`. With `align_corners` the corner pixels of
/// both grids coincide; without, pixel areas do. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
pub fn resize_bilinear(x: Tensor<4>, size: [usize; 2], align_corners: bool) -> Tensor<4> {
    resize(x, size, Interpolation::Bilinear { align_corners })
}

/// Nearest neighbour: source index `⌊dst · in / out⌋`. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
pub fn resize_nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    resize(x, size, Interpolation::Nearest)
}
