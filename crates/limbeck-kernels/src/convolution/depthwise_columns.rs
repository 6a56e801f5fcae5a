//! Correlation of each channel of large maps where neighbouring columns belong to two phases, as in the input
//! gradient with a stride of 2: both are computed for a row, and written side by side.

use std::mem::MaybeUninit;

use super::{depthwise::Phase, grid::OutputPhase};
use crate::simd::{Kernel, Simd};

/// Whether neighbouring columns of all rows belong to two phases each; then the phases of a row follow each other.
pub(super) fn fits(phases: &[Phase<'_>], images: usize) -> bool {
    let (pairs, rest) = phases.as_chunks::<2>();
    images == 1
        && rest.is_empty()
        && pairs.iter().all(|[first, second]| {
            let [first, second] = [first.grid, second.grid];
            let starts = [first.first[1], second.first[1]];
            first.step[1] == 2
                && second.step == first.step
                && first.first[0] == second.first[0]
                && first.rows == second.rows
                && (starts == [0, 1] || starts == [1, 0])
        })
}

/// Numbers of room for both phases of a row.
pub(super) fn room(phases: &[Phase<'_>], lanes: usize) -> usize {
    2 * phases
        .iter()
        .map(|phase| per_phase(phase.grid, lanes))
        .max()
        .unwrap_or(0)
}

/// Numbers of a row of a phase, whole vectors counted.
fn per_phase(grid: &OutputPhase, lanes: usize) -> usize {
    grid.columns.next_multiple_of(lanes)
}

/// One channel of one image.
pub(super) struct Columns<'a> {
    pub phases: &'a [Phase<'a>],
    pub source: &'a [f32],
    pub channel: usize,
    pub bias: f32,
    /// Columns of the map.
    pub width: usize,
    /// [`room`].
    pub room: &'a mut [f32],
    pub to: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let most = room(self.phases, S::LANES);
        assert!(most <= self.room.len(), "rows of {most} numbers do not fit");
        let (left, right) = self.room[..most].split_at_mut(most / 2);
        // Rows of even and of odd columns.
        let [left, right] = [left, right].map(|room| room.as_mut_ptr());
        for pair in self.phases.chunks_exact(2) {
            for phase in pair {
                assert!(
                    phase.reach <= self.source.len(),
                    "a vector would read too far"
                );
            }
            let [first, second] = [pair[0].grid, pair[1].grid];
            let [of_first, of_second] = match first.first[1] {
                0 => [left, right],
                _ => [right, left],
            };
            let columns = first.columns.max(second.columns);
            for row in 0..first.rows {
                // SAFETY: as this function's own; `reach` covers every vector and tap, and the rooms are as
                // long as the longest row.
                unsafe {
                    pair[0].row::<S>(row, self.channel, self.bias, self.source, of_first);
                    pair[1].row::<S>(row, self.channel, self.bias, self.source, of_second);
                    let start = (first.first[0] + row * first.step[0]) * self.width;
                    let to = &mut self.to[start..start + self.width];
                    for at in (0..columns).step_by(S::LANES) {
                        let (even, odd) = (S::load(left.add(at)), S::load(right.add(at)));
                        let [near, far] = S::interleave(even, odd);
                        S::store_part(to, 2 * at, near);
                        if 2 * at + S::LANES < self.width {
                            S::store_part(to, 2 * at + S::LANES, far);
                        }
                    }
                }
            }
        }
    }
}

impl Phase<'_> {
    /// Computes a row of a channel to `to`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; `source` must be [`Phase::reach`] long, and `to` valid
    /// for the phase's columns, filled up to whole vectors.
    #[inline(always)]
    unsafe fn row<S: Simd>(
        &self,
        row: usize,
        channel: usize,
        bias: f32,
        source: &[f32],
        to: *mut f32,
    ) {
        let taps = &self.grid.taps;
        let weights = &self.weights[channel * taps.len()..][..taps.len()];
        let vectors = self.grid.columns.div_ceil(S::LANES);
        // SAFETY: as this function's own.
        unsafe {
            let from = source.as_ptr().add(self.vectors[row * vectors].offset);
            // What a stride of 2 leaves of kernels of 3×3.
            match taps.len() {
                1 => row_of::<S, 1>(taps, weights, bias, from, to, vectors),
                2 => row_of::<S, 2>(taps, weights, bias, from, to, vectors),
                4 => row_of::<S, 4>(taps, weights, bias, from, to, vectors),
                _ => {
                    for at in (0..vectors * S::LANES).step_by(S::LANES) {
                        let mut sum = S::splat(bias);
                        for (&tap, &weight) in taps.iter().zip(weights) {
                            let x = S::load(from.add(at + tap));
                            sum = S::multiply_add(S::splat(weight), x, sum);
                        }
                        S::store(to.add(at), sum);
                    }
                }
            }
        }
    }
}

/// A row of so many vectors with `T` taps, whose weights stay in registers.
///
/// # Safety
/// As [`Phase::row`]; there must be `T` taps and weights.
#[inline(always)]
unsafe fn row_of<S: Simd, const T: usize>(
    taps: &[usize],
    weights: &[f32],
    bias: f32,
    from: *const f32,
    to: *mut f32,
    vectors: usize,
) {
    // SAFETY: as this function's own.
    unsafe {
        let mut sources = [from; T];
        let mut factors = [S::splat(0.0); T];
        for t in 0..T {
            sources[t] = from.add(taps[t]);
            factors[t] = S::splat(weights[t]);
        }
        for at in (0..vectors * S::LANES).step_by(S::LANES) {
            let mut sum = S::splat(bias);
            for t in 0..T {
                sum = S::multiply_add(factors[t], S::load(sources[t].add(at)), sum);
            }
            S::store(to.add(at), sum);
        }
    }
}
