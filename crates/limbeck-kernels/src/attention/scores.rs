//! Passes over rows of scores, which are filled up to whole vectors.

use crate::{
    elementary::exponential,
    simd::{MOST_LANES, Simd},
};

/// Turns `row`, of which the first `keys` are scores, to the exponentials of `scale` times
/// their distance from the largest; what lies behind becomes next to 0. Returns the sum and the
/// logarithm of the sum of the exponentials of `scale` times the scores themselves.
///
/// # Safety
/// The processor must have the instruction set of `S`; the row must be whole vectors.
#[inline(always)]
pub(super) unsafe fn exponentials<S: Simd>(row: &mut [f32], keys: usize, scale: f32) -> [f32; 2] {
    // SAFETY: as this function's own.
    unsafe {
        row[keys..].fill(f32::MIN);
        let mut most = S::splat(f32::MIN);
        for at in (0..row.len()).step_by(S::LANES) {
            most = S::maximum(most, S::load(row.as_ptr().add(at)));
        }
        let mut lanes = [f32::MIN; MOST_LANES];
        S::store(lanes.as_mut_ptr(), most);
        // By halves: one after the other each would wait for the one before.
        let mut half = MOST_LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] = lanes[i].max(lanes[i + half]);
            }
            half /= 2;
        }
        let most = lanes[0];
        let (shift, factor) = (S::splat(-most * scale), S::splat(scale));
        let mut sum = S::splat(0.0);
        for at in (0..row.len()).step_by(S::LANES) {
            let place = row.as_mut_ptr().add(at);
            let score = S::multiply_add(S::load(place), factor, shift);
            let exponential = exponential::<S>(score);
            sum = S::add(sum, exponential);
            S::store(place, exponential);
        }
        let sum = S::sum(sum);
        [sum, most * scale + sum.ln()]
    }
}

/// Turns scores to probabilities, `exp(scale·score − logarithm)`, and their gradients `slopes` to
/// those of the scores: `scale·probability·(slope − mean)`, with `mean` the mean of the slopes
/// under the probabilities.
///
/// # Safety
/// The processor must have the instruction set of `S`; both rows must be whole vectors, and as
/// long as each other.
#[inline(always)]
pub(super) unsafe fn gradients<S: Simd>(
    scores: &mut [f32],
    slopes: &mut [f32],
    scale: f32,
    logarithm: f32,
    mean: f32,
) {
    // SAFETY: as this function's own.
    unsafe {
        let (factor, shift) = (S::splat(scale), S::splat(-logarithm));
        let mean = S::splat(mean);
        for at in (0..scores.len()).step_by(S::LANES) {
            let (score, slope) = (scores.as_mut_ptr().add(at), slopes.as_mut_ptr().add(at));
            let exponent = S::multiply_add(S::load(score), factor, shift);
            let probability = exponential::<S>(exponent);
            S::store(score, probability);
            let distance = S::subtract(S::load(slope), mean);
            S::store(
                slope,
                S::multiply(S::multiply(probability, factor), distance),
            );
        }
    }
}
