//! The gradient of divergences.

use burn::backend::{
    Autodiff, AutodiffBackend,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::DivergenceOps;
use crate::squared_error::SquaredErrorOps;

/// Parent: the rows or maps that learn.
#[derive(Debug)]
struct Divergence;

impl<B: DivergenceOps + SquaredErrorOps> Backward<B, 1> for Divergence {
    /// The gradient of the sum.
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            // Slopes times one number, there as here.
            let slopes = B::kernel_squared_error_backward(ops.state, gradient);
            gradients.register::<B>(node.id, slopes);
        }
    }
}

impl<B: DivergenceOps + SquaredErrorOps, C: CheckpointStrategy> DivergenceOps for Autodiff<B, C> {
    fn kernel_divergence(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let target = target.into_primitive();
        let (sum, slopes) = B::kernel_divergence(x.primitive().clone(), target, scale);
        let sum = tracked::<B, C>(&x, sum, &slopes);
        (sum, Self::from_inner(slopes))
    }

    fn kernel_soft_cross_entropy(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let target = target.into_primitive();
        let (sum, slopes) = B::kernel_soft_cross_entropy(x.primitive().clone(), target);
        let sum = tracked::<B, C>(&x, sum, &slopes);
        (sum, Self::from_inner(slopes))
    }

    fn kernel_cross_entropy_with_shares(
        x: FloatTensor<Self>,
        shares: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shares = shares.into_primitive();
        let (sum, slopes) = B::kernel_cross_entropy_with_shares(x.primitive().clone(), shares);
        let sum = tracked::<B, C>(&x, sum, &slopes);
        (sum, Self::from_inner(slopes))
    }
}

/// `sum`, whose gradient with respect to `x` is `slopes`.
fn tracked<B: DivergenceOps + SquaredErrorOps, C: CheckpointStrategy>(
    x: &FloatTensor<Autodiff<B, C>>,
    sum: FloatTensor<B>,
    slopes: &FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    match Divergence
        .prepare::<C>([x.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(preparation) => preparation.finish(slopes.clone(), sum),
        OpsKind::UnTracked(preparation) => preparation.finish(sum),
    }
}
