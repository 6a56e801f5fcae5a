//! Two maps mixed by gates that are looked up in both: the one a 1×1 convolution and batch norm of
//! a map, the other a coarser map brought to its size.
//!
//! Neither side of the mixture is ever in memory. What the batch norm needs of the convolved map
//! follows from the mean and the covariance of what is convolved ([`statistics`]): the two become
//! one linear map before a pixel is looked at. Both gates are linear in the same, and so are their
//! gradients, so that the backward pass reads the gradient of the mixture once.
//!
//! One task handles an image, a strip of rows at a time; sums over images are cut into chunks that
//! the batch alone decides, so that no result depends on the number of threads.

mod autodiff;
pub(crate) mod backward;
mod composed;
mod flex;
pub(crate) mod forward;
pub(crate) mod sizes;
pub(crate) mod statistics;
mod strip;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

use crate::batch_norm::BatchNormOutput;

/// The side of [`gated_fusion`] that is convolved and normalised.
#[derive(Clone, Debug)]
pub struct FusionInput {
    /// `[B, C, H, W]`.
    pub x: Tensor<4>,
    /// Kernel of the convolution, `[M, C, 1, 1]`.
    pub weight: Tensor<4>,
    /// The batch norm's scale, `[M]`.
    pub scale: Tensor<1>,
    /// The batch norm's shift, `[M]`.
    pub shift: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// `y·g + r·h` `[B, M, H, W]`, with `y` the batch norm, by the batch's own statistics, of the 1×1
/// convolution of the input, `r` the nearest neighbours of `running` `[B, M, h, w]` at `[H, W]`, and
/// `g` and `h` `[B, 1, H, W]` the sigmoids of the two outputs of a 1×1 convolution of `[y; r]` with
/// `gate_weight` `[2, 2·M, 1, 1]` and `gate_bias` `[2]`. The statistics given back are those of the
/// convolved map, `[M]`.
///
/// Differentiable in all tensors. `f32` on the CPU has a kernel of its own, whose results do not
/// depend on the number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where a size is zero, or the shapes do not fit each other.
pub fn gated_fusion(
    input: FusionInput,
    running: Tensor<4>,
    gate_weight: Tensor<4>,
    gate_bias: Tensor<1>,
) -> BatchNormOutput {
    let FusionInput {
        x,
        weight,
        scale,
        shift,
        epsilon,
    } = input;
    let [batch, inputs, height, width] = x.dims();
    let [outputs, ..] = weight.dims();
    let coarse = running.dims();
    assert!(
        [batch, inputs, height, width, outputs, coarse[2], coarse[3]]
            .iter()
            .all(|&n| n > 0)
            && weight.dims() == [outputs, inputs, 1, 1]
            && scale.dims() == [outputs]
            && shift.dims() == [outputs]
            && coarse[..2] == [batch, outputs]
            && gate_weight.dims() == [2, 2 * outputs, 1, 1]
            && gate_bias.dims() == [2],
        "maps of {:?} and {coarse:?}, a kernel of {:?} and gates of {:?} cannot be fused",
        x.dims(),
        weight.dims(),
        gate_weight.dims()
    );
    let (output, mean, variance, _, _) = Dispatch::kernel_gated_fusion(
        x.into_dispatch(),
        weight.into_dispatch(),
        scale.into_dispatch(),
        shift.into_dispatch(),
        running.into_dispatch(),
        gate_weight.into_dispatch(),
        gate_bias.into_dispatch(),
        epsilon,
    );
    BatchNormOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// Output, mean and variance of the convolved map, what else of it the backward pass reads (as each
/// backend likes it), and the gates `[B, 2, H, W]`.
pub(crate) type Fused<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// Gradients of input, kernel, running map and the gates' kernel, each in its shape, and of scale,
/// shift and the gates' bias one after the other, `[2·M + 2]`.
pub(crate) type Gradients<B> = Fused<B>;

/// Gated fusion, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait GatedFusionOps: Backend {
    /// See [`gated_fusion`].
    #[allow(clippy::type_complexity, reason = "the extension reads the tuple")]
    fn kernel_gated_fusion(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        running: FloatTensor<Self>,
        gate_weight: FloatTensor<Self>,
        gate_bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        composed::fuse::<Self>(
            [x, weight, scale, shift],
            [running, gate_weight, gate_bias],
            epsilon,
        )
    }

    /// Gradients of the output by what [`GatedFusionOps::kernel_gated_fusion`] was given and gave.
    #[allow(clippy::type_complexity, reason = "the extension reads the tuple")]
    fn kernel_gated_fusion_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        running: FloatTensor<Self>,
        gate_weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        composed::gradients::<Self>(
            [x, weight, scale, shift],
            [running, gate_weight],
            [mean, variance, kept, gates],
            gradient,
            epsilon,
        )
    }
}
