//! The operations as an extension of burn's backends.

use burn::backend::{Backend, backend_extension, ops::ConvOptions, tensor::FloatTensor};

use crate::{Conv2dOptions, activation::Activation, composed, normalisation, optional::Optional};

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

    /// See [`crate::conv2d_pair`].
    fn kernel_conv2d_pair(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        first_options: Conv2dOptions,
        second_options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        (
            Self::kernel_conv2d(x.clone(), first, first_options),
            Self::kernel_conv2d(x, second, second_options),
        )
    }

    /// See [`crate::conv2d_with`].
    fn kernel_conv2d_with(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        #[extension_type] residual: Optional<Self>,
        activation: Activation,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        let y = Self::kernel_conv2d_with_bias(x, weight, bias, options);
        normalisation::finish::<Self>(y, residual.into_option(), activation)
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

    /// [`KernelOps::kernel_conv2d_input_gradient`], added to `to`.
    fn kernel_conv2d_add_input_gradient(
        to: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        let gradient = Self::kernel_conv2d_input_gradient(x, weight, gradient, options);
        Self::float_add(to, gradient)
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

    /// [`KernelOps::kernel_conv2d_weight_gradient`] of two convolutions of one `x`.
    fn kernel_conv2d_weight_gradients(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        first_gradient: FloatTensor<Self>,
        second_gradient: FloatTensor<Self>,
        first_options: Conv2dOptions,
        second_options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        weight_gradients_one_by_one::<Self>(
            x,
            [first, second],
            [first_gradient, second_gradient],
            [first_options, second_options],
        )
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
}

/// [`KernelOps::kernel_conv2d_weight_gradients`] where nothing is gained by computing both at once.
pub(crate) fn weight_gradients_one_by_one<B: KernelOps>(
    x: FloatTensor<B>,
    [first, second]: [FloatTensor<B>; 2],
    [first_gradient, second_gradient]: [FloatTensor<B>; 2],
    [first_options, second_options]: [Conv2dOptions; 2],
) -> (FloatTensor<B>, FloatTensor<B>) {
    (
        B::kernel_conv2d_weight_gradient(x.clone(), first, first_gradient, first_options),
        B::kernel_conv2d_weight_gradient(x, second, second_gradient, second_options),
    )
}
