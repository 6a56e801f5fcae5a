//! Nearest neighbours: copies.

use std::{mem::MaybeUninit, ops::Range};

use super::axis;
use crate::{
    pieces::{fill, filled_from},
    scratch::with_scratch,
    simd::{Kernel, Simd, dispatch},
};

/// The copies for maps of one size.
pub(crate) struct Nearest {
    input: [usize; 2],
    output: [usize; 2],
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl Nearest {
    pub fn new(input: [usize; 2], output: [usize; 2]) -> Self {
        Self {
            input,
            output,
            rows: axis::nearest(input[0], output[0]),
            columns: axis::nearest(input[1], output[1]),
        }
    }

    fn input_size(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_size(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Whether every column is copied to two.
    fn doubles_columns(&self) -> bool {
        self.output[1] == 2 * self.input[1]
    }

    /// `[maps, input]` → `[maps, output]`.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let size = self.input_size();
        let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
            dispatch(Copies {
                nearest: self,
                x: &x[map * size..][..size],
                y,
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
            with_scratch([self.output[1], 0, 0], |[sums, _, _]| {
                dispatch(Sums {
                    nearest: self,
                    gradient: &gradient[map * size..][..size],
                    sums,
                    dx,
                });
            });
        };
        // SAFETY: all of a map is filled first.
        unsafe { filled_from(gradient.len() / size, self.input_size(), size, work) }
    }
}

/// One map's forward pass.
struct Copies<'a> {
    nearest: &'a Nearest,
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Copies<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let all = 0..self.nearest.output[0];
        // SAFETY: as this function's own.
        unsafe { self.nearest.copy_rows::<S>(self.x, all, self.y) };
    }
}

impl Nearest {
    /// Some rows of a map's output, without gaps, from the map `[input]`. All of `y` is written.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub unsafe fn copy_rows<S: Simd>(
        &self,
        x: &[f32],
        rows: Range<usize>,
        y: &mut [MaybeUninit<f32>],
    ) {
        let [width, columns] = [self.input[1], self.output[1]];
        let sources = &self.rows[rows];
        for (i, &row) in sources.iter().enumerate() {
            let (before, rest) = y.split_at_mut(i * columns);
            let y = &mut rest[..columns];
            if i > 0 && sources[i - 1] == row {
                y.copy_from_slice(&before[(i - 1) * columns..]);
                continue;
            }
            let x = &x[row * width..][..width];
            if self.doubles_columns() {
                // SAFETY: as this function's own.
                unsafe { double::<S>(x, y) };
                continue;
            }
            for (&column, y) in self.columns.iter().zip(y) {
                y.write(x[column]);
            }
        }
    }

    /// Adds the gradient of some rows of a map's output to `dx` `[input]`; `sums` is room for a row
    /// of the output.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub unsafe fn add_rows<S: Simd>(
        &self,
        gradient: &[f32],
        rows: Range<usize>,
        sums: &mut [f32],
        dx: &mut [f32],
    ) {
        let [width, columns] = [self.input[1], self.output[1]];
        let sources = &self.rows[rows];
        let sums = &mut sums[..columns];
        let gradients = gradient.chunks_exact(columns);
        for (i, (&row, gradient)) in sources.iter().zip(gradients).enumerate() {
            if i > 0 && sources[i - 1] == row {
                for (sum, gradient) in sums.iter_mut().zip(gradient) {
                    *sum += gradient;
                }
            } else {
                sums.copy_from_slice(gradient);
            }
            if sources.get(i + 1) == Some(&row) {
                continue;
            }
            let dx = &mut dx[row * width..][..width];
            if self.doubles_columns() {
                // SAFETY: as this function's own.
                unsafe { add_pairs::<S>(sums, dx) };
                continue;
            }
            for (&column, sum) in self.columns.iter().zip(&*sums) {
                dx[column] += sum;
            }
        }
    }
}

/// Writes each number twice; `y` is twice as long as `x`.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn double<S: Simd>(x: &[f32], y: &mut [MaybeUninit<f32>]) {
    for at in (0..x.len()).step_by(S::LANES) {
        // SAFETY: as this function's own; `at` stays inside, and the second half is left out where
        // it has no room at all.
        unsafe {
            let numbers = S::load_part(x, at);
            let [low, high] = S::interleave(numbers, numbers);
            S::store_part(y, 2 * at, low);
            if 2 * at + S::LANES < y.len() {
                S::store_part(y, 2 * at + S::LANES, high);
            }
        }
    }
}

/// One map's backward pass, which adds to zeros.
struct Sums<'a> {
    nearest: &'a Nearest,
    gradient: &'a [f32],
    /// Sum of the gradients of the rows that are copies of one, `[output columns]`.
    sums: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let all = 0..self.nearest.output[0];
        // SAFETY: as this function's own.
        unsafe {
            self.nearest
                .add_rows::<S>(self.gradient, all, self.sums, self.dx);
        }
    }
}

/// Adds the sums of neighbours, two by two; `pairs` is twice as long as `sums`.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn add_pairs<S: Simd>(pairs: &[f32], sums: &mut [f32]) {
    let whole = sums.len() / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        // SAFETY: as this function's own; a whole vector is inside `sums`, two inside `pairs`.
        unsafe {
            let from = pairs.as_ptr().add(2 * at);
            let [even, odd] = S::deinterleave(S::load(from), S::load(from.add(S::LANES)));
            let to = sums.as_mut_ptr().add(at);
            S::store(to, S::add(S::load(to), S::add(even, odd)));
        }
    }
    for (sum, pair) in sums[whole..]
        .iter_mut()
        .zip(pairs[2 * whole..].as_chunks::<2>().0)
    {
        *sum += pair[0] + pair[1];
    }
}
