//! The gradient of errors of angles.

use burn::backend::{
    Autodiff, AutodiffBackend, autodiff::checkpoint::strategy::CheckpointStrategy,
    tensor::FloatTensor,
};

use super::AngleOps;
use crate::{slopes::sloped, squared_error::SquaredErrorOps};

impl<B: AngleOps + SquaredErrorOps, C: CheckpointStrategy> AngleOps for Autodiff<B, C> {
    fn kernel_angle_error(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let target = target.into_primitive();
        let (error, slopes) = B::kernel_angle_error(x.primitive().clone(), target);
        let error = sloped::<B, C>(&x, error, &slopes);
        (error, Self::from_inner(slopes))
    }
}
