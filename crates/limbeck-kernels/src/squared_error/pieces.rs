//! The kernel: both sides are read once, map by map or, without levels, run by run; what else is
//! needed of their difference is in the nearest caches.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::PyramidLevel;
use crate::{
    pieces::{SMALLEST_TASK, pieces_per_task},
    pooling::adaptive::Parts,
    scratch::with_scratch,
    simd::{Kernel, Simd, as_room, dispatch},
};

/// Squares that are summed in `f32` before their sum goes on in `f64`.
const RUN: usize = 4096;

/// What is compared.
pub(crate) struct Pyramid {
    /// Numbers of both sides each.
    count: usize,
    /// Numbers that are handled at once: a map where there are levels.
    piece: usize,
    levels: Vec<Level>,
}

/// Averaged maps.
struct Level {
    parts: Parts,
    /// Factor of the sum of their squares in the error.
    value: f64,
    /// Gradient of the error with respect to a mean, next to what the full maps' error has with
    /// respect to a number of the same size.
    slope: f32,
}

impl Pyramid {
    /// Of tensors of `count` numbers, as they are.
    pub fn flat(count: usize) -> Self {
        Self {
            count,
            piece: SMALLEST_TASK,
            levels: Vec::new(),
        }
    }

    /// Of maps of `shape` `[B, C, H, W]`.
    pub fn new(shape: [usize; 4], levels: &[PyramidLevel]) -> Self {
        let [batch, channels, height, width] = shape;
        let count = batch * channels * height * width;
        let levels = levels.iter().map(|&PyramidLevel { side, weight }| {
            let means = (batch * channels * side * side) as f64;
            Level {
                parts: Parts::new([1, 1, height, width], [side; 2]),
                value: weight / means,
                slope: (weight * count as f64 / means) as f32,
            }
        });
        Self {
            count,
            piece: height * width,
            levels: levels.collect(),
        }
    }

    /// Gradient of the full maps' error with respect to a number, next to that number's difference.
    fn slope(&self) -> f64 {
        2.0 / self.count as f64
    }

    /// Room that a piece needs besides that of its differences: for a row, and for all means.
    fn room(&self) -> [usize; 2] {
        let parts = || self.levels.iter().map(|level| &level.parts);
        [
            parts().map(Parts::width).max().unwrap_or(0),
            parts().map(Parts::count).sum(),
        ]
    }

    /// The error's share that lies in one piece.
    fn compare(&self, [a, b]: [&[f32]; 2], slopes: Option<&mut [MaybeUninit<f32>]>) -> f64 {
        let [row, means] = self.room();
        let with_slopes = slopes.is_some();
        let room = if with_slopes { 0 } else { a.len() };
        with_scratch([room, row, means], |[room, row, means]| {
            dispatch(Compare {
                pyramid: self,
                a,
                b,
                differences: slopes.unwrap_or_else(|| as_room(room)),
                row,
                means,
                with_slopes,
            })
        })
    }
}

/// The error and, where asked for, its gradient with respect to `a`.
pub(crate) fn squared_error(
    pyramid: &Pyramid,
    [a, b]: [&[f32]; 2],
    with_slopes: bool,
) -> (f64, Option<Vec<f32>>) {
    assert!(a.len() == pyramid.count && b.len() == pyramid.count);
    // The shapes alone decide on the pieces, whose shares are added up in order.
    let piece = pyramid.piece;
    let mut shares = vec![0.0; pyramid.count.div_ceil(piece)];
    let sides = a.par_chunks(piece).zip(b.par_chunks(piece));
    let pieces = sides.zip(&mut shares).with_min_len(pieces_per_task(piece));
    if !with_slopes {
        pieces.for_each(|((a, b), share)| *share = pyramid.compare([a, b], None));
        return (shares.into_iter().sum(), None);
    }
    let mut slopes = Vec::with_capacity(pyramid.count);
    pieces
        .zip(slopes.spare_capacity_mut()[..pyramid.count].par_chunks_mut(piece))
        .for_each(|(((a, b), share), slopes)| {
            *share = pyramid.compare([a, b], Some(slopes));
        });
    // SAFETY: the pieces cover all numbers, and every piece's are written.
    unsafe { slopes.set_len(pyramid.count) };
    (shares.into_iter().sum(), Some(slopes))
}

/// Multiplies all numbers by `factor`.
pub(crate) fn scale(numbers: &mut [f32], factor: f32) {
    numbers.par_chunks_mut(SMALLEST_TASK).for_each(|numbers| {
        for number in numbers {
            *number *= factor;
        }
    });
}

/// One piece: writes its differences, times their slope, then adds what the averaged ones bring.
struct Compare<'a> {
    pyramid: &'a Pyramid,
    a: &'a [f32],
    b: &'a [f32],
    /// As long as `a` and `b`.
    differences: &'a mut [MaybeUninit<f32>],
    row: &'a mut [f32],
    /// Of all levels, one after the other.
    means: &'a mut [f32],
    with_slopes: bool,
}

impl Kernel for Compare<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let slope = self.pyramid.slope();
        let mut squares = 0.0;
        let runs = self.a.chunks(RUN).zip(self.b.chunks(RUN));
        for ((a, b), to) in runs.zip(self.differences.chunks_mut(RUN)) {
            // SAFETY: as this function's own; `at` stays inside the run, which all are as long as.
            unsafe {
                let factor = S::splat(slope as f32);
                let mut sum = S::splat(0.0);
                for at in (0..a.len()).step_by(S::LANES) {
                    let difference = S::subtract(S::load_part(a, at), S::load_part(b, at));
                    sum = S::multiply_add(difference, difference, sum);
                    S::store_part(to, at, S::multiply(difference, factor));
                }
                squares += f64::from(S::sum(sum));
            }
        }
        let mut error = squares / self.pyramid.count as f64;
        // SAFETY: the runs cover all of it.
        let differences = unsafe { self.differences.assume_init_mut() };
        let mut rest = &mut *self.means;
        for level in &self.pyramid.levels {
            let (means, others) = rest.split_at_mut(level.parts.count());
            rest = others;
            // SAFETY: as this function's own.
            unsafe {
                level
                    .parts
                    .means::<S>(differences, self.row, as_room(means));
            }
            let mut squares = 0.0;
            for mean in means {
                squares += f64::from(*mean) * f64::from(*mean);
                *mean *= level.slope;
            }
            error += level.value * squares / (slope * slope);
        }
        if self.with_slopes {
            let mut means = &*self.means;
            for level in &self.pyramid.levels {
                let (of_level, others) = means.split_at(level.parts.count());
                means = others;
                level.parts.spread(of_level, self.row, differences);
            }
        }
        error
    }
}
