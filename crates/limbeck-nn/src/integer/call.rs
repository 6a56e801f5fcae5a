//! What a layer asks of a pass.

use burn::tensor::Tensor;
use limbeck_kernels::{Activation, Conv2dOptions, Pool2dOptions};

use crate::ParameterId;

/// A convolution in a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvolutionCall<'a> {
    /// Id of its weight, `[O, C / groups, kh, kw]`.
    pub weight: ParameterId,
    /// Id of its own bias, `[O]`; a folded one goes before it.
    pub bias: Option<ParameterId>,
    pub options: Conv2dOptions,
    /// `[B, C, H, W]`.
    pub x: &'a Tensor<4>,
    /// Added before the activation, `[B, O, H', W']`.
    pub residual: Option<&'a Tensor<4>>,
    pub activation: Activation,
}

/// A pooling by the largest number in a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolCall<'a> {
    pub options: Pool2dOptions,
    /// `[B, C, H, W]`.
    pub x: &'a Tensor<4>,
}
