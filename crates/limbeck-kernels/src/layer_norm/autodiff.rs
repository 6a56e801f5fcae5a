//! The gradients of layer norms.

use burn::backend::{
    Autodiff, AutodiffBackend,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{LayerNormOps, Three};

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct State<T> {
    x: NodeId,
    weight: NodeId,
    mean: T,
    scale: T,
}

/// Parents: input, weight and bias.
#[derive(Debug)]
struct LayerNorm;

impl<B: LayerNormOps> Backward<B, 3> for LayerNorm {
    type State = State<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let state = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(state.x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(state.weight);
        let (x, weight, bias) =
            B::kernel_layer_norm_backward(x, weight, state.mean, state.scale, gradient);
        for (node, gradient) in ops.parents.into_iter().zip([x, weight, bias]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> Three<Self> {
        let (output, mean, scale) = B::kernel_layer_norm(
            x.primitive().clone(),
            weight.primitive().clone(),
            bias.primitive().clone(),
            epsilon,
        );
        let nodes = [x.node(), weight.node(), bias.node()];
        let output = match LayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = State {
                    x: preparation.checkpoint(&x),
                    weight: preparation.checkpoint(&weight),
                    mean: mean.clone(),
                    scale: scale.clone(),
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(scale))
    }
}
