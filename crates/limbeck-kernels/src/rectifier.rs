//! The rectified linear unit.

use std::mem::MaybeUninit;

use burn::{backend::Dispatch, tensor::Tensor};
use rayon::prelude::*;

use crate::{
    ops::KernelOps,
    simd::{Kernel, Simd, dispatch},
};

/// Numbers that one task handles.
const PIECE: usize = 1 << 14;

/// `max(x, 0)`, element by element; what is not a number stays so. The gradient at 0 is 0.
///
/// Differentiable. `f32` on the CPU has a kernel of its own; everything else is burn's operation.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::kernel_relu(x.into_dispatch()))
}

/// `max(x, 0)`.
pub(crate) fn forward(x: &[f32]) -> Vec<f32> {
    in_pieces(x, x, |x, _, y| dispatch(PositivePart { x, y }))
}

/// `gradient` where `output` is positive, else 0.
pub(crate) fn backward(output: &[f32], gradient: &[f32]) -> Vec<f32> {
    in_pieces(output, gradient, |output, gradient, dx| {
        dispatch(WherePositive {
            output,
            gradient,
            dx,
        });
    })
}

/// Fills a new vector piece by piece; `work` must write all of its room.
fn in_pieces(
    a: &[f32],
    b: &[f32],
    work: impl Fn(&[f32], &[f32], &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    let mut result = Vec::with_capacity(a.len());
    result.spare_capacity_mut()[..a.len()]
        .par_chunks_mut(PIECE)
        .zip(a.par_chunks(PIECE))
        .zip(b.par_chunks(PIECE))
        .for_each(|((to, a), b)| work(a, b, to));
    // SAFETY: the pieces cover the whole room, and both kernels write every number of a piece.
    unsafe { result.set_len(a.len()) };
    result
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
