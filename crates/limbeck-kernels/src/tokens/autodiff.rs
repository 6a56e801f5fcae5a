//! The gradients of operations on tokens.

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

use super::ops::TokenOps;

#[derive(Debug)]
struct Transpose;

impl<B: TokenOps> Backward<B, 1> for Transpose {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::kernel_transpose(gradient));
        }
    }
}

#[derive(Debug)]
struct Patches;

impl<B: TokenOps> Backward<B, 1> for Patches {
    /// Grid and side.
    type State = ([usize; 2], usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let ([node], (grid, side)) = (ops.parents, ops.state);
        if let Some(node) = node {
            let gradient = B::kernel_token_patches_backward(gradient, grid, side);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct Depthwise;

impl<B: TokenOps> Backward<B, 3> for Depthwise {
    /// Tokens, weight, grid.
    type State = (NodeId, NodeId, [usize; 2]);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (x, weight, grid) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
        let (x, weight, bias) = B::kernel_depthwise_tokens_backward(x, weight, gradient, grid);
        for (node, gradient) in ops.parents.into_iter().zip([x, weight, bias]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: TokenOps, C: CheckpointStrategy> TokenOps for Autodiff<B, C> {
    fn kernel_transpose(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let output = B::kernel_transpose(x.into_primitive());
        match Transpose.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish((), output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }

    fn kernel_token_patches(
        x: FloatTensor<Self>,
        grid: [usize; 2],
        side: usize,
    ) -> FloatTensor<Self> {
        let node = x.node();
        let output = B::kernel_token_patches(x.into_primitive(), grid, side);
        match Patches.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish((grid, side), output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }

    fn kernel_depthwise_tokens(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grid: [usize; 2],
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        match Depthwise.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = (
                    preparation.checkpoint(&x),
                    preparation.checkpoint(&weight),
                    grid,
                );
                let output = B::kernel_depthwise_tokens(
                    x.into_primitive(),
                    weight.into_primitive(),
                    bias.into_primitive(),
                    grid,
                );
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_depthwise_tokens(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
                grid,
            )),
        }
    }
}
