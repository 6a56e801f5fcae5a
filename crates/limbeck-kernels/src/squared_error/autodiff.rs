//! The gradients of squared errors.

use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{PyramidLevel, SquaredErrorOps};

/// Parents: both sides.
#[derive(Debug)]
struct SquaredError;

impl<B: SquaredErrorOps> Backward<B, 2> for SquaredError {
    /// The gradient of the error with respect to the first side.
    type State = Option<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let Some(slopes) = ops.state else { return };
        let slopes = B::kernel_squared_error_backward(slopes, gradient);
        match ops.parents {
            [Some(a), Some(b)] => {
                gradients.register::<B>(b.id, B::float_neg(slopes.clone()));
                gradients.register::<B>(a.id, slopes);
            }
            [Some(a), None] => gradients.register::<B>(a.id, slopes),
            [None, Some(b)] => gradients.register::<B>(b.id, B::float_neg(slopes)),
            [None, None] => {}
        }
    }
}

impl<B: SquaredErrorOps, C: CheckpointStrategy> SquaredErrorOps for Autodiff<B, C> {
    fn kernel_squared_error(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        levels: Vec<PyramidLevel>,
        _with_slopes: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let nodes = [a.node(), b.node()];
        let compare = |with_slopes| {
            let (a, b) = (a.into_primitive(), b.into_primitive());
            B::kernel_squared_error(a, b, levels, with_slopes)
        };
        let error = match SquaredError.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => {
                let (error, slopes) = compare(true);
                preparation.finish(slopes, error)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(compare(false).0),
        };
        (error, None)
    }
}
