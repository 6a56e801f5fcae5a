//! The gradients of linear maps.

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

use super::LinearOps;
use crate::optional::Optional;

/// Parents: input and weight, then the bias where there is one.
#[derive(Debug)]
struct Linear;

impl<B: LinearOps, const N: usize> Backward<B, N> for Linear {
    /// Input and weight.
    type State = (NodeId, NodeId);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (x, weight) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
        if let Some(node) = &ops.parents[0] {
            let x = B::kernel_linear_input_gradient(weight, gradient.clone());
            gradients.register::<B>(node.id, x);
        }
        let bias_node = ops.parents.get(2).and_then(Option::as_ref);
        if ops.parents[1].is_none() && bias_node.is_none() {
            return;
        }
        let (weight, bias) = B::kernel_linear_weight_gradient(x, gradient);
        if let Some(node) = &ops.parents[1] {
            gradients.register::<B>(node.id, weight);
        }
        if let Some(node) = bias_node {
            gradients.register::<B>(node.id, bias);
        }
    }
}

/// What the backward pass of a map onto a residual needs.
#[derive(Clone, Debug)]
struct State<T> {
    x: NodeId,
    weight: NodeId,
    shares: Option<T>,
}

/// Parents: input, weight, bias, residual.
#[derive(Debug)]
struct LinearOnto;

impl<B: LinearOps> Backward<B, 4> for LinearOnto {
    type State = State<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let State { x, weight, shares } = ops.state;
        let mut gradient = gradients.consume::<B>(&ops.node);
        let [x_node, weight_node, bias_node, residual] = ops.parents;
        if let Some(node) = residual {
            gradients.register::<B>(node.id, gradient.clone());
        }
        if let Some(shares) = shares {
            gradient = B::kernel_scale_images(gradient, shares);
        }
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
        if let Some(node) = x_node {
            let x = B::kernel_linear_input_gradient(weight, gradient.clone());
            gradients.register::<B>(node.id, x);
        }
        if weight_node.is_none() && bias_node.is_none() {
            return;
        }
        let (weight, bias) = B::kernel_linear_weight_gradient(x, gradient);
        for (node, gradient) in [(weight_node, weight), (bias_node, bias)] {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn kernel_linear_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        shares: Optional<Self>,
    ) -> FloatTensor<Self> {
        let shares = shares.into_option().map(|shares| shares.into_primitive());
        let given = Optional::new(shares.clone());
        let nodes = [&x, &weight, &bias, &residual].map(|tensor| tensor.node());
        let run = |x: FloatTensor<Self>,
                   weight: FloatTensor<Self>,
                   bias: FloatTensor<Self>,
                   residual: FloatTensor<Self>| {
            B::kernel_linear_onto(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
                residual.into_primitive(),
                given,
            )
        };
        match LinearOnto.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = State {
                    x: preparation.checkpoint(&x),
                    weight: preparation.checkpoint(&weight),
                    shares,
                };
                preparation.finish(state, run(x, weight, bias, residual))
            }
            OpsKind::UnTracked(preparation) => preparation.finish(run(x, weight, bias, residual)),
        }
    }

    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        match Backward::<B, 2>::prepare::<C>(Linear, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = (preparation.checkpoint(&x), preparation.checkpoint(&weight));
                let y = B::kernel_linear(x.into_primitive(), weight.into_primitive());
                preparation.finish(state, y)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_linear(
                x.into_primitive(),
                weight.into_primitive(),
            )),
        }
    }

    fn kernel_linear_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        match Backward::<B, 3>::prepare::<C>(Linear, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = (preparation.checkpoint(&x), preparation.checkpoint(&weight));
                let y = B::kernel_linear_with_bias(
                    x.into_primitive(),
                    weight.into_primitive(),
                    bias.into_primitive(),
                );
                preparation.finish(state, y)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_linear_with_bias(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
            )),
        }
    }
}
