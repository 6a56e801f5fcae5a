//! Automatic differentiation of resizing.

use burn::backend::{
    Autodiff, TensorMetadata,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{Interpolation, ops::ResizeOps};

impl<B: ResizeOps, C: CheckpointStrategy> ResizeOps for Autodiff<B, C> {
    fn kernel_resize(
        x: FloatTensor<Self>,
        size: [usize; 2],
        interpolation: Interpolation,
    ) -> FloatTensor<Self> {
        let [_, _, height, width] = x.shape().dims();
        let node = x.node();
        let output = B::kernel_resize(x.into_primitive(), size, interpolation);
        match Resize.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => {
                preparation.finish(([height, width], interpolation), output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }
}

#[derive(Debug)]
struct Resize;

impl<B: ResizeOps> Backward<B, 1> for Resize {
    /// Height and width of the input.
    type State = ([usize; 2], Interpolation);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (size, interpolation) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            let dx = B::kernel_resize_backward(size, gradient, interpolation);
            gradients.register::<B>(node.id, dx);
        }
    }
}
