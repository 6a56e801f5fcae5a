//! The steps of optimisers as an extension of burn's backends.

use burn::backend::{
    Autodiff, Backend, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
    tensor::FloatTensor,
};

use super::{AdamWStep, SgdStep, composed};
use crate::optional::Optional;

/// Steps of optimisers; the bodies given here are made of burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait OptimizerOps: Backend {
    /// See [`crate::sgd_step`]: the parameter and its momentum.
    fn kernel_sgd_step(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] momentum: Optional<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        composed::sgd_step::<Self>(value, gradient, momentum.into_option(), step)
    }

    /// See [`crate::adamw_step`]: the parameter, mean and squared mean.
    fn kernel_adamw_step(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        square: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::adamw_step::<Self>([value, gradient, mean, square], step)
    }

    /// See [`crate::moving_average`].
    fn kernel_moving_average(
        average: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: f64,
    ) -> FloatTensor<Self> {
        composed::moving_average::<Self>(average, value, decay)
    }

    /// See [`crate::sum_of_squares`]: one number in double precision, `[1]`.
    fn kernel_sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::sum_of_squares::<Self>(x)
    }
}

/// Steps are taken of numbers that nothing tracks; tracked ones go through burn's operations.
impl<B: OptimizerOps, C: CheckpointStrategy> OptimizerOps for Autodiff<B, C> {}
