//! The passes over the numbers, a vector at a time.

use rayon::prelude::*;

use super::{AdamWStep, SgdStep};
use crate::simd::{Kernel, Simd, as_room, dispatch};

/// Numbers that one task handles at most.
const PIECE: usize = 1 << 14;

/// A pass that changes each number by itself, so that it may be divided anywhere.
pub(crate) trait Pass: Kernel<Output = ()> + Send + Sized {
    /// Numbers to change.
    fn count(&self) -> usize;
    /// The pass over the first `count` numbers, and that over the rest.
    fn divide(self, count: usize) -> (Self, Self);

    /// Makes the pass, on all threads where there are many numbers.
    fn make(self) {
        let count = self.count();
        if count <= PIECE {
            // A small pass costs more to hand to the threads than to make.
            return dispatch(self);
        }
        let (first, second) = self.divide((count / 2).next_multiple_of(PIECE));
        rayon::join(|| first.make(), || second.make());
    }
}

/// Stochastic gradient descent.
pub(crate) struct Sgd<'a> {
    pub value: &'a mut [f32],
    pub gradient: &'a [f32],
    /// None where momentum is switched off.
    pub momentum: Option<&'a mut [f32]>,
    /// Whether the momentum has no contents yet.
    pub first: bool,
    pub step: SgdStep,
}

impl Pass for Sgd<'_> {
    fn count(&self) -> usize {
        self.value.len()
    }

    fn divide(self, count: usize) -> (Self, Self) {
        let value = self.value.split_at_mut(count);
        let gradient = self.gradient.split_at(count);
        let momentum = self
            .momentum
            .map(|momentum| momentum.split_at_mut(count))
            .unzip();
        let half = |value, gradient, momentum| Sgd {
            value,
            gradient,
            momentum,
            first: self.first,
            step: self.step,
        };
        (
            half(value.0, gradient.0, momentum.0),
            half(value.1, gradient.1, momentum.1),
        )
    }
}

impl Kernel for Sgd<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all slices, which are equally long,
        // and only numbers are written.
        unsafe {
            let decay = S::splat(self.step.weight_decay as f32);
            let momentum_kept = S::splat(self.step.momentum as f32);
            let share = S::splat((1.0 - self.step.dampening) as f32);
            let way = S::splat(-self.step.learning_rate as f32);
            let mut momentum = self.momentum;
            for at in (0..self.value.len()).step_by(S::LANES) {
                let value = S::load_part(self.value, at);
                let gradient = S::load_part(self.gradient, at);
                let gradient = S::multiply_add(value, decay, gradient);
                let mut direction = gradient;
                if let Some(momentum) = &mut momentum {
                    if !self.first {
                        let kept = S::multiply(S::load_part(momentum, at), momentum_kept);
                        direction = S::multiply_add(gradient, share, kept);
                    }
                    S::store_part(as_room(momentum), at, direction);
                    if self.step.nesterov {
                        direction = S::multiply_add(direction, momentum_kept, gradient);
                    }
                }
                let value = S::multiply_add(direction, way, value);
                S::store_part(as_room(self.value), at, value);
            }
        }
    }
}

/// Adam with decoupled weight decay.
pub(crate) struct AdamW<'a> {
    pub value: &'a mut [f32],
    pub gradient: &'a [f32],
    pub mean: &'a mut [f32],
    pub square: &'a mut [f32],
    pub step: AdamWStep,
}

impl Pass for AdamW<'_> {
    fn count(&self) -> usize {
        self.value.len()
    }

    fn divide(self, count: usize) -> (Self, Self) {
        let value = self.value.split_at_mut(count);
        let gradient = self.gradient.split_at(count);
        let mean = self.mean.split_at_mut(count);
        let square = self.square.split_at_mut(count);
        let half = |value, gradient, mean, square| AdamW {
            value,
            gradient,
            mean,
            square,
            step: self.step,
        };
        (
            half(value.0, gradient.0, mean.0, square.0),
            half(value.1, gradient.1, mean.1, square.1),
        )
    }
}

impl Kernel for AdamW<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [size, root] = self.step.corrections();
        // SAFETY: as this function's own; `at` stays inside all slices, which are equally long,
        // and only numbers are written.
        unsafe {
            let decay = S::splat(self.step.decay() as f32);
            let [beta1, beta2] = [self.step.beta1, self.step.beta2];
            let kept = [S::splat(beta1 as f32), S::splat(beta2 as f32)];
            let share = [
                S::splat((1.0 - beta1) as f32),
                S::splat((1.0 - beta2) as f32),
            ];
            let (way, root) = (S::splat(-size as f32), S::splat(root.recip() as f32));
            let epsilon = S::splat(self.step.epsilon as f32);
            for at in (0..self.value.len()).step_by(S::LANES) {
                let gradient = S::load_part(self.gradient, at);
                let mean = S::multiply(S::load_part(self.mean, at), kept[0]);
                let mean = S::multiply_add(gradient, share[0], mean);
                let square = S::multiply(S::load_part(self.square, at), kept[1]);
                let squared = S::multiply(gradient, gradient);
                let square = S::multiply_add(squared, share[1], square);
                let spread = S::multiply_add(S::square_root(square), root, epsilon);
                let value = S::multiply(S::load_part(self.value, at), decay);
                let value = S::multiply_add(S::divide(mean, spread), way, value);
                S::store_part(as_room(self.mean), at, mean);
                S::store_part(as_room(self.square), at, square);
                S::store_part(as_room(self.value), at, value);
            }
        }
    }
}

/// One update of a moving average.
pub(crate) struct MovingAverage<'a> {
    pub average: &'a mut [f32],
    pub value: &'a [f32],
    pub decay: f64,
}

impl Pass for MovingAverage<'_> {
    fn count(&self) -> usize {
        self.average.len()
    }

    fn divide(self, count: usize) -> (Self, Self) {
        let average = self.average.split_at_mut(count);
        let value = self.value.split_at(count);
        let half = |average, value| MovingAverage {
            average,
            value,
            decay: self.decay,
        };
        (half(average.0, value.0), half(average.1, value.1))
    }
}

impl Kernel for MovingAverage<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside both slices, which are equally long,
        // and only numbers are written.
        unsafe {
            let kept = S::splat(self.decay as f32);
            let share = S::splat((1.0 - self.decay) as f32);
            for at in (0..self.average.len()).step_by(S::LANES) {
                let average = S::multiply(S::load_part(self.average, at), kept);
                let average = S::multiply_add(S::load_part(self.value, at), share, average);
                S::store_part(as_room(self.average), at, average);
            }
        }
    }
}

/// Σ x², piece by piece.
pub(crate) fn sum_of_squares(x: &[f32]) -> f64 {
    if x.len() <= PIECE {
        return dispatch(SumOfSquares(x));
    }
    let pieces: Vec<f64> = x
        .par_chunks(PIECE)
        .map(|x| dispatch(SumOfSquares(x)))
        .collect();
    pieces.into_iter().sum()
}

struct SumOfSquares<'a>(&'a [f32]);

impl Kernel for SumOfSquares<'_> {
    type Output = f64;

    /// The sums are the same on every instruction set: there are as many as the widest holds.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let mut sums = [0.0; 32];
        let (blocks, rest) = self.0.as_chunks::<32>();
        for block in blocks {
            for i in 0..32 {
                sums[i] += f64::from(block[i]) * f64::from(block[i]);
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            *sum += f64::from(x) * f64::from(x);
        }
        sums.into_iter().sum()
    }
}
