//! The kernels: plain loops, which the compiler makes vectors of in each instruction set. No sum is
//! taken of what could be added in another order, so all of them give the same bits.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Levels;
use crate::{
    pieces::{self, SMALLEST_TASK},
    simd::{Kernel, Simd, dispatch},
};

/// Added and taken off again, it leaves whole numbers up to 2^22, halves to even.
const ROUNDING: f32 = 12_582_912.0; // 1.5 · 2^23

#[inline(always)]
fn rounded(x: f32) -> f32 {
    (x + ROUNDING) - ROUNDING
}

/// See [`crate::quantise`].
pub(crate) fn forward(x: &[f32], levels: Levels) -> Vec<f32> {
    // SAFETY: the kernel writes every number of a piece.
    unsafe { pieces::zipped(x, x, |x, _, y| dispatch(Forward { x, y, levels })) }
}

/// `gradient` where it passes, else 0.
pub(crate) fn backward(x: &[f32], gradient: &[f32], levels: Levels) -> Vec<f32> {
    let work = |x: &[f32], gradient: &[f32], dx: &mut [MaybeUninit<f32>]| {
        dispatch(Within {
            x,
            gradient,
            dx,
            levels,
        });
    };
    // SAFETY: the kernel writes every number of a piece.
    unsafe { pieces::zipped(x, gradient, work) }
}

/// The least and the greatest number.
pub(crate) fn range(x: &[f32]) -> [f32; 2] {
    let ends = x
        .par_chunks(SMALLEST_TASK)
        .map(|x| dispatch(Ends(x)))
        .reduce(
            || [i32::MAX, i32::MIN],
            |[a, b], [c, d]| [a.min(c), b.max(d)],
        );
    ends.map(|place| f32::from_bits(order(place as u32) as u32))
}

/// Rows of `columns` numbers each, see [`crate::quantise_rows`].
pub(crate) fn rows(weight: &[f32], columns: usize, bits: u32) -> Vec<f32> {
    let columns = columns.max(1);
    let row = |index: usize, room: &mut [MaybeUninit<f32>]| {
        let x = &weight[index * columns..(index + 1) * columns];
        dispatch(Row { x, y: room, bits });
    };
    // SAFETY: the kernel writes every number of a row.
    unsafe { pieces::filled(weight.len() / columns, columns, row) }
}

/// Distance of two levels of a row.
#[inline(always)]
pub(super) fn step(row: &[f32], bits: u32) -> f32 {
    if bits == 1 {
        let sum: f64 = row.iter().map(|x| f64::from(x.abs())).sum();
        return (sum / row.len().max(1) as f64) as f32;
    }
    let largest = row.iter().map(|x| x.abs().to_bits()).max().unwrap_or(0);
    f32::from_bits(largest) / ((1u32 << (bits - 1)) - 1) as f32
}

/// The code of `x`, a whole number.
#[inline(always)]
pub(super) fn code(x: f32, step: f32, bits: u32) -> f32 {
    if bits == 1 {
        return if x < 0.0 { -1.0 } else { 1.0 };
    }
    let last = ((1u32 << (bits - 1)) - 1) as f32;
    // A row of zeros has no steps.
    let divisor = if step > 0.0 { step } else { 1.0 };
    rounded((x / divisor).clamp(-last, last))
}

/// Bits of a number as a whole number that is larger where the number is, and back.
#[inline(always)]
fn order(bits: u32) -> i32 {
    let bits = bits as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
    levels: Levels,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Levels {
            per_unit,
            first,
            last,
            ..
        } = self.levels;
        let (per_unit, step) = (per_unit as f32, (1.0 / per_unit) as f32);
        let (first, last) = (first as f32, last as f32);
        for (x, y) in self.x.iter().zip(self.y) {
            y.write(rounded((x * per_unit).clamp(first, last)) * step);
        }
    }
}

struct Within<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    dx: &'a mut [MaybeUninit<f32>],
    levels: Levels,
}

impl Kernel for Within<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [low, high] = self.levels.passes.map(|end| end as f32);
        let both = self.x.iter().zip(self.gradient);
        for ((&x, &gradient), dx) in both.zip(self.dx) {
            // Without branches: no short cut between the two comparisons.
            let passes = (x >= low) & (x <= high);
            dx.write(if passes { gradient } else { 0.0 });
        }
    }
}

/// [`order`] of the least and the greatest number.
struct Ends<'a>(&'a [f32]);

impl Kernel for Ends<'_> {
    type Output = [i32; 2];

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> [i32; 2] {
        self.0
            .iter()
            .map(|x| order(x.to_bits()))
            .fold([i32::MAX, i32::MIN], |[low, high], place| {
                [low.min(place), high.max(place)]
            })
    }
}

struct Row<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
    bits: u32,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let step = step(self.x, self.bits);
        for (&x, y) in self.x.iter().zip(self.y) {
            y.write(code(x, step, self.bits) * step);
        }
    }
}
