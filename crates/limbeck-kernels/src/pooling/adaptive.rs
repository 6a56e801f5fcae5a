//! Means over the parts of a map.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use super::{Pool2dOptions, adaptive_lanes, average, window::Windows};
use crate::{
    pieces::{fill, filled, filled_from, pieces_per_task},
    scratch::with_scratch,
    simd::{Kernel, Simd, dispatch},
};

/// Widest parts that are averaged as windows, whose places are dealt out by whole vectors up to
/// this width. Wider parts are summed row by row.
const WIDEST_WINDOW: usize = 2;

/// `shape` `[B, C, H, W]` in `size` parts along each axis.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(super) maps: usize,
    input: [usize; 2],
    size: [usize; 2],
    /// Positions of each part along each axis.
    pub(super) ranges: [Vec<Range<usize>>; 2],
}

impl Parts {
    pub fn new(shape: [usize; 4], size: [usize; 2]) -> Self {
        let [batch, channels, height, width] = shape;
        let input = [height, width];
        let ranges = std::array::from_fn(|axis| {
            let (input, size) = (input[axis], size[axis]);
            (0..size)
                .map(|index| index * input / size..((index + 1) * input).div_ceil(size))
                .collect()
        });
        Self {
            maps: batch * channels,
            input,
            size,
            ranges,
        }
    }

    /// The parts as windows, where they are all of one small size and do not overlap.
    fn windows(&self) -> Option<Windows> {
        let kernel = [self.input[0] / self.size[0], self.input[1] / self.size[1]];
        let even = (0..2).all(|axis| kernel[axis] * self.size[axis] == self.input[axis]);
        (even && kernel[1] <= WIDEST_WINDOW).then(|| {
            let options = Pool2dOptions {
                kernel,
                stride: kernel,
                padding: [0; 2],
            };
            Windows::new([self.maps, 1, self.input[0], self.input[1]], options)
        })
    }

    pub(super) fn positions(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Parts of a map.
    pub fn count(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Positions of a row of a map.
    pub fn width(&self) -> usize {
        self.input[1]
    }

    /// Number of the first and the last part over each row, and over each column.
    pub(super) fn over(&self) -> [Vec<(usize, usize)>; 2] {
        std::array::from_fn(|axis| {
            let ranges = &self.ranges[axis];
            (0..self.input[axis])
                .map(|position| {
                    let first = ranges.partition_point(|range| range.end <= position);
                    let behind = ranges.partition_point(|range| range.start <= position);
                    (first, behind - 1)
                })
                .collect()
        })
    }

    /// For each row of parts: the numbers of the map's rows in which they lie, and for each part
    /// its columns and how many positions it has.
    #[inline(always)]
    fn in_rows(
        &self,
    ) -> impl Iterator<Item = (Range<usize>, impl Iterator<Item = (Range<usize>, f32)>)> {
        let [rows, columns] = &self.ranges;
        rows.iter().map(move |rows| {
            let numbers = rows.start * self.width()..rows.end * self.width();
            let parts = columns.iter().map(move |columns| {
                let area = rows.len() * columns.len();
                (columns.clone(), area as f32)
            });
            (numbers, parts)
        })
    }

    /// Mean of each part of one map; `sums` has room for a row of the map.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub unsafe fn means<S: Simd>(
        &self,
        x: &[f32],
        sums: &mut [f32],
        means: &mut [MaybeUninit<f32>],
    ) {
        let [_, columns] = self.size;
        for (means, (rows, parts)) in means.chunks_exact_mut(columns).zip(self.in_rows()) {
            sums.fill(0.0);
            for x in x[rows].chunks_exact(self.width()) {
                add(sums, x);
            }
            for (mean, (columns, area)) in means.iter_mut().zip(parts) {
                // SAFETY: as this function's own.
                let sum = unsafe { sum::<S>(&sums[columns]) };
                mean.write(sum / area);
            }
        }
    }

    /// Adds the gradient of one map's parts, evenly over their positions, to `dx`; `shares` has
    /// room for a row of the map.
    #[inline(always)]
    pub fn spread(&self, gradient: &[f32], shares: &mut [f32], dx: &mut [f32]) {
        let [_, columns] = self.size;
        for (gradient, (rows, parts)) in gradient.chunks_exact(columns).zip(self.in_rows()) {
            shares.fill(0.0);
            for (gradient, (columns, area)) in gradient.iter().zip(parts) {
                let share = gradient / area;
                for sum in &mut shares[columns] {
                    *sum += share;
                }
            }
            for dx in dx[rows].chunks_exact_mut(self.width()) {
                add(dx, shares);
            }
        }
    }
}

/// Mean of each part, `[maps, parts]`.
pub(crate) fn forward(parts: &Parts, x: &[f32]) -> Vec<f32> {
    let positions = parts.positions();
    if parts.size == [1, 1] {
        return means(positions, x);
    }
    if adaptive_lanes::fits(parts) {
        return adaptive_lanes::forward(parts, x);
    }
    if let Some(windows) = parts.windows() {
        return average::forward(&windows, x);
    }
    let work = |map: usize, means: &mut [MaybeUninit<f32>]| {
        let x = &x[map * positions..][..positions];
        with_scratch([parts.width(), 0, 0], |[sums, _, _]| {
            dispatch(PartMeans {
                parts,
                x,
                sums,
                means,
            });
        });
    };
    // SAFETY: every part is written.
    unsafe { filled_from(parts.maps, parts.count(), positions, work) }
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
    if adaptive_lanes::fits(parts) {
        return adaptive_lanes::backward(parts, gradient);
    }
    let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
        let dx = fill(dx, 0.0);
        let gradient = &gradient[map * parts.count()..][..parts.count()];
        with_scratch([parts.width(), 0, 0], |[shares, _, _]| {
            dispatch(Spread {
                parts,
                gradient,
                shares,
                dx,
            });
        });
    };
    // SAFETY: all of a map is filled first.
    unsafe { filled(parts.maps, positions, work) }
}

#[inline(always)]
fn add(sums: &mut [f32], numbers: &[f32]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += number;
    }
}

/// Sum of numbers, in as many chains as a vector has lanes where there are as many numbers.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn sum<S: Simd>(x: &[f32]) -> f32 {
    if x.len() < S::LANES {
        return x.iter().sum();
    }
    // SAFETY: as this function's own; `at` stays inside.
    unsafe {
        let mut sums = S::splat(0.0);
        for at in (0..x.len()).step_by(S::LANES) {
            sums = S::add(sums, S::load_part(x, at));
        }
        S::sum(sums)
    }
}

/// [`Parts::means`] of one map.
struct PartMeans<'a> {
    parts: &'a Parts,
    x: &'a [f32],
    sums: &'a mut [f32],
    means: &'a mut [MaybeUninit<f32>],
}

impl Kernel for PartMeans<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own.
        unsafe { self.parts.means::<S>(self.x, self.sums, self.means) };
    }
}

/// [`Parts::spread`] of one map.
struct Spread<'a> {
    parts: &'a Parts,
    gradient: &'a [f32],
    shares: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        self.parts.spread(self.gradient, self.shares, self.dx);
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
        for (x, mean) in self.x.chunks_exact(self.size).zip(self.means) {
            // SAFETY: as this function's own.
            *mean = unsafe { sum::<S>(x) } / self.size as f32;
        }
    }
}
