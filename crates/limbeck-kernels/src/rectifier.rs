//! The rectified linear unit, and the activations as operations by themselves.

use std::mem::MaybeUninit;

use burn::{
    backend::Dispatch,
    tensor::{Tensor, activation::relu6},
};

use crate::{
    activation::Activation,
    gelu::gelu,
    ops::KernelOps,
    pieces,
    silu::silu,
    simd::{Kernel, Simd, dispatch},
};

/// `max(x, 0)`, element by element; what is not a number stays so. The gradient at 0 is 0.
///
/// Differentiable. `f32` on the CPU has a kernel of its own; everything else is burn's operation.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::kernel_relu(x.into_dispatch()))
}

impl Activation {
    /// The activation alone. What is not a number stays so; a rectifier's gradient passes where the
    /// result is not at a bound.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Identity => x,
            Activation::Relu => relu(x),
            Activation::Relu6 => relu6(x),
            Activation::Silu => silu(x),
            Activation::Gelu => gelu(x),
        }
    }
}

/// `max(x, 0)`.
pub(crate) fn forward(x: &[f32]) -> Vec<f32> {
    // SAFETY: the kernel writes every number of a piece.
    unsafe { pieces::zipped(x, x, |x, _, y| dispatch(PositivePart { x, y })) }
}

/// `gradient` where `output` is positive, else 0.
pub(crate) fn backward(output: &[f32], gradient: &[f32]) -> Vec<f32> {
    let work = |output: &[f32], gradient: &[f32], dx: &mut [MaybeUninit<f32>]| {
        dispatch(WherePositive {
            output,
            gradient,
            dx,
        });
    };
    // SAFETY: the kernel writes every number of a piece.
    unsafe { pieces::zipped(output, gradient, work) }
}

struct PositivePart<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
}

impl Kernel for PositivePart<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside both, which are equally long.
        unsafe {
            for at in (0..self.x.len()).step_by(S::LANES) {
                S::store_part(self.y, at, S::positive_part(S::load_part(self.x, at)));
            }
        }
    }
}

struct WherePositive<'a> {
    output: &'a [f32],
    gradient: &'a [f32],
    dx: &'a mut [MaybeUninit<f32>],
}

impl Kernel for WherePositive<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all three, which are equally long.
        unsafe {
            for at in (0..self.output.len()).step_by(S::LANES) {
                let output = S::load_part(self.output, at);
                let gradient = S::load_part(self.gradient, at);
                S::store_part(self.dx, at, S::where_positive(output, gradient));
            }
        }
    }
}
