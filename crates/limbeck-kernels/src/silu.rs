//! The sigmoid-weighted linear unit.
//!
//! Elfwing, Uchibe and Doya. "Sigmoid-weighted linear units for neural network function approximation
//! in reinforcement learning". 2018.

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

use crate::{
    activation::Activation,
    flex::{Numbers, tensor},
    pieces,
    profile::span,
    simd::{Kernel, Simd, dispatch},
};

/// `x·σ(x)`, element by element, with σ the logistic function.
///
/// Differentiable. `f32` on the CPU has a kernel of its own, right to 5e-7 times the larger of 1
/// and |x|; everything else is made of burn's operations.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::kernel_silu(x.into_dispatch()))
}

/// The unit, with burn's own operations as bodies; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait SiluOps: Backend {
    /// See [`silu`].
    fn kernel_silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        forward_composed::<Self>(x)
    }

    /// Gradient of [`SiluOps::kernel_silu`] from its input and the gradient of its output.
    fn kernel_silu_backward(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        backward_composed::<Self>(x, gradient)
    }
}

impl SiluOps for Flex {
    fn kernel_silu(x: FlexTensor) -> FlexTensor {
        let _span = span("silu", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return forward_composed::<Self>(x);
        };
        let [values] = numbers.slices();
        tensor(forward(values), x.shape())
    }

    fn kernel_silu_backward(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let _span = span("silu backward", [&x, &gradient], || 0);
        let Some(numbers) = Numbers::new([&x, &gradient]) else {
            return backward_composed::<Self>(x, gradient);
        };
        let [values, gradient] = numbers.slices();
        tensor(backward(values, gradient), x.shape())
    }
}

#[derive(Debug)]
struct Silu;

impl<B: SiluOps> Backward<B, 1> for Silu {
    /// The input.
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(ops.state);
        let [node] = ops.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::kernel_silu_backward(x, gradient));
        }
    }
}

impl<B: SiluOps, C: CheckpointStrategy> SiluOps for Autodiff<B, C> {
    fn kernel_silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Silu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = preparation.checkpoint(&x);
                preparation.finish(state, B::kernel_silu(x.into_primitive()))
            }
            OpsKind::UnTracked(preparation) => {
                preparation.finish(B::kernel_silu(x.into_primitive()))
            }
        }
    }
}

/// The unit made of burn's operations.
pub(crate) fn forward_composed<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x.clone(), B::sigmoid(x))
}

/// The gradient made of burn's operations: `gradient·(σ + x·σ·(1 − σ))`.
pub(crate) fn backward_composed<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let share = B::sigmoid(x.clone());
    let rest = B::float_add_scalar(B::float_neg(share.clone()), 1.0.into());
    let slope = B::float_add_scalar(B::float_mul(x, rest), 1.0.into());
    B::float_mul(gradient, B::float_mul(share, slope))
}

/// `x·σ(x)`.
pub(crate) fn forward(x: &[f32]) -> Vec<f32> {
    // SAFETY: the kernel writes every number of a piece.
    unsafe { pieces::zipped(x, x, |x, _, y| dispatch(Forward { x, y })) }
}

/// `gradient·(σ + x·σ·(1 − σ))`.
pub(crate) fn backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let work = |x: &[f32], gradient: &[f32], dx: &mut [MaybeUninit<f32>]| {
        dispatch(Derivative { x, gradient, dx });
    };
    // SAFETY: the kernel writes every number of a piece.
    unsafe { pieces::zipped(x, gradient, work) }
}

struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside both, which are equally long.
        unsafe {
            for at in (0..self.x.len()).step_by(S::LANES) {
                let y = Activation::Silu.of::<S>(S::load_part(self.x, at));
                S::store_part(self.y, at, y);
            }
        }
    }
}

struct Derivative<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    dx: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Derivative<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all three, which are equally long.
        unsafe {
            for at in (0..self.x.len()).step_by(S::LANES) {
                let x = S::load_part(self.x, at);
                let gradient = S::load_part(self.gradient, at);
                S::store_part(self.dx, at, Activation::Silu.passed::<S>(x, gradient));
            }
        }
    }
}
