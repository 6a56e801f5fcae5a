//! The gradient of log-probabilities.

use burn::backend::{
    Autodiff, AutodiffBackend,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::{FloatTensor, IntTensor},
};

use super::ops::LikelihoodOps;

#[derive(Debug)]
struct PixelLogLikelihood;

impl<B: LikelihoodOps> Backward<B, 1> for PixelLogLikelihood {
    /// Logits, classes, logarithms.
    type State = (NodeId, IntTensor<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (logits, classes, logarithms) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let logits = checkpointer.retrieve_node_output::<FloatTensor<B>>(logits);
        let [node] = ops.parents;
        if let Some(node) = node {
            let gradient =
                B::kernel_pixel_log_likelihood_backward(logits, classes, logarithms, gradient);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

impl<B: LikelihoodOps, C: CheckpointStrategy> LikelihoodOps for Autodiff<B, C> {
    fn kernel_pixel_log_likelihood(
        logits: FloatTensor<Self>,
        classes: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (output, logarithms) =
            B::kernel_pixel_log_likelihood(logits.primitive().clone(), classes.clone());
        let node = logits.node();
        let result = match PixelLogLikelihood
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = (preparation.checkpoint(&logits), classes, logarithms.clone());
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        };
        (result, Self::from_inner(logarithms))
    }
}
