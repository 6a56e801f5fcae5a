//! The gradient of divergences.

use burn::backend::{
    Autodiff, AutodiffBackend, autodiff::checkpoint::strategy::CheckpointStrategy,
    tensor::FloatTensor,
};

use super::DivergenceOps;
use crate::{slopes::sloped, squared_error::SquaredErrorOps};

impl<B: DivergenceOps + SquaredErrorOps, C: CheckpointStrategy> DivergenceOps for Autodiff<B, C> {
    fn kernel_divergence(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let target = target.into_primitive();
        let (sum, slopes) = B::kernel_divergence(x.primitive().clone(), target, scale);
        let sum = sloped::<B, C>(&x, sum, &slopes);
        (sum, Self::from_inner(slopes))
    }

    fn kernel_soft_cross_entropy(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let target = target.into_primitive();
        let (sum, slopes) = B::kernel_soft_cross_entropy(x.primitive().clone(), target);
        let sum = sloped::<B, C>(&x, sum, &slopes);
        (sum, Self::from_inner(slopes))
    }

    fn kernel_cross_entropy_with_shares(
        x: FloatTensor<Self>,
        shares: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shares = shares.into_primitive();
        let (sum, slopes) = B::kernel_cross_entropy_with_shares(x.primitive().clone(), shares);
        let sum = sloped::<B, C>(&x, sum, &slopes);
        (sum, Self::from_inner(slopes))
    }
}
