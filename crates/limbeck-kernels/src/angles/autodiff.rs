//! The gradient of errors of angles.

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

use super::AngleOps;

/// Parent: the vectors that learn.
#[derive(Debug)]
struct AngleError;

impl<B: AngleOps> Backward<B, 1> for AngleError {
    /// The gradient of the error.
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

impl<B: AngleOps, C: CheckpointStrategy> AngleOps for Autodiff<B, C> {
    fn kernel_angle_error(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let target = target.into_primitive();
        let (error, slopes) = B::kernel_angle_error(x.primitive().clone(), target);
        let error = match AngleError
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(preparation) => preparation.finish(slopes.clone(), error),
            OpsKind::UnTracked(preparation) => preparation.finish(error),
        };
        (error, Self::from_inner(slopes))
    }
}
