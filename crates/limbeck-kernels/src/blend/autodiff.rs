//! The gradients of blending.

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

use super::BlendOps;

/// Parents: both maps and the shares.
#[derive(Debug)]
struct Blend;

impl<B: BlendOps> Backward<B, 3> for Blend {
    /// All parents.
    type State = [NodeId; 3];

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [first, second, share] = ops
            .state
            .map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let (first, second, share) = B::kernel_blend_backward(first, second, share, gradient);
        for (node, gradient) in ops.parents.into_iter().zip([first, second, share]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: BlendOps, C: CheckpointStrategy> BlendOps for Autodiff<B, C> {
    fn kernel_blend(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        share: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [first.node(), second.node(), share.node()];
        match Blend.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = [&first, &second, &share].map(|parent| preparation.checkpoint(parent));
                let blended = B::kernel_blend(
                    first.into_primitive(),
                    second.into_primitive(),
                    share.into_primitive(),
                );
                preparation.finish(state, blended)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_blend(
                first.into_primitive(),
                second.into_primitive(),
                share.into_primitive(),
            )),
        }
    }
}
