//! The gradient of attention.

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

use super::AttentionOps;

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct State<T> {
    qkv: NodeId,
    output: T,
    logarithms: T,
    heads: usize,
}

#[derive(Debug)]
struct SelfAttention;

impl<B: AttentionOps> Backward<B, 1> for SelfAttention {
    type State = State<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let State {
            qkv,
            output,
            logarithms,
            heads,
        } = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let qkv = checkpointer.retrieve_node_output::<FloatTensor<B>>(qkv);
        let [node] = ops.parents;
        if let Some(node) = node {
            let gradient =
                B::kernel_self_attention_backward(qkv, output, logarithms, gradient, heads);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

/// What the backward pass needs of the forward pass where keys have a tensor of their own.
#[derive(Clone, Debug)]
struct StateApart<T> {
    queries: NodeId,
    keys_values: NodeId,
    output: T,
    logarithms: T,
    heads: usize,
}

#[derive(Debug)]
struct Attention;

impl<B: AttentionOps> Backward<B, 2> for Attention {
    type State = StateApart<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let StateApart {
            queries,
            keys_values,
            output,
            logarithms,
            heads,
        } = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let queries = checkpointer.retrieve_node_output::<FloatTensor<B>>(queries);
        let keys_values = checkpointer.retrieve_node_output::<FloatTensor<B>>(keys_values);
        let (of_queries, of_keys) =
            B::kernel_attention_backward(queries, keys_values, output, logarithms, gradient, heads);
        for (node, gradient) in ops.parents.into_iter().zip([of_queries, of_keys]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn kernel_self_attention(
        qkv: FloatTensor<Self>,
        heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (output, logarithms) = B::kernel_self_attention(qkv.primitive().clone(), heads);
        let node = qkv.node();
        let result = match SelfAttention
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = State {
                    qkv: preparation.checkpoint(&qkv),
                    output: output.clone(),
                    logarithms: logarithms.clone(),
                    heads,
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        };
        (result, Self::from_inner(logarithms))
    }

    fn kernel_attention(
        queries: FloatTensor<Self>,
        keys_values: FloatTensor<Self>,
        heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let inner = [&queries, &keys_values].map(|tensor| tensor.primitive().clone());
        let [inner_queries, inner_keys] = inner;
        let (output, logarithms) = B::kernel_attention(inner_queries, inner_keys, heads);
        let result = match Attention
            .prepare::<C>([queries.node(), keys_values.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = StateApart {
                    queries: preparation.checkpoint(&queries),
                    keys_values: preparation.checkpoint(&keys_values),
                    output: output.clone(),
                    logarithms: logarithms.clone(),
                    heads,
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        };
        (result, Self::from_inner(logarithms))
    }
}
