//! The gradients of two convolutions of one input.
//!
//! Automatic differentiation knows operations with one output only, and adds what several of them
//! give for one input in passes of its own. So the two outputs share a node, the pair, which stands
//! between them and the input: each hands its gradient over beside the graph and tells the pair,
//! through it, that there is one. The graph runs the pair's backward pass after those of both
//! outputs, whichever of them there are.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::{
    Autodiff, Backend, TensorMetadata,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};
use burn::tensor::Shape;

use crate::{Conv2dOptions, ops::KernelOps};

/// The gradients of the outputs that have been handed over so far.
type HandedOver<B> = Arc<Mutex<[Option<FloatTensor<B>>; 2]>>;

/// The two outputs, as [`KernelOps::kernel_conv2d`] gives them.
pub(super) fn conv2d_pair<B: KernelOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    weights: [FloatTensor<Autodiff<B, C>>; 2],
    options: [Conv2dOptions; 2],
) -> [FloatTensor<Autodiff<B, C>>; 2] {
    let [first, second] = &weights;
    let nodes = [x.node(), first.node(), second.node()];
    let outputs = [0, 1].map(|i| {
        let weight = weights[i].primitive().clone();
        B::kernel_conv2d(x.primitive().clone(), weight, options[i])
    });
    let handed_over = HandedOver::<B>::default();
    let pair = match Pair.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut preparation) => {
            let state = State {
                x: preparation.checkpoint(&x),
                weights: [
                    preparation.checkpoint(first),
                    preparation.checkpoint(second),
                ],
                options,
                handed_over: handed_over.clone(),
            };
            preparation.finish(state, outputs[0].clone())
        }
        OpsKind::UnTracked(preparation) => preparation.finish(outputs[0].clone()),
    };
    let [first, second] = outputs;
    [(0, first), (1, second)].map(|(number, output)| {
        let state = (handed_over.clone(), number);
        let node = [pair.node()];
        match Output.prepare::<C>(node).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish(state, output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    })
}

/// What the pair's backward pass needs.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    x: NodeId,
    weights: [NodeId; 2],
    options: [Conv2dOptions; 2],
    handed_over: HandedOver<B>,
}

/// Parents: input and both weights.
#[derive(Debug)]
struct Pair;

impl<B: KernelOps> Backward<B, 3> for Pair {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        // Nothing but a sign that there is a gradient.
        gradients.consume::<B>(&ops.node);
        let [x_node, first_node, second_node] = ops.parents;
        let state = ops.state;
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(state.x);
        let weights = state
            .weights
            .map(|weight| checkpointer.retrieve_node_output::<FloatTensor<B>>(weight));
        let handed_over = std::mem::take(
            &mut *state
                .handed_over
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if let Some(node) = x_node {
            let mut of_x = None;
            for i in 0..2 {
                let Some(gradient) = handed_over[i].clone() else {
                    continue;
                };
                let (x, weight, options) = (x.clone(), weights[i].clone(), state.options[i]);
                of_x = Some(match of_x {
                    None => B::kernel_conv2d_input_gradient(x, weight, gradient, options),
                    Some(sum) => {
                        B::kernel_conv2d_add_input_gradient(sum, x, weight, gradient, options)
                    }
                });
            }
            if let Some(of_x) = of_x {
                gradients.register::<B>(node.id, of_x);
            }
        }
        match ([first_node, second_node], weights, handed_over) {
            ([Some(first_node), Some(second_node)], [first, second], [Some(a), Some(b)]) => {
                let [of_first, of_second] = state.options;
                let (first, second) =
                    B::kernel_conv2d_weight_gradients(x, first, second, a, b, of_first, of_second);
                gradients.register::<B>(first_node.id, first);
                gradients.register::<B>(second_node.id, second);
            }
            (nodes, weights, handed_over) => {
                let both = nodes.into_iter().zip(weights).zip(handed_over);
                for (((node, weight), gradient), options) in both.zip(state.options) {
                    if let (Some(node), Some(gradient)) = (node, gradient) {
                        let of_weight =
                            B::kernel_conv2d_weight_gradient(x.clone(), weight, gradient, options);
                        gradients.register::<B>(node.id, of_weight);
                    }
                }
            }
        }
    }
}

/// Parent: the pair.
#[derive(Debug)]
struct Output;

impl<B: KernelOps> Backward<B, 1> for Output {
    /// And which output it is.
    type State = (HandedOver<B>, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (handed_over, number) = ops.state;
        let [pair] = ops.parents;
        if let Some(pair) = pair {
            let (device, dtype) = (gradient.device(), gradient.dtype());
            let sign = B::float_zeros(Shape::new([1]), &device, dtype.into());
            let mut gradients_of_outputs =
                handed_over.lock().unwrap_or_else(PoisonError::into_inner);
            gradients_of_outputs[number] = Some(gradient);
            gradients.register::<B>(pair.id, sign);
        }
    }
}
