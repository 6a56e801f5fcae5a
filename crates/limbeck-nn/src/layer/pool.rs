//! Pooling of feature maps.

use burn::tensor::{
    Tensor, module,
    ops::{AvgPoolOptions, MaxPoolOptions},
};

/// Largest value of each window. `[B, C, H, W]` → `[B, C, H', W']`.
pub fn max_pool2d(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    module::max_pool2d(
        x,
        MaxPoolOptions::new([kernel; 2])
            .with_stride([stride; 2])
            .with_padding([padding; 2]),
    )
}

/// Mean of each window; added zeros count. `[B, C, H, W]` → `[B, C, H', W']`.
pub fn avg_pool2d(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    module::avg_pool2d(
        x,
        AvgPoolOptions::new([kernel; 2])
            .with_stride([stride; 2])
            .with_padding([padding; 2]),
    )
}

/// Mean over windows that cut the map into `size` parts, overlapping where it does not divide:
/// from `⌊i·n/m⌋` to `⌈(i+1)·n/m⌉`. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
pub fn adaptive_avg_pool2d(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    module::adaptive_avg_pool2d(x, size)
}

/// Mean over all positions. `[B, C, H, W]` → `[B, C]`.
pub fn global_avg_pool2d(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width])
        .mean_dim(2)
        .reshape([batch, channels])
}
