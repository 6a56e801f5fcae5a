//! The operations as an extension of burn's backends.

use burn::backend::{
    Backend, TensorMetadata, backend_extension, ops::ConvOptions, tensor::FloatTensor,
};
use burn::tensor::Shape;

use crate::Conv2dOptions;

impl From<Conv2dOptions> for ConvOptions<2> {
    fn from(options: Conv2dOptions) -> Self {
        ConvOptions::new(
            options.stride,
            options.padding,
            options.dilation,
            options.groups,
        )
    }
}

/// Operations with a fast path on the CPU; the bodies given here are burn's own operations, which
/// every other device and every type but `f32` use.
///
/// The gradients are operations of their own so that the automatic differentiation of any backend
/// can call them.
#[backend_extension(Autodiff, Flex)]
pub trait KernelOps: Backend {
    /// See [`crate::conv2d`].
    fn kernel_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        Self::conv2d(x, weight, None, options.into())
    }

    /// See [`crate::conv2d`].
    fn kernel_conv2d_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        Self::conv2d(x, weight, Some(bias), options.into())
    }

    /// Gradient with respect to `x`, of which the shape alone matters.
    fn kernel_conv2d_input_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, weight, gradient, options.into())
    }

    /// Gradient with respect to `weight`, of which the shape alone matters.
    fn kernel_conv2d_weight_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        Self::conv2d_weight_backward(x, weight, gradient, options.into())
    }

    /// Gradient with respect to the bias, `[O]`: the sum of `gradient` `[B, O, H', W']` over all
    /// but the channels.
    fn kernel_conv2d_bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        sum_per_channel::<Self>(gradient)
    }
}

/// Sum of `[B, C, H, W]` over all but the channels, `[C]`.
pub(crate) fn sum_per_channel<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    let channels = tensor.shape()[1];
    let sum = B::float_sum_dim(tensor, 0);
    let sum = B::float_sum_dim(sum, 2);
    let sum = B::float_sum_dim(sum, 3);
    B::float_reshape(sum, Shape::new([channels]))
}
