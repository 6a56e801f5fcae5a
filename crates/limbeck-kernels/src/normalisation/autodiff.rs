//! Automatic differentiation of the normalisations.

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

use super::{
    autodiff_pair,
    ops::NormalisationOps,
    outcome::{Normalised, NormalisedPair},
};
use crate::{activation::Activation, optional::Optional};

impl<B: NormalisationOps, C: CheckpointStrategy> NormalisationOps for Autodiff<B, C> {
    fn kernel_batch_norm(
        x: FloatTensor<Self>,
        residual: Optional<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        activation: Activation,
    ) -> Normalised<Self> {
        let residual = residual.into_option();
        let (output, mean, variance, scaling) = B::kernel_batch_norm(
            x.primitive().clone(),
            Optional::new(
                residual
                    .as_ref()
                    .map(|residual| residual.primitive().clone()),
            ),
            weight.primitive().clone(),
            bias.primitive().clone(),
            epsilon,
            activation,
        );
        let statistics = Statistics {
            mean: mean.clone(),
            variance: variance.clone(),
            scaling,
            epsilon,
        };
        let inputs = Inputs::<B, C> {
            x,
            residual,
            scale: weight,
            shift: bias,
        };
        let result = inputs.track(output, Some(statistics), activation);
        let (mean, variance) = (Self::from_inner(mean), Self::from_inner(variance));
        (result, mean, variance, None)
    }

    fn kernel_batch_norm_pair(
        x: FloatTensor<Self>,
        beside: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        weight_beside: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        bias_beside: FloatTensor<Self>,
        epsilon: f64,
        activation: Activation,
    ) -> NormalisedPair<Self> {
        autodiff_pair::batch_norm_pair::<B, C>(
            [x, beside],
            [weight, weight_beside],
            [bias, bias_beside],
            epsilon,
            activation,
        )
    }

    fn kernel_channel_affine(
        x: FloatTensor<Self>,
        residual: Optional<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let residual = residual.into_option();
        let output = B::kernel_channel_affine(
            x.primitive().clone(),
            Optional::new(
                residual
                    .as_ref()
                    .map(|residual| residual.primitive().clone()),
            ),
            scale.primitive().clone(),
            shift.primitive().clone(),
            activation,
        );
        let inputs = Inputs::<B, C> {
            x,
            residual,
            scale,
            shift,
        };
        inputs.track(output, None, activation)
    }
}

/// The tensors that an output is differentiated by.
struct Inputs<B: NormalisationOps, C: CheckpointStrategy> {
    x: FloatTensor<Autodiff<B, C>>,
    residual: Option<FloatTensor<Autodiff<B, C>>>,
    scale: FloatTensor<Autodiff<B, C>>,
    shift: FloatTensor<Autodiff<B, C>>,
}

impl<B: NormalisationOps, C: CheckpointStrategy> Inputs<B, C> {
    fn track(
        self,
        output: FloatTensor<B>,
        statistics: Option<Statistics<B>>,
        activation: Activation,
    ) -> FloatTensor<Autodiff<B, C>> {
        let Self {
            x,
            residual,
            scale,
            shift,
        } = self;
        let nodes = [x.node(), scale.node(), shift.node()];
        let seen = match activation {
            Activation::Identity | Activation::Silu | Activation::Gelu => None,
            Activation::Relu | Activation::Relu6 => Some(output.clone()),
        };
        match residual {
            None => match Alone.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(mut preparation) => {
                    let state = State {
                        x: preparation.checkpoint(&x),
                        scale: preparation.checkpoint(&scale),
                        statistics,
                        output: seen,
                        activation,
                    };
                    preparation.finish(state, output)
                }
                OpsKind::UnTracked(preparation) => preparation.finish(output),
            },
            Some(residual) => {
                let [x_node, scale_node, shift_node] = nodes;
                let nodes = [x_node, residual.node(), scale_node, shift_node];
                match WithResidual.prepare::<C>(nodes).compute_bound().stateful() {
                    OpsKind::Tracked(mut preparation) => {
                        let state = State {
                            x: preparation.checkpoint(&x),
                            scale: preparation.checkpoint(&scale),
                            statistics,
                            output: seen,
                            activation,
                        };
                        preparation.finish(state, output)
                    }
                    OpsKind::UnTracked(preparation) => preparation.finish(output),
                }
            }
        }
    }
}

/// Of the batch, where it was normalised with them.
#[derive(Clone, Debug)]
struct Statistics<B: Backend> {
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    scaling: Option<FloatTensor<B>>,
    epsilon: f64,
}

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    x: NodeId,
    scale: NodeId,
    statistics: Option<Statistics<B>>,
    /// The output, where the activation is told by it.
    output: Option<FloatTensor<B>>,
    activation: Activation,
}

impl<B: NormalisationOps> State<B> {
    /// Gradients with respect to input, residual where asked for, scale and shift.
    fn gradients(
        self,
        gradient: FloatTensor<B>,
        checkpointer: &mut Checkpointer,
        with_residual: bool,
    ) -> [Option<FloatTensor<B>>; 4] {
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(self.x);
        let scale = checkpointer.retrieve_node_output::<FloatTensor<B>>(self.scale);
        // Without an activation the residual's gradient is that of the output: no copy is made.
        let handed_on =
            (with_residual && self.activation == Activation::Identity).then(|| gradient.clone());
        let with_residual = with_residual && handed_on.is_none();
        let (x, residual, scale, shift) = match self.statistics {
            Some(statistics) => B::kernel_batch_norm_backward(
                x,
                scale,
                statistics.mean,
                statistics.variance,
                Optional::new(self.output),
                Optional::new(statistics.scaling),
                gradient,
                statistics.epsilon,
                self.activation,
                with_residual,
            ),
            None => B::kernel_channel_affine_backward(
                x,
                scale,
                Optional::new(self.output),
                gradient,
                self.activation,
                with_residual,
            ),
        };
        [Some(x), residual.or(handed_on), Some(scale), Some(shift)]
    }
}

/// Parents: input, scale and shift.
#[derive(Debug)]
struct Alone;

impl<B: NormalisationOps> Backward<B, 3> for Alone {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [x, _, scale, shift] = ops.state.gradients(gradient, checkpointer, false);
        for (node, gradient) in ops.parents.into_iter().zip([x, scale, shift]) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Parents: input, residual, scale and shift.
#[derive(Debug)]
struct WithResidual;

impl<B: NormalisationOps> Backward<B, 4> for WithResidual {
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
