//! Sums whose gradient is found on the way: with respect to one tensor it is known, but for a factor,
//! once the sum is.

use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::squared_error::SquaredErrorOps;

/// Parent: the tensor that learns.
#[derive(Debug)]
struct Sloped;

impl<B: SquaredErrorOps> Backward<B, 1> for Sloped {
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
            // Slopes times one number, as those of squared errors.
            let slopes = B::kernel_squared_error_backward(ops.state, gradient);
            gradients.register::<B>(node.id, slopes);
        }
    }
}

/// `sum` `[1]`, whose gradient with respect to `x` is `slopes`.
pub(crate) fn sloped<B: SquaredErrorOps, C: CheckpointStrategy>(
    x: &FloatTensor<Autodiff<B, C>>,
    sum: FloatTensor<B>,
    slopes: &FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    match Sloped.prepare::<C>([x.node()]).compute_bound().stateful() {
        OpsKind::Tracked(preparation) => preparation.finish(slopes.clone(), sum),
        OpsKind::UnTracked(preparation) => preparation.finish(sum),
    }
}
