//! The weight gradient where every group has one channel and one output.

use std::ops::Range;

use rayon::prelude::*;

use super::{depthwise_lanes::panel_channels, lanes::IntoLanes, weight_plan::Plan};
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
    let geometry = plan.geometry;
    // Channels that are copied together: more than one where small maps are brought into lanes.
    let panel = if plan.source.images > 1 {
        panel_channels(&geometry.input).max(panel_channels(&geometry.output))
    } else {
        1
    };
    let task = Task {
        plan,
        panel,
        steps: plan.steps(1, 0),
        x_positions: plan.source.panel_positions(panel),
        dy_positions: (0..panel * geometry.output_size())
            .map(|position| position * plan.source.images)
            .collect(),
    };
    let block = PIECE
        .div_ceil(geometry.input_size())
        .next_multiple_of(panel);
    let mut sums = vec![0.0; geometry.outputs * taps];
    sums.par_chunks_mut(block * taps)
        .enumerate()
        .for_each(|(index, sums)| task.compute(index * block, sums));
    sums
}

struct Task<'a> {
    plan: &'a Plan<'a>,
    /// Channels that are copied together.
    panel: usize,
    /// Offset in the input's copy of each vector of positions of a channel.
    steps: Vec<usize>,
    /// Where in the copies the positions of a panel's maps belong, one image to a lane.
    x_positions: Vec<usize>,
    dy_positions: Vec<usize>,
}

impl Task<'_> {
    /// `sums` `[channels, taps]` of the channels from `first` on.
    fn compute(&self, first: usize, sums: &mut [f32]) {
        let plan = self.plan;
        let lanes = simd::lanes();
        let taps = plan.weights.len();
        // `[channel, tap, lane]`.
        let mut chains = vec![0.0; sums.len() * lanes];
        let (batch, images) = (plan.geometry.batch, plan.source.images);
        let counts = [
            plan.source.len(self.panel),
            plan.map() * self.panel,
            plan.room(),
        ];
        with_scratch(counts, |[x, dy, room]| {
            plan.clear(counts[0], x, dy);
            for image in (0..batch).step_by(images) {
                let images = image..(image + images).min(batch);
                for (index, chains) in chains.chunks_mut(self.panel * taps * lanes).enumerate() {
                    let first = first + index * self.panel;
                    let channels = first..first + chains.len() / (taps * lanes);
                    if plan.source.images > 1 {
                        self.fill_lanes(channels, images.clone(), x, dy);
                    } else {
                        plan.fill_input(first, images.clone(), x, room);
                        plan.fill_gradient(first, images.clone(), dy, room);
                    }
                    simd::dispatch(Work {
                        taps: &plan.weights,
                        steps: &self.steps,
                        chains,
                        x,
                        x_stride: plan.source.channel_stride(),
                        dy,
                        dy_stride: plan.map(),
                    });
                }
            }
        });
        simd::dispatch(SumLanes { chains, sums });
    }

    /// Copies the channels of the images, one to a lane.
    fn fill_lanes(
        &self,
        channels: Range<usize>,
        images: Range<usize>,
        x: &mut [f32],
        dy: &mut [f32],
    ) {
        let geometry = self.plan.geometry;
        let fill = |from: &[f32], size: usize, positions: &[usize], to: &mut [f32]| {
            let maps: Vec<&[f32]> = images
                .clone()
                .map(|image| {
                    let at = image * geometry.channels + channels.start;
                    &from[at * size..(at + channels.len()) * size]
                })
                .collect();
            simd::dispatch(IntoLanes {
                maps: &maps,
                offsets: &positions[..channels.len() * size],
                to,
            });
        };
        fill(self.plan.x, geometry.input_size(), &self.x_positions, x);
        fill(
            self.plan.gradient,
            geometry.output_size(),
            &self.dy_positions,
            dy,
        );
    }
}

/// Adds the products of some channels of some images to the chains `[channel, tap, lane]`.
struct Work<'a> {
    /// Offset in `x` of what each kernel element multiplies, relative to a step.
    taps: &'a [usize],
    /// Offset in `x` of each vector of positions.
    steps: &'a [usize],
    chains: &'a mut [f32],
    /// `[channel]`, `x_stride` numbers each.
    x: &'a [f32],
    x_stride: usize,
    /// `[channel]`, `dy_stride` numbers each, of them `[step, lane]`.
    dy: &'a [f32],
    dy_stride: usize,
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let reach =
            self.taps.iter().max().unwrap_or(&0) + self.steps.iter().max().unwrap_or(&0) + S::LANES;
        let per_channel = self.taps.len() * S::LANES;
        for (channel, chains) in self.chains.chunks_exact_mut(per_channel).enumerate() {
            let x = &self.x[channel * self.x_stride..];
            let dy = &self.dy[channel * self.dy_stride..];
            assert!(
                reach <= x.len() && self.steps.len() * S::LANES <= dy.len(),
                "a vector would read {reach} of {} and {} of {} numbers",
                x.len(),
                self.steps.len() * S::LANES,
                dy.len()
            );
            let chains = chains.chunks_mut(TAPS * S::LANES);
            for (taps, chains) in self.taps.chunks(TAPS).zip(chains) {
                // SAFETY: the check above covers every step and tap; `chains` holds a vector for
                // each.
                unsafe { add_products::<S>(x, dy, taps, self.steps, chains) };
            }
        }
    }
}

/// Adds `dy · x` of up to [`TAPS`] taps to the chains `[tap, lane]`.
///
/// # Safety
/// The processor must have the instruction set of `S`; `x` must reach as far as taps and steps do,
/// `dy` must hold a vector for each step, and `chains` one for each tap.
#[inline(always)]
unsafe fn add_products<S: Simd>(
    x: &[f32],
    dy: &[f32],
    taps: &[usize],
    steps: &[usize],
    chains: &mut [f32],
) {
    // SAFETY: as this function's own.
    unsafe {
        // Where there are fewer, the last is repeated and the copies are dropped.
        let mut from = [x.as_ptr(); TAPS];
        let mut sums = [S::splat(0.0); TAPS];
        for t in 0..TAPS {
            let tap = t.min(taps.len() - 1);
            from[t] = from[t].add(taps[tap]);
            sums[t] = S::load(chains.as_ptr().add(tap * S::LANES));
        }
        let mut dy = dy.as_ptr();
        for &step in steps {
            let gradient = S::load(dy);
            for t in 0..TAPS {
                sums[t] = S::multiply_add(gradient, S::load(from[t].add(step)), sums[t]);
            }
            dy = dy.add(S::LANES);
        }
        for t in 0..taps.len() {
            S::store(chains.as_mut_ptr().add(t * S::LANES), sums[t]);
        }
    }
}

/// Sums the lanes of each chain.
struct SumLanes<'a> {
    /// A vector for each sum.
    chains: Vec<f32>,
    sums: &'a mut [f32],
}

impl Kernel for SumLanes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (sum, chain) in self.sums.iter_mut().zip(self.chains.chunks_exact(S::LANES)) {
            // SAFETY: as this function's own; a chain is one vector long.
            unsafe { *sum = S::sum(S::load(chain.as_ptr())) };
        }
    }
}
