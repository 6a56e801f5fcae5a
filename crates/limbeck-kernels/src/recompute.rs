//! Units of a network that the backward pass runs once more, instead of keeping what they computed.
//!
//! Automatic differentiation knows one backward pass over one graph. A unit's part of it is therefore a
//! single operation: its backward pass runs the unit over leaves of its own, which is a graph of its own,
//! goes back through that one from the gradient at hand, and hands on what reached the leaves.

use std::fmt;
use std::sync::Arc;

use burn::{
    backend::{
        Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
        TensorMetadata,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        ops::FloatTensorOps,
        tensor::FloatTensor,
    },
    tensor::{Shape, Tensor},
};

/// Numbers without a graph.
type Numbers = FloatTensor<Flex>;
/// Numbers in a graph.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// `output`, which a unit gave for `x` and `leaves` without a graph, as a part of theirs. Of what the
/// unit computed nothing is kept: the backward pass calls `again` with `x` and `leaves`, recording
/// gradients, and goes back through what it gives, which has to be `output` to the last bit.
///
/// `leaves` record gradients and are made of nothing else that does. `None` on other devices than the
/// CPU, and where neither `x` nor a leaf records gradients.
pub fn recomputed<const D: usize, const E: usize>(
    x: &Tensor<D>,
    leaves: &[Tensor<1>],
    output: Tensor<E>,
    again: impl Fn(Tensor<D>, Vec<Tensor<1>>) -> Tensor<E> + Send + Sync + 'static,
) -> Option<Tensor<E>> {
    let context = (leaves
        .iter()
        .map(|leaf| leaf.clone().into_dispatch().autodiff))
    .fold(x.clone().into_dispatch().autodiff, |all, one| {
        all.merge(one)
    });
    let leaves: Vec<Tracked> = leaves
        .iter()
        .map(|leaf| tracked(leaf.clone().into_dispatch()))
        .collect::<Option<_>>()?;
    let x = match x.clone().into_dispatch() {
        DispatchTensor {
            kind: DispatchTensorKind::Flex(BackendTensor::Float(numbers)),
            ..
        } => Tracked::new(numbers),
        x => tracked(x)?,
    };
    let DispatchTensorKind::Flex(BackendTensor::Float(output)) = output.into_dispatch().kind else {
        return None;
    };
    let unit = Unit(Arc::new(
        move |x: Numbers, is_tracked, leaves: Vec<Numbers>, gradient| {
            let x = plain::<D>(x);
            let x = match is_tracked {
                true => x.autodiff().require_grad(),
                false => x,
            };
            let leaves = leaves.into_iter();
            let leaves: Vec<Tensor<1>> = leaves
                .map(|leaf| plain(leaf).autodiff().require_grad())
                .collect();
            let output = again(x.clone(), leaves.clone());
            let Some(mut found) = backward_from(output, gradient) else {
                return (None, leaves.iter().map(|_| None).collect());
            };
            let of_leaves = leaves.iter();
            (
                x.grad_remove(&mut found).and_then(numbers),
                of_leaves
                    .map(|leaf| leaf.grad_remove(&mut found).and_then(numbers))
                    .collect(),
            )
        },
    ));
    // One leaf stands for all: they are reached by their numbers, but without a parent that records
    // gradients the operation itself would record none.
    let nodes = [x.node(), leaves.first().unwrap_or(&x).node()];
    let leaves = leaves.into_iter();
    let state = State {
        leaves: leaves
            .map(|leaf| (leaf.id(), leaf.into_primitive()))
            .collect(),
        x: x.into_primitive(),
        unit,
    };
    match Recomputed
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(preparation) => Some(in_graph(preparation.finish(state, output), context)),
        OpsKind::UnTracked(_) => None,
    }
}

