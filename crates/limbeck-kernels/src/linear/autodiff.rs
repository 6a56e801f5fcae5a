//! The gradients of linear maps.

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

use super::LinearOps;

/// Parents: input and weight, then the bias where there is one.
#[derive(Debug)]
struct Linear;

impl<B: LinearOps, const N: usize> Backward<B, N> for Linear {
    /// Input and weight.
    type State = (NodeId, NodeId);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (x, weight) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
        if let Some(node) = &ops.parents[0] {
            let x = B::kernel_linear_input_gradient(weight, gradient.clone());
            gradients.register::<B>(node.id, x);
        }
        let bias_node = ops.parents.get(2).and_then(Option::as_ref);
        if ops.parents[1].is_none() && bias_node.is_none() {
            return;
        }
        let (weight, bias) = B::kernel_linear_weight_gradient(x, gradient);
        if let Some(node) = &ops.parents[1] {
            gradients.register::<B>(node.id, weight);
        }
        if let Some(node) = bias_node {
            gradients.register::<B>(node.id, bias);
        }
    }
}

impl<B: LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        match Backward::<B, 2>::prepare::<C>(Linear, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = (preparation.checkpoint(&x), preparation.checkpoint(&weight));
                let y = B::kernel_linear(x.into_primitive(), weight.into_primitive());
                preparation.finish(state, y)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_linear(
                x.into_primitive(),
                weight.into_primitive(),
            )),
        }
    }

    fn kernel_linear_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        match Backward::<B, 3>::prepare::<C>(Linear, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = (preparation.checkpoint(&x), preparation.checkpoint(&weight));
                let y = B::kernel_linear_with_bias(
                    x.into_primitive(),
                    weight.into_primitive(),
                    bias.into_primitive(),
                );
                preparation.finish(state, y)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_linear_with_bias(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
            )),
        }
    }
}
