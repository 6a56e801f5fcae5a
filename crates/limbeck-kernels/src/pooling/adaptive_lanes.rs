//! Means over the parts of small maps, one map to a lane.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::adaptive::Parts;
use crate::{
    Activation,
    convolution::{IntoLanes, OutOfLanes},
    pieces::pieces_per_task,
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd, dispatch},
};

/// Positions of the largest map: a vector of each fits the second-level cache.
const MOST_POSITIONS: usize = 1024;

/// Whether there are enough maps for the lanes, and they are small.
pub(super) fn fits(parts: &Parts) -> bool {
    parts.maps >= MOST_LANES && parts.positions() <= MOST_POSITIONS
}

/// Numbers of a vector for each of `count` positions, whole squares of them.
fn room(count: usize) -> usize {
    count.next_multiple_of(MOST_LANES) * MOST_LANES
}

/// Mean of each part, `[maps, parts]`.
pub(super) fn forward(parts: &Parts, x: &[f32]) -> Vec<f32> {
    by_lanes(
        [parts.positions(), parts.count()],
        parts.maps,
        x,
        |positions, means| {
            dispatch(Means {
                parts,
                positions,
                means,
            });
        },
    )
}

/// Gradient with respect to the input, `[maps, positions]`.
pub(super) fn backward(parts: &Parts, gradient: &[f32]) -> Vec<f32> {
    let over = parts.over();
    by_lanes(
        [parts.count(), parts.positions()],
        parts.maps,
        gradient,
        |gradient, dx| {
            dispatch(Spread {
                parts,
                over: &over,
                gradient,
                dx,
            });
        },
    )
}

/// Brings a vector's worth of maps of `read` positions into lanes, lets `work` make as many maps of
/// `written` positions of them, `[position, lane]` both, and takes those out again. `work` may
/// change what it is given, and must not use scratch.
fn by_lanes(
    [read, written]: [usize; 2],
    maps: usize,
    x: &[f32],
    work: impl Fn(&mut [f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let lanes = simd::lanes();
    let offsets: Vec<usize> = (0..read).map(|position| position * lanes).collect();
    let mut result = Vec::with_capacity(maps * written);
    result.spare_capacity_mut()[..maps * written]
        .par_chunks_mut(lanes * written)
        .zip(x.par_chunks(lanes * read))
        .with_min_len(pieces_per_task(lanes * read.max(written)))
        .for_each(|(to, x)| {
            let inputs: Vec<&[f32]> = x.chunks_exact(read).collect();
            let mut outputs: Vec<&mut [MaybeUninit<f32>]> = to.chunks_exact_mut(written).collect();
            with_scratch([room(read), room(written), 0], |[from, to, _]| {
                dispatch(IntoLanes {
                    maps: &inputs,
                    offsets: &offsets,
                    to: from,
                });
                work(from, to);
                dispatch(OutOfLanes {
                    from: to,
                    maps: &mut outputs,
                    start: 0,
                    count: written,
                    residual: &[],
                    activation: Activation::Identity,
                });
            });
        });
    // SAFETY: the maps cover it, and all of their positions are taken out.
    unsafe { result.set_len(maps * written) };
    result
}

/// Means of the parts of a vector of maps.
struct Means<'a> {
    parts: &'a Parts,
    /// `[position, lane]`.
    positions: &'a [f32],
    /// `[part, lane]`.
    means: &'a mut [f32],
}

impl Kernel for Means<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [rows, columns] = &self.parts.ranges;
        let width = self.parts.width();
        let mut means = self.means.chunks_exact_mut(S::LANES);
        for rows in rows {
            for (columns, mean) in columns.iter().zip(&mut means) {
                // SAFETY: as this function's own; slices are whole vectors.
                unsafe {
                    // Two chains: each addition waits for the one before.
                    let mut sums = [S::splat(0.0); 2];
                    for row in rows.clone() {
                        let start = (row * width + columns.start) * S::LANES;
                        let row = &self.positions[start..][..columns.len() * S::LANES];
                        let pairs = row.chunks_exact(2 * S::LANES);
                        let odd = pairs.remainder();
                        for pair in pairs {
                            let pair = pair.as_ptr();
                            sums[0] = S::add(sums[0], S::load(pair));
                            sums[1] = S::add(sums[1], S::load(pair.add(S::LANES)));
                        }
                        if !odd.is_empty() {
                            sums[0] = S::add(sums[0], S::load(odd.as_ptr()));
                        }
                    }
                    let area = S::splat((rows.len() * columns.len()) as f32);
                    let sum = S::add(sums[0], sums[1]);
                    S::store(mean.as_mut_ptr(), S::divide(sum, area));
                }
            }
        }
    }
}

/// Gradients of the parts of a vector of maps, evenly over their positions.
struct Spread<'a> {
    parts: &'a Parts,
    /// The parts over each row, and over each column.
    over: &'a [Vec<(usize, usize)>; 2],
    /// `[part, lane]`; divided by the areas.
    gradient: &'a mut [f32],
    /// `[position, lane]`.
    dx: &'a mut [f32],
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [rows, columns] = &self.parts.ranges;
        let mut shares = self.gradient.chunks_exact_mut(S::LANES);
        for rows in rows {
            for (columns, share) in columns.iter().zip(&mut shares) {
                // SAFETY: as this function's own; slices are whole vectors.
                unsafe {
                    let area = S::splat((rows.len() * columns.len()) as f32);
                    let divided = S::divide(S::load(share.as_ptr()), area);
                    S::store(share.as_mut_ptr(), divided);
                }
            }
        }
        let of_row = columns.len();
        let mut dx = self.dx.chunks_exact_mut(S::LANES);
        let [over_rows, over_columns] = self.over;
        for &(first_row, last_row) in over_rows {
            for (&(first, last), dx) in over_columns.iter().zip(&mut dx) {
                // SAFETY: as this function's own; slices are whole vectors.
                unsafe {
                    let mut sum = S::splat(0.0);
                    for row in first_row..=last_row {
                        let start = (row * of_row + first) * S::LANES;
                        let shares = &self.gradient[start..][..(last + 1 - first) * S::LANES];
                        let mut of_row = S::splat(0.0);
                        for share in shares.chunks_exact(S::LANES) {
                            of_row = S::add(of_row, S::load(share.as_ptr()));
                        }
                        sum = S::add(sum, of_row);
                    }
                    S::store(dx.as_mut_ptr(), sum);
                }
            }
        }
    }
}
