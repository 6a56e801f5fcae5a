//! The gradients of a convolution.

use burn::backend::{
    autodiff::{
        NodeId,
        checkpoint::base::Checkpointer,
        grads::Gradients,
        ops::{Backward, Ops},
    },
    tensor::FloatTensor,
};

use crate::{Conv2dOptions, ops::KernelOps};

#[derive(Debug)]
pub(super) struct Conv2d;

impl<B: KernelOps> Backward<B, 2> for Conv2d {
    type State = (NodeId, NodeId, Conv2dOptions);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [x_node, weight_node] = ops.parents;
        let (x, weight, options) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
        // The input's comes last: its room may be that of the input, which nobody reads any more.
        if let Some(node) = weight_node {
            let (x, weight, gradient) = (x.clone(), weight.clone(), gradient.clone());
            let weight = B::kernel_conv2d_weight_gradient(x, weight, gradient, options);
            gradients.register::<B>(node.id, weight);
        }
        if let Some(node) = x_node {
            let x = B::kernel_conv2d_input_gradient(x, weight, gradient, options);
            gradients.register::<B>(node.id, x);
        }
    }
}

#[derive(Debug)]
pub(super) struct Conv2dWithBias;

impl<B: KernelOps> Backward<B, 3> for Conv2dWithBias {
    type State = (NodeId, NodeId, Conv2dOptions);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [x_node, weight_node, bias_node] = ops.parents;
        let (x, weight, options) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
        if let Some(node) = bias_node {
            gradients.register::<B>(node.id, B::kernel_conv2d_bias_gradient(gradient.clone()));
        }
        // The input's comes last: its room may be that of the input, which nobody reads any more.
        if let Some(node) = weight_node {
            let (x, weight, gradient) = (x.clone(), weight.clone(), gradient.clone());
            let weight = B::kernel_conv2d_weight_gradient(x, weight, gradient, options);
            gradients.register::<B>(node.id, weight);
        }
        if let Some(node) = x_node {
            let x = B::kernel_conv2d_input_gradient(x, weight, gradient, options);
            gradients.register::<B>(node.id, x);
        }
    }
}
