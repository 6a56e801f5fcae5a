//! Two-dimensional convolution.

use burn::tensor::{Tensor, module, ops::ConvOptions};

/// Geometry of a two-dimensional convolution, `[height, width]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Step between output positions, at least 1.
    pub stride: [usize; 2],
    /// Zeros added on both sides.
    pub padding: [usize; 2],
    /// Distance between kernel elements, at least 1.
    pub dilation: [usize; 2],
    /// Number of channel groups; divides input and output channels.
    pub groups: usize,
}

/// Cross-correlates `x` `[B, C, H, W]` with `weight` `[O, C / groups, kh, kw]`, adds `bias` `[O]`
/// and returns `[B, O, H', W']` with `H' = (H + 2·padding − dilation·(kh − 1) − 1) / stride + 1`.
///
/// Differentiable in all three tensors.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: Conv2dOptions,
) -> Tensor<4> {
    let Conv2dOptions {
        stride,
        padding,
        dilation,
        groups,
    } = options;
    module::conv2d(
        x,
        weight,
        bias,
        ConvOptions::new(stride, padding, dilation, groups),
    )
}
