//! Bilinear interpolation: along rows first, then between rows.

use std::mem::MaybeUninit;

use super::axis::{Mixture, Share};
use crate::{
    pieces::filled_from,
    scratch::with_scratch,
    simd::{Kernel, MOST_LANES, Simd, dispatch},
};

/// The interpolation of maps of one size.
pub(crate) struct Bilinear {
    input: [usize; 2],
    output: [usize; 2],
    rows: Mixture,
    columns: Mixture,
    /// Columns that each output column is mixed of, and the share of the high one; another vector
    /// of zeros stands behind, so that whole vectors can be read.
    low: Vec<i32>,
    high: Vec<i32>,
    share: Vec<f32>,
}

impl Bilinear {
    pub fn new(input: [usize; 2], output: [usize; 2], align_corners: bool) -> Self {
        let columns = Mixture::new(input[1], output[1], align_corners);
        let places = |places: &[usize]| {
            let places = places.iter().map(|&place| place as i32);
            places.chain([0; MOST_LANES]).collect()
        };
        Self {
            rows: Mixture::new(input[0], output[0], align_corners),
            low: places(&columns.low),
            high: places(&columns.high),
            share: columns
                .share
                .iter()
                .map(|&share| share as f32)
                .chain([0.0; MOST_LANES])
                .collect(),
            columns,
            input,
            output,
        }
    }

    fn input_size(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_size(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Room of one row that has the columns of the output.
    fn row(&self) -> usize {
        self.output[1] + MOST_LANES
    }

    /// `[maps, input]` → `[maps, output]`.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let size = self.input_size();
        let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
            with_scratch([self.row(), self.row(), 0], |[even, odd, _]| {
                dispatch(Interpolate {
                    resize: self,
                    x: &x[map * size..][..size],
                    wide: [even, odd],
                    y,
                });
            });
        };
        // SAFETY: the kernel writes every row of a map.
        unsafe { filled_from(x.len() / size, self.output_size(), size, work) }
    }

    /// Gradient with respect to the input: `[maps, output]` → `[maps, input]`.
    pub fn backward(&self, gradient: &[f32]) -> Vec<f32> {
        let size = self.output_size();
        let rows = self.rows.adjoint(self.input[0]);
        let columns = Columns::new(&self.columns.adjoint(self.input[1]));
        let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
            with_scratch([self.row(), 0, 0], |[wide, _, _]| {
                dispatch(Gather {
                    resize: self,
                    rows: &rows,
                    columns: &columns,
                    gradient: &gradient[map * size..][..size],
                    wide,
                    dx,
                });
            });
        };
        // SAFETY: the kernel writes every row of a map.
        unsafe { filled_from(gradient.len() / size, self.input_size(), size, work) }
    }
}

/// One map's forward pass.
struct Interpolate<'a> {
    resize: &'a Bilinear,
    x: &'a [f32],
    /// The last rows with even and odd number that were interpolated along themselves.
    wide: [&'a mut [f32]; 2],
    y: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Interpolate<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let resize = self.resize;
        let [width, columns] = [resize.input[1], resize.output[1]];
        let mut present = [None; 2];
        for (i, y) in self.y.chunks_exact_mut(columns).enumerate() {
            let (low, high) = (resize.rows.low[i], resize.rows.high[i]);
            for row in [low, high] {
                if present[row % 2] == Some(row) {
                    continue;
                }
                present[row % 2] = Some(row);
                let x = &self.x[row * width..][..width];
                // SAFETY: as this function's own.
                unsafe { widen::<S>(resize, x, self.wide[row % 2]) };
            }
            let share = resize.rows.share[i] as f32;
            let (low, high) = (&*self.wide[low % 2], &*self.wide[high % 2]);
            // SAFETY: as this function's own; both rows have room for a vector that starts at
            // their last number.
            unsafe {
                let shares = [S::splat(1.0 - share), S::splat(share)];
                for at in (0..columns).step_by(S::LANES) {
                    let low = S::multiply(S::load(low.as_ptr().add(at)), shares[0]);
                    let high = S::load(high.as_ptr().add(at));
                    S::store_part(y, at, S::multiply_add(high, shares[1], low));
                }
            }
        }
    }
}

