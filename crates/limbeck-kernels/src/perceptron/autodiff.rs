//! The gradients of perceptrons.

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

use super::PerceptronOps;
use crate::optional::Optional;

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct State<T> {
    x: NodeId,
    first: NodeId,
    second: NodeId,
    given: T,
    shares: Option<T>,
}

/// Parents: input, first weight and bias, second weight and bias, residual.
#[derive(Debug)]
struct Perceptron;

impl<B: PerceptronOps> Backward<B, 6> for Perceptron {
    type State = State<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 6>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let State {
            x,
            first,
            second,
            given,
            shares,
        } = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [
            x_node,
            first_node,
            first_bias,
            second_node,
            second_bias,
            residual,
        ] = ops.parents;
        if let Some(node) = residual {
            gradients.register::<B>(node.id, gradient.clone());
        }
        let [x, first, second] = [x, first, second]
            .map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let shares = Optional::new(shares);
        let of = B::kernel_perceptron_backward(x, first, second, given, gradient, shares);
        let found = [
            (x_node, of.0),
            (first_node, of.1),
            (first_bias, of.2),
            (second_node, of.3),
            (second_bias, of.4),
        ];
        for (node, gradient) in found {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: PerceptronOps, C: CheckpointStrategy> PerceptronOps for Autodiff<B, C> {
    fn kernel_perceptron(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        shares: Optional<Self>,
    ) -> FloatTensor<Self> {
        let shares = shares.into_option().map(|shares| shares.into_primitive());
        let given = Optional::new(shares.clone());
        let tensors = [&x, &first, &first_bias, &second, &second_bias, &residual];
        let nodes = tensors.map(|tensor| tensor.node());
        match Perceptron.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let [x_id, first_id, second_id] =
                    [&x, &first, &second].map(|tensor| preparation.checkpoint(tensor));
                let (output, given) = B::kernel_perceptron_kept(
                    x.into_primitive(),
                    first.into_primitive(),
                    first_bias.into_primitive(),
                    second.into_primitive(),
                    second_bias.into_primitive(),
                    residual.into_primitive(),
                    given,
                );
                let state = State {
                    x: x_id,
                    first: first_id,
                    second: second_id,
                    given,
                    shares,
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_perceptron(
                x.into_primitive(),
                first.into_primitive(),
                first_bias.into_primitive(),
                second.into_primitive(),
                second_bias.into_primitive(),
                residual.into_primitive(),
                given,
            )),
        }
    }
}
