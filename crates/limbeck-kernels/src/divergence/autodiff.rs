//! The gradient of divergences.

use burn::{
    backend::{
        Autodiff, AutodiffBackend,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::Shape,
};

use super::DivergenceOps;

/// Parent: the rows that learn.
#[derive(Debug)]
struct Divergence;

impl<B: DivergenceOps> Backward<B, 1> for Divergence {
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
            let gradient = B::float_reshape(gradient, Shape::new([1, 1]));
            gradients.register::<B>(node.id, B::float_mul(ops.state, gradient));
        }
    }
}

impl<B: DivergenceOps, C: CheckpointStrategy> DivergenceOps for Autodiff<B, C> {
    fn kernel_divergence(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let target = target.into_primitive();
        let (sum, slopes) = B::kernel_divergence(x.primitive().clone(), target, scale);
        let sum = match Divergence
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(preparation) => preparation.finish(slopes.clone(), sum),
            OpsKind::UnTracked(preparation) => preparation.finish(sum),
        };
        (sum, Self::from_inner(slopes))
    }
}
