//! The normalisations as an extension of burn's backends.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use super::composed;
use crate::{activation::Activation, optional::Optional};

/// Normalisations of maps; the bodies given here are made of burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait NormalisationOps: Backend {
    /// See [`crate::batch_norm_train`]: output, mean and variance. Last what the kernels have
    /// computed the output by where nothing was added to it and it has an activation: the scale of
    /// each channel's distance from the mean, then its shift, `[2, C]`. SiLU is always told by it, and
    /// so stands behind no sum.
    fn kernel_batch_norm(
        x: FloatTensor<Self>,
        #[extension_type] residual: Optional<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        activation: Activation,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
    ) {
        composed::batch_norm::<Self>(x, residual.into_option(), weight, bias, epsilon, activation)
    }

    /// Gradients of [`NormalisationOps::kernel_batch_norm`] with respect to `x`, the residual
    /// where asked for, `weight` and bias. `output` is asked for by every activation but the
    /// identity; `scaling`, what it can be computed by, is the forward pass's.
    fn kernel_batch_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        #[extension_type] output: Optional<Self>,
        #[extension_type] scaling: Optional<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
        activation: Activation,
        with_residual: bool,
    ) -> (
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        composed::batch_norm_backward::<Self>(
            [x, weight, mean, variance],
            output.into_option(),
            scaling.into_option(),
            gradient,
            epsilon,
            activation,
            with_residual,
        )
    }

    /// See [`crate::batch_norm_pair_train`]: output, both means, both variances.
    #[allow(clippy::type_complexity, reason = "the extension reads the tuple")]
    fn kernel_batch_norm_pair(
        x: FloatTensor<Self>,
        beside: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        weight_beside: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        bias_beside: FloatTensor<Self>,
        epsilon: f64,
        activation: Activation,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        composed::batch_norm_pair::<Self>(
            [x, beside],
            [weight, weight_beside],
            [bias, bias_beside],
            epsilon,
            activation,
        )
    }

    /// Gradients of [`NormalisationOps::kernel_batch_norm_pair`] with respect to both inputs, both
    /// weights and either bias. `output` is asked for by every activation but the identity.
    #[allow(clippy::type_complexity, reason = "the extension reads the tuple")]
    fn kernel_batch_norm_pair_backward(
        x: FloatTensor<Self>,
        beside: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        weight_beside: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        mean_beside: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        variance_beside: FloatTensor<Self>,
        #[extension_type] output: Optional<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
        activation: Activation,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        composed::batch_norm_pair_backward::<Self>(
            [x, weight, mean, variance],
            [beside, weight_beside, mean_beside, variance_beside],
            output.into_option(),
            gradient,
            epsilon,
            activation,
        )
    }

    /// See [`crate::channel_affine`].
    fn kernel_channel_affine(
        x: FloatTensor<Self>,
        #[extension_type] residual: Optional<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        composed::channel_affine::<Self>(x, residual.into_option(), scale, shift, activation)
    }

    /// Gradients of [`NormalisationOps::kernel_channel_affine`] with respect to `x`, the residual
    /// where asked for, `scale` and shift; `output` as for the batch norm's.
    fn kernel_channel_affine_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        #[extension_type] output: Optional<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
        with_residual: bool,
    ) -> (
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        composed::channel_affine_backward::<Self>(
            [x, scale],
            output.into_option(),
            gradient,
            activation,
            with_residual,
        )
    }
}
