//! Passes over rows of scores with a bias, which are filled up to whole vectors.

use super::seam::HIDDEN;
use crate::{
    elementary::exponential,
    simd::{MOST_LANES, Simd},
};

/// What is added to the scores of a query.
#[derive(Clone, Copy)]
pub(super) struct Added<'a> {
    /// As long as the row; [`HIDDEN`] behind the keys.
    pub bias: &'a [f32],
    /// As long as the row, where keys are hidden.
    pub mask: Option<&'a [f32]>,
}

impl Added<'_> {
    /// `scale` times a vector of scores at `at`, plus what is added to them.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; a vector of `scores` and of both rows must begin
    /// at `at`.
    #[inline(always)]
    unsafe fn to<S: Simd>(self, scores: *const f32, at: usize, scale: S::Vector) -> S::Vector {
        // SAFETY: as this function's own.
        unsafe {
            let bias = S::load(self.bias.as_ptr().add(at));
            let score = S::multiply_add(S::load(scores.add(at)), scale, bias);
            match self.mask {
                Some(mask) => S::add(score, S::load(mask.as_ptr().add(at))),
                None => score,
            }
        }
    }
}

/// eˣ of `score` less `most`, 0 where the key is hidden.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn seen<S: Simd>(score: S::Vector, most: S::Vector) -> S::Vector {
    // SAFETY: as this function's own.
    unsafe {
        let exponential = exponential::<S>(S::subtract(score, most));
        S::where_positive(S::add(score, S::splat(-HIDDEN / 2.0)), exponential)
    }
}

/// Turns `row`, of which the first `keys` are scores, to the exponentials of how far they, scaled and added
/// to, are below the largest. Returns the sum and the logarithm of the sum of the exponentials themselves.
///
/// # Safety
/// The processor must have the instruction set of `S`; the row must be whole vectors and what is added as
/// long as it.
#[inline(always)]
pub(super) unsafe fn exponentials<S: Simd>(
    row: &mut [f32],
    keys: usize,
    scale: f32,
    added: Added<'_>,
) -> [f32; 2] {
    debug_assert!(added.bias.len() == row.len());
    // SAFETY: as this function's own.
    unsafe {
        row[keys..].fill(0.0);
        let scale = S::splat(scale);
        let mut most = S::splat(f32::MIN);
        for at in (0..row.len()).step_by(S::LANES) {
            let score = added.to::<S>(row.as_ptr(), at, scale);
            most = S::maximum(most, score);
            S::store(row.as_mut_ptr().add(at), score);
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
        let most = S::splat(lanes[0]);
        let mut sum = S::splat(0.0);
        for at in (0..row.len()).step_by(S::LANES) {
            let place = row.as_mut_ptr().add(at);
            let exponential = seen::<S>(S::load(place), most);
            sum = S::add(sum, exponential);
            S::store(place, exponential);
        }
        let sum = S::sum(sum);
        [sum, lanes[0] + sum.ln()]
    }
}

/// Turns scores to probabilities, whose logarithms are those of [`exponentials`] less `logarithm`, and their
/// gradients `slopes` to those of the scores, which are added to `sums` before they are scaled.
///
/// # Safety
/// As [`exponentials`], of `scores`, `slopes` and `sums` alike.
#[inline(always)]
pub(super) unsafe fn gradients<S: Simd>(
    [scores, slopes, sums]: [&mut [f32]; 3],
    keys: usize,
    scale: f32,
    logarithm: f32,
    added: Added<'_>,
) {
    debug_assert!(added.bias.len() == scores.len() && slopes.len() == scores.len());
    // SAFETY: as this function's own.
    unsafe {
        scores[keys..].fill(0.0);
        slopes[keys..].fill(0.0);
        let (scale, logarithm) = (S::splat(scale), S::splat(logarithm));
        let mut mean = S::splat(0.0);
        for at in (0..scores.len()).step_by(S::LANES) {
            let score = added.to::<S>(scores.as_ptr(), at, scale);
            let probability = seen::<S>(score, logarithm);
            S::store(scores.as_mut_ptr().add(at), probability);
            mean = S::multiply_add(probability, S::load(slopes.as_ptr().add(at)), mean);
        }
        let mean = S::splat(S::sum(mean));
        for at in (0..scores.len()).step_by(S::LANES) {
            let (slope, sum) = (slopes.as_mut_ptr().add(at), sums.as_mut_ptr().add(at));
            let distance = S::subtract(S::load(slope), mean);
            let of_score = S::multiply(S::load(scores.as_ptr().add(at)), distance);
            S::store(sum, S::add(S::load(sum), of_score));
            S::store(slope, S::multiply(of_score, scale));
        }
    }
}
