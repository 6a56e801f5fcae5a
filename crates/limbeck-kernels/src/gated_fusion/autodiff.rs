//! The gradients of gated fusion.

use burn::backend::{
    Autodiff, AutodiffBackend, Backend, TensorMetadata,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{Fused, GatedFusionOps};

/// Parents: input, kernel, scale, shift, running map, kernel and bias of the gates.
#[derive(Debug)]
struct GatedFusion;

/// What the backward pass reads.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    /// All parents but the last.
    parents: [NodeId; 6],
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    kept: FloatTensor<B>,
    gates: FloatTensor<B>,
    epsilon: f64,
}

impl<B: GatedFusionOps> Backward<B, 7> for GatedFusion {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 7>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let state = ops.state;
        let [x, weight, scale, shift, running, gate_weight] = state
            .parents
            .map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let [channels] = scale.shape().dims();
        let (x, weight, running, gate_weight, rest) = B::kernel_gated_fusion_backward(
            x,
            weight,
            scale,
            shift,
            running,
            gate_weight,
            state.mean,
            state.variance,
            state.kept,
            state.gates,
            gradient,
            state.epsilon,
        );
        let part = |from: usize, count: usize| {
            B::float_slice(rest.clone(), &[(from..from + count).into()])
        };
        let found = [
            x,
            weight,
            part(0, channels),
            part(channels, channels),
            running,
            gate_weight,
            part(2 * channels, 2),
        ];
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: GatedFusionOps, C: CheckpointStrategy> GatedFusionOps for Autodiff<B, C> {
    fn kernel_gated_fusion(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        running: FloatTensor<Self>,
        gate_weight: FloatTensor<Self>,
        gate_bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> Fused<Self> {
        let (output, mean, variance, kept, gates) = B::kernel_gated_fusion(
            x.primitive().clone(),
            weight.primitive().clone(),
            scale.primitive().clone(),
            shift.primitive().clone(),
            running.primitive().clone(),
            gate_weight.primitive().clone(),
            gate_bias.primitive().clone(),
            epsilon,
        );
        let nodes = [
            x.node(),
            weight.node(),
            scale.node(),
            shift.node(),
            running.node(),
            gate_weight.node(),
            gate_bias.node(),
        ];
        let read = [&x, &weight, &scale, &shift, &running, &gate_weight];
        let output = match GatedFusion.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = State {
                    parents: read.map(|parent| preparation.checkpoint(parent)),
                    mean: mean.clone(),
                    variance: variance.clone(),
                    kept: kept.clone(),
                    gates: gates.clone(),
                    epsilon,
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        };
        (
            output,
            Self::from_inner(mean),
            Self::from_inner(variance),
            Self::from_inner(kept),
            Self::from_inner(gates),
        )
    }
}
