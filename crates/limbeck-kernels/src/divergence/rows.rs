//! The kernel: each row is read three times, from the nearest cache after the first.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    elementary::exponential,
    pieces::pieces_per_task,
    simd::{Kernel, MOST_LANES, Simd, dispatch},
};

/// What stands for a number behind a row's end after the largest has been taken off: its exponential
/// is nothing beside 1.
const NOTHING: f32 = -200.0;

/// Σ KL(softmax(scale · target) ‖ softmax(scale · x)) over rows of `width` numbers, and its gradient
/// with respect to `x`.
pub(crate) fn divergence(x: &[f32], target: &[f32], width: usize, scale: f32) -> (f64, Vec<f32>) {
    // SAFETY: the kernel writes all slopes of its rows.
    unsafe {
        row_by_row([x, target], width, |[x, target], slopes, values| {
            dispatch(Rows {
                x,
                target,
                width,
                scale,
                slopes,
                values,
            });
        })
    }
}

/// The sum of a value for each row of `width` numbers of two matrices, and slopes as many as there are
/// numbers. `work` is given some rows of both, and room for their slopes and values.
///
/// # Safety
/// `work` must write all of the slopes.
pub(super) unsafe fn row_by_row(
    [x, other]: [&[f32]; 2],
    width: usize,
    work: impl Fn([&[f32]; 2], &mut [MaybeUninit<f32>], &mut [f64]) + Sync,
) -> (f64, Vec<f32>) {
    // The shapes alone decide which rows one task takes, and sums are added up in order.
    let rows = pieces_per_task(width);
    let mut slopes = Vec::with_capacity(x.len());
    let mut values = vec![0.0; x.len() / width];
    slopes.spare_capacity_mut()[..x.len()]
        .par_chunks_mut(rows * width)
        .zip(x.par_chunks(rows * width))
        .zip(other.par_chunks(rows * width))
        .zip(values.par_chunks_mut(rows))
        .for_each(|(((slopes, x), other), values)| work([x, other], slopes, values));
    // SAFETY: the tasks cover all rows, and `work` writes all numbers of theirs.
    unsafe { slopes.set_len(x.len()) };
    (values.into_iter().sum(), slopes)
}

struct Rows<'a> {
    x: &'a [f32],
    target: &'a [f32],
    width: usize,
    scale: f32,
    slopes: &'a mut [MaybeUninit<f32>],
    values: &'a mut [f64],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let rows = self.x.chunks_exact(self.width);
        let rows = rows.zip(self.target.chunks_exact(self.width));
        let rows = rows.zip(self.slopes.chunks_exact_mut(self.width));
        for (((x, target), slopes), value) in rows.zip(self.values) {
            let own = Scaled::new(x, self.scale);
            let target = Scaled::new(target, self.scale);
            // SAFETY: as this function's own; `at` stays inside the row, which all three are as
            // long as.
            unsafe {
                let zero = S::splat(0.0);
                let (mut own_sum, mut target_sum, mut cross) = (zero, zero, zero);
                for at in (0..self.width).step_by(S::LANES) {
                    let (a, b) = (own.shifted::<S>(at), target.shifted::<S>(at));
                    let (own, target) = (exponential::<S>(a), exponential::<S>(b));
                    own_sum = S::add(own_sum, own);
                    target_sum = S::add(target_sum, target);
                    cross = S::multiply_add(target, S::subtract(b, a), cross);
                    S::store_part(slopes, at, own);
                }
                let own_sum = f64::from(S::sum(own_sum));
                let target_sum = f64::from(S::sum(target_sum));
                let cross = f64::from(S::sum(cross));
                // log p = (what is left of the number) − log(sum), on both sides.
                *value = cross / target_sum + own_sum.ln() - target_sum.ln();
                let scale = f64::from(self.scale);
                let own_factor = S::splat((scale / own_sum) as f32);
                let target_factor = S::splat((-scale / target_sum) as f32);
                for at in (0..self.width).step_by(S::LANES) {
                    // SAFETY: all of the row has been written.
                    let own = S::load_part(slopes.assume_init_ref(), at);
                    let target = exponential::<S>(target.shifted::<S>(at));
                    let slope = S::multiply(own, own_factor);
                    S::store_part(slopes, at, S::multiply_add(target, target_factor, slope));
                }
            }
        }
    }
}

/// A row as its softmax reads it.
pub(super) struct Scaled<'a> {
    row: &'a [f32],
    largest: f32,
    scale: f32,
}

impl<'a> Scaled<'a> {
    #[inline(always)]
    pub(super) fn new(row: &'a [f32], scale: f32) -> Self {
        // Side by side, so that a compiler makes vectors of it.
        let mut largest = [f32::NEG_INFINITY; MOST_LANES];
        let (whole, rest) = row.as_chunks::<MOST_LANES>();
        for numbers in whole {
            for (largest, &number) in largest.iter_mut().zip(numbers) {
                *largest = if number > *largest { number } else { *largest };
            }
        }
        let largest = largest.into_iter().chain(rest.iter().copied());
        let largest = largest.fold(f32::NEG_INFINITY, f32::max);
        Self {
            row,
            largest,
            scale,
        }
    }

    /// scale · (number − largest) from `at` on.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub(super) unsafe fn shifted<S: Simd>(&self, at: usize) -> S::Vector {
        // SAFETY: as this function's own; a whole vector is read where there is one, else a copy
        // that is long enough.
        unsafe {
            if at + S::LANES <= self.row.len() {
                let numbers = S::load(self.row.as_ptr().add(at));
                let shifted = S::subtract(numbers, S::splat(self.largest));
                return S::multiply(shifted, S::splat(self.scale));
            }
            let mut padded = [NOTHING; MOST_LANES];
            for (to, number) in padded.iter_mut().zip(&self.row[at..]) {
                *to = (number - self.largest) * self.scale;
            }
            S::load(padded.as_ptr())
        }
    }
}
