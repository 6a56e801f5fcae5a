//! The Gaussian error linear unit.
//!
//! Hendrycks and Gimpel. "Gaussian Error Linear Units (GELUs)". 2016.

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
        ops::ActivationOps,
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

/// `x·Φ(x)`, element by element, with Φ the standard normal distribution.
///
/// Differentiable. `f32` on the CPU has a kernel of its own, right to 5e-7 times the larger of 1
/// and |x|; everything else is burn's operation.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::kernel_gelu(x.into_dispatch()))
}

/// The unit, with burn's own operations as bodies; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait GeluOps: Backend {
    /// See [`gelu`].
    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::gelu(x)
    }

    /// Gradient of [`GeluOps::kernel_gelu`] from its input and the gradient of its output.
    fn kernel_gelu_backward(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::gelu_backward(x, gradient)
    }
}

impl GeluOps for Flex {
    fn kernel_gelu(x: FlexTensor) -> FlexTensor {
        let _span = span("gelu", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return Self::gelu(x);
        };
        let [values] = numbers.slices();
        tensor(forward(values), x.shape())
    }

    fn kernel_gelu_backward(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let _span = span("gelu backward", [&x, &gradient], || 0);
        let Some(numbers) = Numbers::new([&x, &gradient]) else {
            return Self::gelu_backward(x, gradient);
        };
        let [values, gradient] = numbers.slices();
        tensor(backward(values, gradient), x.shape())
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: GeluOps> Backward<B, 1> for Gelu {
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
            gradients.register::<B>(node.id, B::kernel_gelu_backward(x, gradient));
        }
    }
}

impl<B: GeluOps, C: CheckpointStrategy> GeluOps for Autodiff<B, C> {
    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Gelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = preparation.checkpoint(&x);
                preparation.finish(state, B::kernel_gelu(x.into_primitive()))
            }
            OpsKind::UnTracked(preparation) => {
                preparation.finish(B::kernel_gelu(x.into_primitive()))
            }
        }
    }
}

/// `x·Φ(x)`.
pub(crate) fn forward(x: &[f32]) -> Vec<f32> {
    // SAFETY: the kernel writes every number of a piece.
    unsafe { pieces::zipped(x, x, |x, _, y| dispatch(Forward { x, y })) }
}

/// `gradient·(Φ(x) + x·φ(x))`, φ being the density.
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
                let x = S::load_part(self.x, at);
                S::store_part(self.y, at, Activation::Gelu.of::<S>(x));
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
                S::store_part(self.dx, at, Activation::Gelu.passed::<S>(x, gradient));
            }
        }
    }
}
