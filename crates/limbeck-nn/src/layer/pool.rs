//! Pooling of feature maps.

use burn::tensor::Tensor;
use limbeck_kernels::Pool2dOptions;

pub use limbeck_kernels::{adaptive_avg_pool2d, global_avg_pool2d};

/// Largest value of each window. `[B, C, H, W]` → `[B, C, H', W']`.
pub fn max_pool2d(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    limbeck_kernels::max_pool2d(x, square(kernel, stride, padding))
}

/// Mean of each window; added zeros count. `[B, C, H, W]` → `[B, C, H', W']`.
pub fn avg_pool2d(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    limbeck_kernels::avg_pool2d(x, square(kernel, stride, padding))
}

fn square(kernel: usize, stride: usize, padding: usize) -> Pool2dOptions {
    Pool2dOptions {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}
