//! Straight-through gradients.

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

use super::{Levels, ops::QuantiseOps};

#[derive(Debug)]
struct Quantise;

impl<B: QuantiseOps> Backward<B, 1> for Quantise {
    /// The input, and what it was brought to.
    type State = (NodeId, Levels);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (x, levels) = ops.state;
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let [node] = ops.parents;
        if let Some(node) = node {
            let gradient = B::kernel_quantise_backward(x, gradient, levels);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct QuantiseRows;

impl<B: QuantiseOps> Backward<B, 1> for QuantiseRows {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, gradient);
        }
    }
}

impl<B: QuantiseOps, C: CheckpointStrategy> QuantiseOps for Autodiff<B, C> {
    fn kernel_quantise(x: FloatTensor<Self>, levels: Levels) -> FloatTensor<Self> {
        match Quantise.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = (preparation.checkpoint(&x), levels);
                preparation.finish(state, B::kernel_quantise(x.into_primitive(), levels))
            }
            OpsKind::UnTracked(preparation) => {
                preparation.finish(B::kernel_quantise(x.into_primitive(), levels))
            }
        }
    }

    fn kernel_quantise_rows(weight: FloatTensor<Self>, bits: u32) -> FloatTensor<Self> {
        let node = weight.node();
        let output = B::kernel_quantise_rows(weight.into_primitive(), bits);
        match QuantiseRows.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish((), output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }
}
