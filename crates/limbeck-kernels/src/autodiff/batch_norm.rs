//! The gradients of batch norms.

use burn::backend::{
    Backend,
    autodiff::{
        NodeId,
        checkpoint::base::Checkpointer,
        grads::Gradients,
        ops::{Backward, Ops},
    },
    tensor::FloatTensor,
};

use crate::ops::KernelOps;

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
pub(super) struct State<B: Backend> {
    pub x: NodeId,
    pub weight: NodeId,
    pub mean: FloatTensor<B>,
    pub variance: FloatTensor<B>,
    /// The output, where its positive part was taken.
    pub output: Option<FloatTensor<B>>,
    pub epsilon: f64,
}

impl<B: KernelOps> State<B> {
    /// Gradients with respect to input, residual where asked for, weight and bias.
    fn gradients(
        self,
        gradient: FloatTensor<B>,
        checkpointer: &mut Checkpointer,
        with_residual: bool,
    ) -> [Option<FloatTensor<B>>; 4] {
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(self.x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(self.weight);
        match self.output {
            Some(output) => {
                let (x, residual, weight, bias) = B::kernel_batch_norm_relu_backward(
                    x,
                    weight,
                    self.mean,
                    self.variance,
                    output,
                    gradient,
                    self.epsilon,
                    with_residual,
                );
                [Some(x), residual, Some(weight), Some(bias)]
            }
            None => {
                let (x, weight, bias) = B::kernel_batch_norm_backward(
                    x,
                    weight,
                    self.mean,
                    self.variance,
                    gradient,
                    self.epsilon,
                );
                [Some(x), None, Some(weight), Some(bias)]
            }
        }
    }
}

/// Parents: input, weight and bias.
#[derive(Debug)]
pub(super) struct BatchNorm;

impl<B: KernelOps> Backward<B, 3> for BatchNorm {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [x, _, weight, bias] = ops.state.gradients(gradient, checkpointer, false);
        for (node, gradient) in ops.parents.into_iter().zip([x, weight, bias]) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Parents: input, residual, weight and bias.
#[derive(Debug)]
pub(super) struct BatchNormAddRelu;

impl<B: KernelOps> Backward<B, 4> for BatchNormAddRelu {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let with_residual = ops.parents[1].is_some();
        let all = ops.state.gradients(gradient, checkpointer, with_residual);
        for (node, gradient) in ops.parents.into_iter().zip(all) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
