//! The largest number of each of the windows that cover a map side by side.
//!
//! A row of windows is reduced to the largest numbers of its columns first, a vector of columns at
//! a time, so that wide windows need not be taken apart.

use std::mem::MaybeUninit;

use super::window::Windows;
use crate::simd::{Kernel, MOST_LANES, Simd};

/// Narrower windows are faster taken apart, a vector of neighbouring windows at a time.
const LEAST_WIDTH: usize = 3;

/// Whether windows lie so and are wide enough for [`LargestOfColumns`].
pub(super) fn fits(windows: &Windows) -> bool {
    let options = windows.options;
    options.kernel == options.stride
        && options.padding == [0, 0]
        && options.kernel[1] >= LEAST_WIDTH
}

/// Numbers of room for the columns of a row of windows, and as many for their rows.
pub(super) fn room(windows: &Windows) -> usize {
    windows.output[1] * windows.options.kernel[1] + MOST_LANES
}

/// Writes the largest number of each window of one map, and its place unless `chosen` is empty: the
/// first of the largest ones, or of what is not a number the last.
pub(super) struct LargestOfColumns<'a> {
    pub windows: &'a Windows,
    pub x: &'a [f32],
    pub y: &'a mut [MaybeUninit<f32>],
    pub chosen: &'a mut [MaybeUninit<u8>],
    /// [`room`] for the largest numbers, and for the rows of windows in which they are.
    pub best: &'a mut [f32],
    pub rows: &'a mut [f32],
}

impl Kernel for LargestOfColumns<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [height, width] = self.windows.options.kernel;
        let columns = self.windows.output[1];
        let map_width = self.windows.input[1];
        let used = columns * width;
        for (row, y) in self.y.chunks_exact_mut(columns).enumerate() {
            let x = &self.x[row * height * map_width..];
            for at in (0..used).step_by(S::LANES) {
                // SAFETY: as this function's own; both rooms have a vector behind the last column.
                unsafe {
                    let mut best = [S::splat(f32::NEG_INFINITY), S::splat(0.0)];
                    for r in 0..height {
                        let candidate = S::load_part(x, r * map_width + at);
                        best = S::larger(best, candidate, S::splat(r as f32));
                    }
                    S::store(self.best[at..][..S::LANES].as_mut_ptr(), best[0]);
                    S::store(self.rows[at..][..S::LANES].as_mut_ptr(), best[1]);
                }
            }
            let best = self.best[..used].chunks_exact(width);
            if self.chosen.is_empty() {
                for (y, best) in y.iter_mut().zip(best) {
                    // SAFETY: as this function's own.
                    y.write(unsafe { largest::<S>(best) });
                }
                continue;
            }
            let chosen = &mut self.chosen[row * columns..][..columns];
            let rows = self.rows[..used].chunks_exact(width);
            for (((y, chosen), best), rows) in y.iter_mut().zip(chosen).zip(best).zip(rows) {
                let (value, place) = largest_with_place(best, rows);
                y.write(value);
                chosen.write(place as u8);
            }
        }
    }
}

/// The largest of some numbers, or what is not a number.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn largest<S: Simd>(numbers: &[f32]) -> f32 {
    let mut most = f32::NEG_INFINITY;
    let mut rest = numbers;
    if numbers.len() >= 2 * S::LANES {
        // SAFETY: as this function's own; `at` stays inside.
        unsafe {
            let mut best = [S::splat(f32::NEG_INFINITY), S::splat(0.0)];
            let whole = numbers.len() / S::LANES * S::LANES;
            for at in (0..whole).step_by(S::LANES) {
                let candidate = S::load(numbers[at..][..S::LANES].as_ptr());
                best = S::larger(best, candidate, S::splat(0.0));
            }
            let mut lanes = [0.0; MOST_LANES];
            S::store(lanes.as_mut_ptr(), best[0]);
            for lane in &lanes[..S::LANES] {
                most = larger(most, *lane);
            }
            rest = &numbers[whole..];
        }
    }
    // Two chains: each comparison waits for the one before.
    let mut others = f32::NEG_INFINITY;
    let pairs = rest.chunks_exact(2);
    if let [last] = pairs.remainder() {
        most = larger(most, *last);
    }
    for pair in pairs {
        most = larger(most, pair[0]);
        others = larger(others, pair[1]);
    }
    larger(most, others)
}

#[inline(always)]
fn larger(best: f32, candidate: f32) -> f32 {
    if candidate > best || candidate.is_nan() {
        candidate
    } else {
        best
    }
}

/// The largest of the numbers of a window's columns, and its place in the window; `rows` are those of
/// the numbers.
#[inline(always)]
fn largest_with_place(best: &[f32], rows: &[f32]) -> (f32, usize) {
    let width = best.len();
    let (mut value, mut place) = (f32::NEG_INFINITY, 0.0);
    for (column, (&candidate, &row)) in best.iter().zip(rows).enumerate() {
        let at = row * width as f32 + column as f32;
        let takes = candidate > value
            || (candidate == value && at < place)
            || (candidate.is_nan() && !(value.is_nan() && at < place));
        if takes {
            (value, place) = (candidate, at);
        }
    }
    (value, place as usize)
}
