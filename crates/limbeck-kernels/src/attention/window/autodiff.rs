//! The gradients of attention in windows.

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

use super::{ProjectionOrder, WindowAttentionOps, Windows};

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct State<T> {
    qkv: NodeId,
    bias: NodeId,
    logarithms: T,
    windows: Windows,
    order: ProjectionOrder,
}

#[derive(Debug)]
struct WindowAttention;

impl<B: WindowAttentionOps> Backward<B, 2> for WindowAttention {
    type State = State<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let State {
            qkv,
            bias,
            logarithms,
            windows,
            order,
        } = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let qkv = checkpointer.retrieve_node_output::<FloatTensor<B>>(qkv);
        let bias = checkpointer.retrieve_node_output::<FloatTensor<B>>(bias);
        let (of_qkv, of_bias) =
            B::kernel_window_attention_backward(qkv, bias, logarithms, gradient, windows, order);
        for (node, gradient) in ops.parents.into_iter().zip([of_qkv, of_bias]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: WindowAttentionOps, C: CheckpointStrategy> WindowAttentionOps for Autodiff<B, C> {
    fn kernel_window_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        windows: Windows,
        order: ProjectionOrder,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let inner = [&qkv, &bias].map(|tensor| tensor.primitive().clone());
        let [inner_qkv, inner_bias] = inner;
        let (output, logarithms) =
            B::kernel_window_attention(inner_qkv, inner_bias, windows, order);
        let result = match WindowAttention
            .prepare::<C>([qkv.node(), bias.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = State {
                    qkv: preparation.checkpoint(&qkv),
                    bias: preparation.checkpoint(&bias),
                    logarithms: logarithms.clone(),
                    windows,
                    order,
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        };
        (result, Self::from_inner(logarithms))
    }
}
