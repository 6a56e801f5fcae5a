//! Means over the parts of a map.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use super::{Pool2dOptions, average, window::Windows};
use crate::{
    pieces::{fill, filled, pieces_per_task},
    scratch::with_scratch,
    simd::{Kernel, Simd, dispatch},
};

/// `shape` `[B, C, H, W]` in `size` parts along each axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    maps: usize,
    input: [usize; 2],
    size: [usize; 2],
}

impl Parts {
    pub fn new(shape: [usize; 4], size: [usize; 2]) -> Self {
        let [batch, channels, height, width] = shape;
        Self {
            maps: batch * channels,
            input: [height, width],
            size,
        }
    }

    /// The parts as windows, where they are all of one size and do not overlap.
    fn even(&self) -> Option<Windows> {
        let kernel = [self.input[0] / self.size[0], self.input[1] / self.size[1]];
        let even = (0..2).all(|axis| kernel[axis] * self.size[axis] == self.input[axis]);
        even.then(|| {
            let options = Pool2dOptions {
                kernel,
                stride: kernel,
                padding: [0; 2],
            };
            Windows::new([self.maps, 1, self.input[0], self.input[1]], options)
        })
    }

    fn positions(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Positions of a part along an axis.
    fn part(&self, axis: usize, index: usize) -> Range<usize> {
        let (input, size) = (self.input[axis], self.size[axis]);
        index * input / size..((index + 1) * input).div_ceil(size)
    }
}

/// Mean of each part, `[maps, parts]`.
pub(crate) fn forward(parts: &Parts, x: &[f32]) -> Vec<f32> {
    let positions = parts.positions();
    if parts.size == [1, 1] {
        return means(positions, x);
    }
    if let Some(windows) = parts.even() {
        return average::forward(&windows, x);
    }
    let [rows, columns] = parts.size;
    let width = parts.input[1];
    let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
        let x = &x[map * positions..][..positions];
        with_scratch([width, 0, 0], |[sums, _, _]| {
            for (row, y) in y.chunks_exact_mut(columns).enumerate() {
                let height = parts.part(0, row);
                sums.fill(0.0);
                for x in x[height.start * width..height.end * width].chunks_exact(width) {
                    add(sums, x);
                }
                for (column, y) in y.iter_mut().enumerate() {
                    let part = parts.part(1, column);
                    let area = height.len() * part.len();
                    y.write(sums[part].iter().sum::<f32>() / area as f32);
                }
            }
        });
    };
    // SAFETY: every row of parts is written.
    unsafe { filled(parts.maps, rows * columns, work) }
}

/// Gradient with respect to the input, `[maps, positions]`.
pub(crate) fn backward(parts: &Parts, gradient: &[f32]) -> Vec<f32> {
    let positions = parts.positions();
    if parts.size == [1, 1] {
        let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
            fill(dx, gradient[map] / positions as f32);
        };
        // SAFETY: the piece is filled.
        return unsafe { filled(parts.maps, positions, work) };
    }
    if let Some(windows) = parts.even() {
        return average::backward(&windows, gradient);
    }
    let [rows, columns] = parts.size;
    let width = parts.input[1];
    let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
        let dx = fill(dx, 0.0);
        let gradient = &gradient[map * rows * columns..][..rows * columns];
        with_scratch([width, 0, 0], |[shares, _, _]| {
            for (row, gradient) in gradient.chunks_exact(columns).enumerate() {
                let height = parts.part(0, row);
                shares.fill(0.0);
                for (column, gradient) in gradient.iter().enumerate() {
                    let part = parts.part(1, column);
                    let share = gradient / (height.len() * part.len()) as f32;
                    shares[part].iter_mut().for_each(|sum| *sum += share);
                }
                for dx in dx[height.start * width..height.end * width].chunks_exact_mut(width) {
                    add(dx, shares);
                }
            }
        });
    };
    // SAFETY: all of a map is filled first.
    unsafe { filled(parts.maps, positions, work) }
}

fn add(sums: &mut [f32], numbers: &[f32]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += number;
    }
}

/// Mean of each map of `size` positions.
fn means(size: usize, x: &[f32]) -> Vec<f32> {
    let block = pieces_per_task(size);
    let mut means = vec![0.0; x.len() / size];
    means
        .par_chunks_mut(block)
        .zip(x.par_chunks(block * size))
        .for_each(|(means, x)| dispatch(Means { size, x, means }));
    means
}

struct Means<'a> {
    size: usize,
    x: &'a [f32],
    means: &'a mut [f32],
}

impl Kernel for Means<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let size = self.size as f32;
        for (x, mean) in self.x.chunks_exact(self.size).zip(self.means) {
            // SAFETY: as this function's own; `at` stays inside.
            unsafe {
                let mut sums = S::splat(0.0);
                for at in (0..x.len()).step_by(S::LANES) {
                    sums = S::add(sums, S::load_part(x, at));
                }
                *mean = S::sum(sums) / size;
            }
        }
    }
}
