//! The gradient of summaries.

use burn::backend::{
    Autodiff,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::SummaryOps;

#[derive(Debug)]
struct Summary;

impl<B: SummaryOps> Backward<B, 1> for Summary {
    /// The maps.
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(ops.state);
        let [node] = ops.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::kernel_summary_backward(x, gradient));
        }
    }
}

impl<B: SummaryOps, C: CheckpointStrategy> SummaryOps for Autodiff<B, C> {
    fn kernel_summary(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Summary.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = preparation.checkpoint(&x);
                preparation.finish(state, B::kernel_summary(x.into_primitive()))
            }
            OpsKind::UnTracked(preparation) => {
                preparation.finish(B::kernel_summary(x.into_primitive()))
            }
        }
    }
}
