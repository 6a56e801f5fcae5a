//! The gradient of the rectified linear unit.

use burn::backend::{
    autodiff::{
        checkpoint::base::Checkpointer,
        grads::Gradients,
        ops::{Backward, Ops},
    },
    tensor::FloatTensor,
};

use crate::ops::KernelOps;

#[derive(Debug)]
pub(super) struct Relu;

impl<B: KernelOps> Backward<B, 1> for Relu {
    /// The output.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            let gradient = B::kernel_relu_backward(ops.state, gradient);
            gradients.register::<B>(node.id, gradient);
        }
    }
}
