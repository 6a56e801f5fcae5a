//! The weight gradient where every group has one channel and one output.

use rayon::prelude::*;

use super::weight_gradient::Plan;
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, Simd},
};

/// Numbers of one image that a task takes from memory in one piece, or more where one channel has
/// more.
const PIECE: usize = 1024;
/// Kernel elements whose sums are held in registers at once.
const TAPS: usize = 9;

/// `[C, 1, kh, kw]`. Each channel is summed over all images in one go.
pub(super) fn weight_gradient(plan: &Plan<'_>) -> Vec<f32> {
    let taps = plan.weights.len();
    let block = PIECE.div_ceil(plan.geometry.input_size());
    let mut sums = vec![0.0; plan.geometry.outputs * taps];
    sums.par_chunks_mut(block * taps)
        .enumerate()
        .for_each(|(index, sums)| of_channels(plan, index * block, sums));
    sums
}

/// `sums` `[channels, taps]` of the channels from `first` on.
fn of_channels(plan: &Plan<'_>, first: usize, sums: &mut [f32]) {
    let lanes = simd::lanes();
    let taps = plan.weights.len();
    let steps = plan.steps(1, 0);
    // `[channel, tap, lane]`.
    let mut chains = vec![0.0; sums.len() * lanes];
    let (batch, images) = (plan.geometry.batch, plan.source.images);
    for image in (0..batch).step_by(images) {
        let images = image..(image + images).min(batch);
        let counts = [plan.source.len(1), plan.map(), plan.room()];
        with_scratch(counts, |[x, dy, room]| {
            plan.clear(counts[0], x, dy);
            for (offset, chains) in chains.chunks_exact_mut(taps * lanes).enumerate() {
                plan.fill_input(first + offset, images.clone(), x, room);
                plan.fill_gradient(first + offset, images.clone(), dy, room);
                simd::dispatch(Work {
                    taps: &plan.weights,
                    steps: &steps,
                    chains,
                    x,
                    dy,
                });
            }
        });
    }
    for (sum, chain) in sums.iter_mut().zip(chains.chunks_exact(lanes)) {
        *sum = chain.iter().sum();
    }
}

/// Adds the products of one channel of some images to the chains `[tap, lane]`.
struct Work<'a> {
    /// Offset in `x` of what each kernel element multiplies, relative to a step.
    taps: &'a [usize],
    /// Offset in `x` of each vector of positions.
    steps: &'a [usize],
    chains: &'a mut [f32],
    x: &'a [f32],
    /// `[step, lane]`.
    dy: &'a [f32],
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let reach =
            self.taps.iter().max().unwrap_or(&0) + self.steps.iter().max().unwrap_or(&0) + S::LANES;
        assert!(
            reach <= self.x.len() && self.steps.len() * S::LANES <= self.dy.len(),
            "a vector would read {reach} of {} and {} of {} numbers",
            self.x.len(),
            self.steps.len() * S::LANES,
            self.dy.len()
        );
        let chains = self.chains.chunks_mut(TAPS * S::LANES);
        for (taps, chains) in self.taps.chunks(TAPS).zip(chains) {
            // SAFETY: the check above covers every step and tap; `chains` holds a vector for each.
            unsafe {
                // Where there are fewer, the last is repeated and the copies are dropped.
                let mut x = [self.x.as_ptr(); TAPS];
                let mut sums = [S::splat(0.0); TAPS];
                for t in 0..TAPS {
                    let tap = t.min(taps.len() - 1);
                    x[t] = x[t].add(taps[tap]);
                    sums[t] = S::load(chains.as_ptr().add(tap * S::LANES));
                }
                let mut dy = self.dy.as_ptr();
                for &step in self.steps {
                    let gradient = S::load(dy);
                    for t in 0..TAPS {
                        sums[t] = S::multiply_add(gradient, S::load(x[t].add(step)), sums[t]);
                    }
                    dy = dy.add(S::LANES);
                }
                for t in 0..taps.len() {
                    S::store(chains.as_mut_ptr().add(t * S::LANES), sums[t]);
                }
            }
        }
    }
}
