//! Correlation of each channel with a kernel of its own.
//!
//! Large maps are gone through row by row here, those with phases of columns in [`super::depthwise_columns`]; small
//! ones in [`super::depthwise_lanes`].

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Finish,
    correlate::Plan,
    depthwise_columns::{self, Columns},
    depthwise_lanes,
    grid::{OutputPhase, OutputVector},
    tile::MOST_VECTORS,
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, Simd},
};

/// Channels that one task handles.
const CHANNELS: usize = 8;

/// Largest map, in positions, that is kept with one image to a lane: with sixteen lanes 1 MiB, a
/// core's second-level cache.
const MOST_POSITIONS: usize = 1 << 14;

/// Images to interleave for maps of `[H, W]`, one or a vector's worth of them: the latter unless
/// it uses far fewer lanes, since rows cost some time at their ends.
pub(super) fn images(size: [usize; 2], batch: usize) -> usize {
    let lanes = simd::lanes();
    let used = |count: usize| count as f64 / count.next_multiple_of(lanes) as f64;
    if used(batch) >= 0.75 * used(size[1]) && size[0] * size[1] <= MOST_POSITIONS {
        lanes
    } else {
        1
    }
}

/// What [`Plan::run`] computes where every group has one channel and one output:
/// `weight(channel, phase, tap)`.
pub(super) fn run(
    plan: &Plan,
    x: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32,
    finish: Finish<'_>,
) -> Vec<f32> {
    if plan.source.images > 1 {
        return depthwise_lanes::run(plan, x, weight, finish);
    }
    let phases: Vec<Phase<'_>> = plan
        .phases
        .iter()
        .enumerate()
        .map(|(index, grid)| Phase {
            grid,
            vectors: grid.vectors(&plan.source, plan.size[1]),
            reach: grid.reach(&plan.source),
            weights: (0..plan.groups)
                .flat_map(|channel| (0..grid.taps.len()).map(move |tap| (channel, tap)))
                .map(|(channel, tap)| weight(channel, index, tap))
                .collect(),
        })
        .collect();
    let map = plan.size[0] * plan.size[1];
    let count = plan.batch * plan.groups * map;
    let mut y = Vec::with_capacity(count);
    let mut shares = Vec::new();
    let images = y.spare_capacity_mut()[..count].chunks_exact_mut(plan.groups * map);
    for (image, maps) in images.enumerate() {
        let blocks = maps.chunks_mut(CHANNELS * map).enumerate();
        shares.extend(blocks.map(|(index, maps)| Share {
            image,
            first_channel: index * CHANNELS,
            maps,
        }));
    }
    shares
        .into_par_iter()
        .for_each(|share| compute(plan, x, &phases, finish, share));
    // SAFETY: the shares cover every image and channel once, the phases cover every position of a
    // map once, and every valid lane of their vectors is written.
    unsafe { y.set_len(count) };
    y
}

/// Outputs that read the same kernel elements.
pub(super) struct Phase<'a> {
    pub grid: &'a OutputPhase,
    /// Row by row.
    pub vectors: Vec<OutputVector>,
    /// Numbers of the source that the vectors read.
    pub reach: usize,
    /// `[channel, tap]`.
    pub weights: Vec<f32>,
}

/// The part of the output that one task computes.
struct Share<'y> {
    image: usize,
    first_channel: usize,
    /// The maps of the channels.
    maps: &'y mut [MaybeUninit<f32>],
}

fn compute(plan: &Plan, x: &[f32], phases: &[Phase<'_>], finish: Finish<'_>, share: Share<'_>) {
    let plane = plan.source.size[0] * plan.source.size[1];
    let map = plan.size[0] * plan.size[1];
    let by_columns = depthwise_columns::fits(phases, plan.source.images);
    let rows = depthwise_columns::room(phases, simd::lanes());
    let counts = [plan.source.len(1), rows, plan.source.room()];
    with_scratch(counts, |[source, rows, room]| {
        plan.source.clear(source);
        for (channel, to) in (share.first_channel..).zip(share.maps.chunks_exact_mut(map)) {
            let input = &x[(share.image * plan.groups + channel) * plane..][..plane];
            plan.source.copy(&[input], source, room);
            let bias = finish.bias.map_or(0.0, |bias| bias[channel]);
            if by_columns {
                simd::dispatch(Columns {
                    phases,
                    source,
                    channel,
                    bias,
                    width: plan.size[1],
                    room: rows,
                    to,
                });
            } else {
                simd::dispatch(Work {
                    plan,
                    phases,
                    source,
                    channel,
                    bias,
                    to,
                });
            }
        }
    });
    let start = (share.image * plan.groups + share.first_channel) * map;
    // SAFETY: the loop above has written all channels of the share.
    unsafe { finish.apply(share.maps, start) };
}

/// One channel of one image.
struct Work<'a> {
    plan: &'a Plan,
    phases: &'a [Phase<'a>],
    source: &'a [f32],
    channel: usize,
    bias: f32,
    to: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for phase in self.phases {
            let taps = &phase.grid.taps;
            let weights = &phase.weights[self.channel * taps.len()..][..taps.len()];
            assert!(
                phase.reach <= self.source.len(),
                "a vector would read {} of {} numbers",
                phase.reach,
                self.source.len()
            );
            // SAFETY: as this function's own; `reach` covers every vector and tap.
            unsafe {
                let bias = S::splat(self.bias);
                let mut chunks = phase.vectors.chunks_exact(MOST_VECTORS);
                for vectors in &mut chunks {
                    let mut sources = [self.source.as_ptr(); MOST_VECTORS];
                    for v in 0..MOST_VECTORS {
                        sources[v] = sources[v].add(vectors[v].offset);
                    }
                    let mut sums = [bias; MOST_VECTORS];
                    for (&tap, &weight) in taps.iter().zip(weights) {
                        let weight = S::splat(weight);
                        for v in 0..MOST_VECTORS {
                            sums[v] =
                                S::multiply_add(weight, S::load(sources[v].add(tap)), sums[v]);
                        }
                    }
                    for v in 0..MOST_VECTORS {
                        phase.grid.store_together::<S>(
                            &vectors[v],
                            sums[v],
                            self.plan.source.images,
                            self.to,
                        );
                    }
                }
                for vector in chunks.remainder() {
                    let source = self.source.as_ptr().add(vector.offset);
                    let mut sum = bias;
                    for (&tap, &weight) in taps.iter().zip(weights) {
                        sum = S::multiply_add(S::splat(weight), S::load(source.add(tap)), sum);
                    }
                    phase
                        .grid
                        .store_together::<S>(vector, sum, self.plan.source.images, self.to);
                }
            }
        }
    }
}
