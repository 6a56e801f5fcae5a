//! Bilinear interpolation: along rows first, then between rows.

use std::mem::MaybeUninit;

use super::axis::Mixture;
use crate::{
    pieces::{fill, filled_from},
    scratch::with_scratch,
    simd::{Kernel, MOST_LANES, Simd, dispatch},
};

/// The interpolation of maps of one size.
pub(crate) struct Bilinear {
    input: [usize; 2],
    output: [usize; 2],
    rows: Mixture,
    /// Columns that each output column is mixed of, and the share of the high one; another vector
    /// of zeros stands behind, so that whole vectors can be read.
    low: Vec<i32>,
    high: Vec<i32>,
    share: Vec<f32>,
}

impl Bilinear {
    pub fn new(input: [usize; 2], output: [usize; 2], align_corners: bool) -> Self {
        let columns = Mixture::new(input[1], output[1], align_corners);
        let places = |places: Vec<usize>| {
            let places = places.into_iter().map(|place| place as i32);
            places.chain([0; MOST_LANES]).collect()
        };
        Self {
            rows: Mixture::new(input[0], output[0], align_corners),
            low: places(columns.low),
            high: places(columns.high),
            share: columns
                .share
                .into_iter()
                .map(|share| share as f32)
                .chain([0.0; MOST_LANES])
                .collect(),
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
        let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
            let dx = fill(dx, 0.0);
            let room = self.input[0] * self.output[1];
            with_scratch([room, 0, 0], |[wide, _, _]| {
                dispatch(Spread {
                    resize: self,
                    gradient: &gradient[map * size..][..size],
                    wide,
                    dx,
                });
            });
        };
        // SAFETY: all of a map is filled first.
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

/// One map's backward pass, which adds to zeros.
struct Spread<'a> {
    resize: &'a Bilinear,
    gradient: &'a [f32],
    /// Gradients of the input's rows, not yet brought together along themselves:
    /// `[input rows, output columns]`.
    wide: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let resize = self.resize;
        let [width, columns] = [resize.input[1], resize.output[1]];
        self.wide.fill(0.0);
        for (i, gradient) in self.gradient.chunks_exact(columns).enumerate() {
            let share = resize.rows.share[i] as f32;
            for (row, share) in [
                (resize.rows.low[i], 1.0 - share),
                (resize.rows.high[i], share),
            ] {
                let wide = &mut self.wide[row * columns..][..columns];
                for (sum, gradient) in wide.iter_mut().zip(gradient) {
                    *sum += gradient * share;
                }
            }
        }
        let rows = self.wide.chunks_exact(columns);
        for (wide, dx) in rows.zip(self.dx.chunks_exact_mut(width)) {
            for (column, gradient) in wide.iter().enumerate() {
                let share = resize.share[column];
                dx[resize.low[column] as usize] += gradient * (1.0 - share);
                dx[resize.high[column] as usize] += gradient * share;
            }
        }
    }
}
