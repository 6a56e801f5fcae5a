//! What is left of feature maps where their channels, or their positions, are averaged.

mod autodiff;
mod composed;
mod flex;
pub(crate) mod maps;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// What [`energy_and_mean`] finds of maps.
#[derive(Clone, Debug)]
pub struct MapSummary {
    /// Mean of the squares over the channels, `[B, H·W]`.
    pub energy: Tensor<2>,
    /// Mean over the positions, `[B, C]`.
    pub mean: Tensor<2>,
}

/// Both means of maps `[B, C, H, W]`, which are read once.
///
/// Differentiable. `f32` on the CPU has a kernel of its own, whose results do not depend on the
/// number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where a size is zero.
pub fn energy_and_mean(x: Tensor<4>) -> MapSummary {
    let shape = x.dims();
    assert!(
        shape.iter().all(|&n| n > 0),
        "maps of shape {shape:?} have no means: every size must be at least 1"
    );
    let [_, channels, height, width] = shape;
    // The graph knows operations of one output.
    let both: Tensor<2> = Tensor::from_dispatch(Dispatch::kernel_summary(x.into_dispatch()));
    MapSummary {
        energy: both.clone().narrow(1, 0, height * width),
        mean: both.narrow(1, height * width, channels),
    }
}

/// Summaries, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait SummaryOps: Backend {
    /// See [`energy_and_mean`]: one behind the other, `[B, H·W + C]`.
    fn kernel_summary(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::summary::<Self>(x)
    }

    /// Gradient of [`SummaryOps::kernel_summary`].
    fn kernel_summary_backward(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::summary_backward::<Self>(x, gradient)
    }
}
