//! Numbers that are let through by gates.

use std::mem::MaybeUninit;

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex, TensorMetadata,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::Tensor,
};
use rayon::prelude::*;

use crate::{
    activation::logistic,
    flex::{Numbers, tensor},
    pieces::{SMALLEST_TASK, zipped},
    profile::span,
    simd::{Kernel, Simd, dispatch},
};

/// `x·σ(logits)`, element by element, with σ the logistic function.
///
/// Differentiable in both. `f32` on the CPU has a kernel of its own; everything else is made of
/// burn's operations.
///
/// # Panics
/// Where the shapes differ.
pub fn gated<const D: usize>(x: Tensor<D>, logits: Tensor<D>) -> Tensor<D> {
    let (shape, other) = (x.dims(), logits.dims());
    assert!(
        shape == other,
        "numbers of shape {shape:?} have no gates of shape {other:?}"
    );
    Tensor::from_dispatch(Dispatch::kernel_gate(
        x.into_dispatch(),
        logits.into_dispatch(),
    ))
}

/// Gates, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait GateOps: Backend {
    /// See [`gated`].
    fn kernel_gate(x: FloatTensor<Self>, logits: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::<Self>(x, logits)
    }

    /// Gradients of [`GateOps::kernel_gate`] with respect to both.
    fn kernel_gate_backward(
        x: FloatTensor<Self>,
        logits: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        gradients_composed::<Self>(x, logits, gradient)
    }
}

fn composed<B: Backend>(x: FloatTensor<B>, logits: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x, B::sigmoid(logits))
}

fn gradients_composed<B: Backend>(
    x: FloatTensor<B>,
    logits: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let share = B::sigmoid(logits);
    let of_x = B::float_mul(gradient, share.clone());
    let rest = B::float_add_scalar(B::float_neg(share), 1.0.into());
    let of_logits = B::float_mul(B::float_mul(of_x.clone(), x), rest);
    (of_x, of_logits)
}

impl GateOps for Flex {
    fn kernel_gate(x: FlexTensor, logits: FlexTensor) -> FlexTensor {
        let _span = span("gate", [&x, &logits], || 0);
        let Some(numbers) = Numbers::new([&x, &logits]) else {
            return composed::<Self>(x, logits);
        };
        let [values, logits] = numbers.slices();
        tensor(forward(values, logits), x.shape())
    }

    fn kernel_gate_backward(
        x: FlexTensor,
        logits: FlexTensor,
        gradient: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("gate backward", [&x, &logits, &gradient], || 0);
        let Some(numbers) = Numbers::new([&x, &logits, &gradient]) else {
            return gradients_composed::<Self>(x, logits, gradient);
        };
        let [values, logits, gradient] = numbers.slices();
        let [of_x, of_logits] = backward(values, logits, gradient);
        (tensor(of_x, x.shape()), tensor(of_logits, x.shape()))
    }
}

#[derive(Debug)]
struct Gate;

impl<B: GateOps> Backward<B, 2> for Gate {
    /// Both parents.
    type State = [NodeId; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [x, logits] = ops
            .state
            .map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let (of_x, of_logits) = B::kernel_gate_backward(x, logits, gradient);
        for (node, gradient) in ops.parents.into_iter().zip([of_x, of_logits]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: GateOps, C: CheckpointStrategy> GateOps for Autodiff<B, C> {
    fn kernel_gate(x: FloatTensor<Self>, logits: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), logits.node()];
        match Gate.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = [&x, &logits].map(|parent| preparation.checkpoint(parent));
                let output = B::kernel_gate(x.into_primitive(), logits.into_primitive());
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => {
                preparation.finish(B::kernel_gate(x.into_primitive(), logits.into_primitive()))
            }
        }
    }
}

pub(crate) fn forward(x: &[f32], logits: &[f32]) -> Vec<f32> {
    // SAFETY: the kernel writes all of its room.
    unsafe {
        zipped(x, logits, |x, logits, output| {
            dispatch(Forward { x, logits, output });
        })
    }
}

/// Gradients with respect to x and logits.
pub(crate) fn backward(x: &[f32], logits: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
    let count = x.len();
    let mut of_x = Vec::with_capacity(count);
    let mut of_logits = Vec::with_capacity(count);
    of_x.spare_capacity_mut()[..count]
        .par_chunks_mut(SMALLEST_TASK)
        .zip(of_logits.spare_capacity_mut()[..count].par_chunks_mut(SMALLEST_TASK))
        .zip(x.par_chunks(SMALLEST_TASK))
        .zip(logits.par_chunks(SMALLEST_TASK))
        .zip(gradient.par_chunks(SMALLEST_TASK))
        .for_each(|((((of_x, of_logits), x), logits), gradient)| {
            dispatch(Back {
                x,
                logits,
                gradient,
                of_x,
                of_logits,
            });
        });
    // SAFETY: the pieces cover all numbers, and the kernel writes all of a piece's.
    unsafe {
        of_x.set_len(count);
        of_logits.set_len(count);
    }
    [of_x, of_logits]
}

struct Forward<'a> {
    x: &'a [f32],
    logits: &'a [f32],
    output: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.x.len()).step_by(S::LANES) {
            // SAFETY: as this function's own; `at` stays inside all three, which are equally long.
            unsafe {
                let [share, _] = logistic::<S>(S::load_part(self.logits, at));
                let output = S::multiply(S::load_part(self.x, at), share);
                S::store_part(self.output, at, output);
            }
        }
    }
}

struct Back<'a> {
    x: &'a [f32],
    logits: &'a [f32],
    gradient: &'a [f32],
    of_x: &'a mut [MaybeUninit<f32>],
    of_logits: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Back<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.x.len()).step_by(S::LANES) {
            // SAFETY: as this function's own; `at` stays inside all five, which are equally long.
            unsafe {
                let [share, rest] = logistic::<S>(S::load_part(self.logits, at));
                let of_x = S::multiply(S::load_part(self.gradient, at), share);
                let of_share = S::multiply(of_x, S::load_part(self.x, at));
                S::store_part(self.of_x, at, of_x);
                S::store_part(self.of_logits, at, S::multiply(of_share, rest));
            }
        }
    }
}
