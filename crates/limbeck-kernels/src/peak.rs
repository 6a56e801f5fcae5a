//! What the processor could do at best.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rayon::prelude::*;

use crate::simd::{self, Kernel, Simd};

/// Independent sums of a loop. Two multiply-add units with a latency of four or five cycles are
/// busy from ten on, and twelve sums with their two factors fit sixteen registers.
const SUMS: usize = 12;

/// Rounds of the loop in one measurement: about a millisecond, long beside the start of the
/// threads, short beside the time that another process has a core at once.
const ROUNDS: usize = 300_000;

/// How long it is measured.
const SPAN: Duration = Duration::from_millis(200);

/// Floating point operations per second that multiply-adds on registers alone reach, in the widest
/// instruction set that the kernels use, on all threads of the current rayon pool together. A
/// multiply-add counts as two operations.
///
/// The best of many short measurements, about 0.2 seconds in all: disturbances only make them
/// slower. Nothing that multiplies number by number can be faster for long; a convolution that saves
/// multiplications may seem to be, where those of its definition are counted.
pub fn multiply_add_peak() -> f64 {
    let per_thread = 2.0 * (ROUNDS * SUMS * simd::lanes()) as f64;
    let operations = per_thread * rayon::current_num_threads() as f64;
    let start = Instant::now();
    let mut best = 0.0_f64;
    while best == 0.0 || start.elapsed() < SPAN {
        let start = Instant::now();
        rayon::broadcast(|_| black_box(simd::dispatch(MultiplyAdds)));
        best = best.max(operations / start.elapsed().as_secs_f64());
    }
    best
}

/// Numbers that are copied: more than the caches of a processor hold.
const COPIED: usize = 1 << 25;

/// Numbers of a copy that one task handles.
const PIECE: usize = 1 << 18;

/// Bytes read and written per second where all threads of the current rayon pool copy much memory
/// together. What lies in a cache can be faster.
///
/// The best of many copies, about 0.2 seconds in all.
pub fn copy_rate() -> f64 {
    let from = vec![1.0_f32; COPIED];
    // Its pages are there before the first copy.
    let mut to = vec![2.0_f32; COPIED];
    let bytes = 2.0 * size_of_val(from.as_slice()) as f64;
    let start = Instant::now();
    let mut best = 0.0_f64;
    while best == 0.0 || start.elapsed() < SPAN {
        let start = Instant::now();
        to.par_chunks_mut(PIECE)
            .zip(from.par_chunks(PIECE))
            .for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
        best = best.max(bytes / start.elapsed().as_secs_f64());
    }
    best
}

/// The loop on one thread. Gives the mean over the lanes of the sum of all sums.
struct MultiplyAdds;

impl Kernel for MultiplyAdds {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        // SAFETY: the caller vouches for the instruction set; no memory is touched.
        unsafe {
            // The sums settle at 1: numbers that overflow or vanish may be slower.
            let factor = S::splat(black_box(0.5));
            let summand = S::splat(black_box(0.5));
            let mut sums = [S::splat(black_box(2.0)); SUMS];
            for _ in 0..ROUNDS {
                for i in 0..SUMS {
                    sums[i] = S::multiply_add(sums[i], factor, summand);
                }
            }
            let mut total = S::splat(0.0);
            for sum in sums {
                total = S::add(total, sum);
            }
            S::sum(total) / S::LANES as f32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_settles_at_one_in_every_lane() {
        assert_eq!(simd::dispatch(MultiplyAdds), SUMS as f32);
    }

    #[test]
    fn a_peak_is_found() {
        let peak = multiply_add_peak();
        assert!(peak.is_finite() && peak > 0.0, "{peak}");
    }

    #[test]
    fn a_rate_of_copies_is_found() {
        let rate = copy_rate();
        assert!(rate.is_finite() && rate > 0.0, "{rate}");
    }
}
