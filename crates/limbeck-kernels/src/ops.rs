//! The operations as an extension of burn's backends.

use burn::backend::{Backend, backend_extension, ops::ConvOptions, tensor::FloatTensor};

use crate::{
    Conv2dOptions,
    composed::{self, Saved},
};

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

    /// See [`crate::conv2d_relu`].
    fn kernel_conv2d_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        Self::kernel_relu(Self::kernel_conv2d_with_bias(x, weight, bias, options))
    }

    /// See [`crate::conv2d_add_relu`].
    fn kernel_conv2d_add_relu(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        let y = Self::kernel_conv2d_with_bias(x, weight, bias, options);
        Self::kernel_relu(Self::float_add(y, residual))
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
        composed::sum_per_channel::<Self>(gradient)
    }

    /// See [`crate::relu`].
    fn kernel_relu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::relu(x)
    }

    /// Gradient of [`KernelOps::kernel_relu`] from its output and the gradient of that.
    fn kernel_relu_backward(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::relu_backward(output, gradient)
    }

    /// See [`crate::batch_norm_train`]: output, mean and variance.
    fn kernel_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::batch_norm::<Self>(x, weight, bias, epsilon)
    }

    /// Gradients of [`KernelOps::kernel_batch_norm`] with respect to `x`, `weight` and bias.
    fn kernel_batch_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let saved = Saved {
            x,
            weight,
            mean,
            variance,
            epsilon,
        };
        composed::batch_norm_backward::<Self>(saved, gradient)
    }

    /// See [`crate::batch_norm_relu_train`]: output, mean and variance.
    fn kernel_batch_norm_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::batch_norm_relu::<Self>(x, weight, bias, epsilon)
    }

    /// See [`crate::batch_norm_add_relu_train`]: output, mean and variance.
    fn kernel_batch_norm_add_relu(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::batch_norm_add_relu::<Self>(x, residual, weight, bias, epsilon)
    }

    /// Gradients of [`KernelOps::kernel_batch_norm_relu`] and
    /// [`KernelOps::kernel_batch_norm_add_relu`] with respect to `x`, the residual, `weight` and
    /// bias; that of the residual where it is asked for.
    fn kernel_batch_norm_relu_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
        with_residual: bool,
    ) -> (
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let saved = Saved {
            x,
            weight,
            mean,
            variance,
            epsilon,
        };
        composed::batch_norm_relu_backward::<Self>(saved, output, gradient, with_residual)
    }
}