/// Interpolates one row along itself. `wide` has room for a vector behind its end.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn widen<S: Simd>(resize: &Bilinear, x: &[f32], wide: &mut [f32]) {
    assert!(x.len() == resize.input[1] && wide.len() == resize.row());
    // SAFETY: as this function's own; columns are smaller than the width, those behind the end 0,
    // and all that is read and written has room for a vector that starts at its last number.
    unsafe {
        for at in (0..resize.output[1]).step_by(S::LANES) {
            let low = S::gather(x.as_ptr(), resize.low.as_ptr().add(at));
            let high = S::gather(x.as_ptr(), resize.high.as_ptr().add(at));
            let share = S::load(resize.share.as_ptr().add(at));
            let low = S::multiply(low, S::subtract(S::splat(1.0), share));
            let mixed = S::multiply_add(high, share, low);
            S::store(wide.as_mut_ptr().add(at), mixed);
        }
    }
}

/// One map's backward pass: rows of the gradient are brought together, then the columns of what that gives.
struct Gather<'a> {
    resize: &'a Bilinear,
    rows: &'a [Share],
    columns: &'a Columns,
    gradient: &'a [f32],
    /// One row with the columns of the output, and room for a vector behind its end.
    wide: &'a mut [f32],
    dx: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [width, columns] = [self.resize.input[1], self.resize.output[1]];
        let Columns {
            places,
            weights,
            step,
        } = self.columns;
        assert!(self.wide.len() == self.resize.row() && *step >= width.next_multiple_of(S::LANES));
        for (of, dx) in self.rows.iter().zip(self.dx.chunks_exact_mut(width)) {
            // SAFETY: as this function's own; places are columns, of which the row is as long, and all tables
            // have whole vectors.
            unsafe {
                for at in (0..columns).step_by(S::LANES) {
                    let mut sum = S::splat(0.0);
                    for (i, &weight) in of.weights.iter().enumerate() {
                        let gradient = &self.gradient[(of.first + i) * columns..][..columns];
                        let gradient = S::load_part(gradient, at);
                        sum = S::multiply_add(S::splat(weight), gradient, sum);
                    }
                    S::store(self.wide.as_mut_ptr().add(at), sum);
                }
                for at in (0..width).step_by(S::LANES) {
                    let mut sum = S::splat(0.0);
                    for start in (at..places.len()).step_by(*step) {
                        let wide = S::gather(self.wide.as_ptr(), places.as_ptr().add(start));
                        sum = S::multiply_add(S::load(weights.as_ptr().add(start)), wide, sum);
                    }
                    S::store_part(dx, at, sum);
                }
            }
        }
    }
}

/// What columns of the output each input column is a part of: the first of each, then the second, and so on.
struct Columns {
    /// `[which, input column]`.
    places: Vec<i32>,
    /// As many; 0 where an input column is a part of fewer.
    weights: Vec<f32>,
    /// From a list of all input columns to the next, whole vectors of any kind.
    step: usize,
}

impl Columns {
    fn new(shares: &[Share]) -> Self {
        let step = shares.len().next_multiple_of(MOST_LANES);
        let most = shares.iter().map(|share| share.weights.len()).max();
        let most = most.unwrap_or(0);
        let (mut places, mut weights) = (vec![0; most * step], vec![0.0; most * step]);
        for (column, share) in shares.iter().enumerate() {
            for (which, &weight) in share.weights.iter().enumerate() {
                places[which * step + column] = (share.first + which) as i32;
                weights[which * step + column] = weight;
            }
        }
        Self {
            places,
            weights,
            step,
        }
    }
}
