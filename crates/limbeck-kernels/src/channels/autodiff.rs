//! Automatic differentiation of the reordering of channels.

use burn::backend::{
    Autodiff, TensorMetadata,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::ops::ChannelOps;

impl<B: ChannelOps, C: CheckpointStrategy> ChannelOps for Autodiff<B, C> {
    fn kernel_channel_shuffle(x: FloatTensor<Self>, groups: usize) -> FloatTensor<Self> {
        let back = x.shape()[1] / groups;
        let node = x.node();
        let output = B::kernel_channel_shuffle(x.into_primitive(), groups);
        match Shuffle.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish(back, output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }

    fn kernel_interleave_channels(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [first.node(), second.node()];
        let output = B::kernel_interleave_channels(first.into_primitive(), second.into_primitive());
        match Interleave.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish((), output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }
}

#[derive(Debug)]
struct Shuffle;

impl<B: ChannelOps> Backward<B, 1> for Shuffle {
    /// Groups of the shuffle that takes it back.
    type State = usize;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            let gradient = B::kernel_channel_shuffle(gradient, ops.state);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct Interleave;

impl<B: ChannelOps> Backward<B, 2> for Interleave {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        for (first, node) in ops.parents.into_iter().enumerate() {
            if let Some(node) = node {
                let gradient = B::kernel_every_other_channel(gradient.clone(), first);
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