/// The same numbers as a node of their own: what flows back to it is added up before any of it reaches
/// `x`. The sums of a unit that is kept are then made in the order of one that is [`recomputed`].
pub fn apart<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let dispatched = x.clone().into_dispatch();
    let context = dispatched.autodiff;
    let Some(tracked) = tracked(dispatched) else {
        return x;
    };
    let node = [tracked.node()];
    let numbers = tracked.into_primitive();
    match Apart
        .prepare::<NoCheckpointing>(node)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(preparation) => in_graph(preparation.finish((), numbers), context),
        OpsKind::UnTracked(_) => x,
    }
}

/// The backward pass through the graph of `output`, whose own gradient is `gradient`; `None` where it has
/// no graph.
fn backward_from<const E: usize>(
    output: Tensor<E>,
    gradient: Numbers,
) -> Option<burn::tensor::Gradients> {
    let output = output.into_dispatch();
    let context = output.autodiff;
    let output = tracked(output)?;
    let (device, dtype) = (gradient.device(), gradient.dtype());
    match Seeded
        .prepare::<NoCheckpointing>([output.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::UnTracked(_) => None,
        OpsKind::Tracked(preparation) => {
            let sign = Flex::float_zeros(Shape::new([1]), &device, dtype.into());
            let root: Tensor<1> = in_graph(preparation.finish(gradient, sign), context);
            drop(output);
            Some(root.backward())
        }
    }
}

/// The tensor in its graph; `None` of a constant, and on other devices than the CPU.
fn tracked(tensor: DispatchTensor) -> Option<Tracked> {
    let DispatchTensorKind::Autodiff(inner) = tensor.kind else {
        return None;
    };
    match *inner {
        DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) => Some(tensor),
        _ => None,
    }
}

fn in_graph<const D: usize>(tensor: Tracked, autodiff: DispatchAutodiffContext) -> Tensor<D> {
    let kind = DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor));
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Autodiff(Box::new(kind)),
        autodiff,
    })
}

fn plain<const D: usize>(numbers: Numbers) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Flex(BackendTensor::Float(numbers)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Option<Numbers> {
    match tensor.inner().into_dispatch().kind {
        DispatchTensorKind::Flex(BackendTensor::Float(numbers)) => Some(numbers),
        _ => None,
    }
}

/// Gradients of a unit's input and of its leaves, where there are any.
type Found = (Option<Numbers>, Vec<Option<Numbers>>);

/// Runs a unit once more and goes back through it: of its input, whether that records gradients, its
/// leaves, and the gradient of what it gives out.
#[derive(Clone)]
#[allow(clippy::type_complexity)]
struct Unit(Arc<dyn Fn(Numbers, bool, Vec<Numbers>, Numbers) -> Found + Send + Sync>);

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unit")
    }
}

#[derive(Clone, Debug)]
struct State {
    x: Numbers,
    leaves: Vec<(NodeId, Numbers)>,
    unit: Unit,
}

/// Parents: the input, and a leaf for all of them.
#[derive(Debug)]
struct Recomputed;

impl Backward<Flex, 2> for Recomputed {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let [x_node, _] = ops.parents;
        let State { x, leaves, unit } = ops.state;
        let (ids, leaves): (Vec<NodeId>, Vec<Numbers>) = leaves.into_iter().unzip();
        let (of_x, of_leaves) = (unit.0)(x, x_node.is_some(), leaves, gradient);
        if let (Some(node), Some(of_x)) = (x_node, of_x) {
            gradients.register::<Flex>(node.id, of_x);
        }
        for (id, of_leaf) in ids.into_iter().zip(of_leaves) {
            if let Some(of_leaf) = of_leaf {
                gradients.register::<Flex>(id, of_leaf);
            }
        }
    }
}

/// Parent: the input.
#[derive(Debug)]
struct Apart;

impl Backward<Flex, 1> for Apart {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

/// Parent: what a backward pass begins with.
#[derive(Debug)]
struct Seeded;

impl Backward<Flex, 1> for Seeded {
    /// Its gradient.
    type State = Numbers;

    fn backward(self, ops: Ops<Numbers, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        // Nothing but a sign that there is a gradient.
        gradients.consume::<Flex>(&ops.node);
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, ops.state);
        }
    }
}
