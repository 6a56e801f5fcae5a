//! Automatic differentiation of two batch norms that are added.

use burn::backend::{
    Autodiff, AutodiffBackend, Backend,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{ops::NormalisationOps, outcome::NormalisedPair};
use crate::{activation::Activation, optional::Optional};

/// As [`NormalisationOps::kernel_batch_norm_pair`]; the statistics are detached.
pub(super) fn batch_norm_pair<B: NormalisationOps, C: CheckpointStrategy>(
    x: [FloatTensor<Autodiff<B, C>>; 2],
    weights: [FloatTensor<Autodiff<B, C>>; 2],
    biases: [FloatTensor<Autodiff<B, C>>; 2],
    epsilon: f64,
    activation: Activation,
) -> NormalisedPair<Autodiff<B, C>> {
    let inner = |tensor: &FloatTensor<Autodiff<B, C>>| tensor.primitive().clone();
    let (output, mean, mean_beside, variance, variance_beside) = B::kernel_batch_norm_pair(
        inner(&x[0]),
        inner(&x[1]),
        inner(&weights[0]),
        inner(&weights[1]),
        inner(&biases[0]),
        inner(&biases[1]),
        epsilon,
        activation,
    );
    let nodes = [
        x[0].node(),
        x[1].node(),
        weights[0].node(),
        weights[1].node(),
        biases[0].node(),
        biases[1].node(),
    ];
    let seen = (activation != Activation::Identity).then(|| output.clone());
    let result = match Pair.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut preparation) => {
            let state = State {
                x: [preparation.checkpoint(&x[0]), preparation.checkpoint(&x[1])],
                weights: [
                    preparation.checkpoint(&weights[0]),
                    preparation.checkpoint(&weights[1]),
                ],
                means: [mean.clone(), mean_beside.clone()],
                variances: [variance.clone(), variance_beside.clone()],
                output: seen,
                epsilon,
                activation,
            };
            preparation.finish(state, output)
        }
        OpsKind::UnTracked(preparation) => preparation.finish(output),
    };
    (
        result,
        Autodiff::<B, C>::from_inner(mean),
        Autodiff::<B, C>::from_inner(mean_beside),
        Autodiff::<B, C>::from_inner(variance),
        Autodiff::<B, C>::from_inner(variance_beside),
    )
}

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    x: [NodeId; 2],
    weights: [NodeId; 2],
    means: [FloatTensor<B>; 2],
    variances: [FloatTensor<B>; 2],
    /// The output, where the activation asks for it.
    output: Option<FloatTensor<B>>,
    epsilon: f64,
    activation: Activation,
}

/// Parents: both inputs, both weights, both biases.
#[derive(Debug)]
struct Pair;

impl<B: NormalisationOps> Backward<B, 6> for Pair {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 6>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let state = ops.state;
        let mut retrieve = |node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node);
        let [x, beside] = state.x.map(&mut retrieve);
        let [weight, weight_beside] = state.weights.map(&mut retrieve);
        let [mean, mean_beside] = state.means;
        let [variance, variance_beside] = state.variances;
        let (x, beside, weight, weight_beside, bias) = B::kernel_batch_norm_pair_backward(
            x,
            beside,
            weight,
            weight_beside,
            mean,
            mean_beside,
            variance,
            variance_beside,
            Optional::new(state.output),
            gradient,
            state.epsilon,
            state.activation,
        );
        let all = [x, beside, weight, weight_beside, bias.clone(), bias];
        for (node, gradient) in ops.parents.into_iter().zip(all) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
