//! Correlation of each channel with a kernel of its own.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Finish,
    correlate::Plan,
    grid::{OutputPhase, OutputVector},
    interleave::Deinterleave,
    tile::MOST_VECTORS,
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, Simd},
};

/// Channels that one task handles.
const CHANNELS: usize = 8;

/// What [`Plan::run`] computes where every group has one channel and one output:
/// `weight(channel, phase, tap)`.
pub(super) fn run(
    plan: &Plan,
    x: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32,
    finish: Finish<'_>,
) -> Vec<f32> {
    let phases: Vec<Phase<'_>> = plan
        .phases
        .iter()
        .enumerate()
        .map(|(index, grid)| Phase {
            grid,
            vectors: grid.vectors(&plan.source),
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
    let images: Vec<&mut [MaybeUninit<f32>]> = y.spare_capacity_mut()[..count]
        .chunks_exact_mut(plan.groups * map)
        .collect();
    // Channel blocks of interleaved images.
    let mut shares = Vec::new();
    let mut images = images.into_iter();
    for first_image in (0..plan.batch).step_by(plan.source.images) {
        let mut blocks: Vec<Vec<&mut [MaybeUninit<f32>]>> = Vec::new();
        blocks.resize_with(plan.groups.div_ceil(CHANNELS), Vec::new);
        for image in images.by_ref().take(plan.source.images) {
            for (block, maps) in blocks.iter_mut().zip(image.chunks_mut(CHANNELS * map)) {
                block.push(maps);
            }
        }
        shares.extend(blocks.into_iter().enumerate().map(|(index, maps)| Share {
            first_image,
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

struct Phase<'a> {
    grid: &'a OutputPhase,
    vectors: Vec<OutputVector>,
    /// Numbers of the source that the vectors read.
    reach: usize,
    /// `[channel, tap]`.
    weights: Vec<f32>,
}

/// The part of the output that one task computes.
struct Share<'y> {
    first_image: usize,
    first_channel: usize,
    /// For each image the maps of the channels.
    maps: Vec<&'y mut [MaybeUninit<f32>]>,
}

fn compute(plan: &Plan, x: &[f32], phases: &[Phase<'_>], finish: Finish<'_>, mut share: Share<'_>) {
    let plane = plan.source.size[0] * plan.source.size[1];
    let count = share.maps[0].len() / (plan.size[0] * plan.size[1]);
    let images = plan.source.images;
    let map = plan.size[0] * plan.size[1];
    let interleaved = map.next_multiple_of(simd::lanes()) * images;
    let counts = [plan.source.len(1), interleaved, plan.source.room()];
    with_scratch(counts, |[source, output, room]| {
        plan.source.clear(source);
        for index in 0..count {
            let channel = share.first_channel + index;
            let input = |image: usize, channel: usize| {
                &x[((share.first_image + image) * plan.groups + channel) * plane..][..plane]
            };
            let inputs: Vec<&[f32]> = (0..share.maps.len()).map(|i| input(i, channel)).collect();
            if index + 1 < count {
                (0..inputs.len()).for_each(|i| simd::prefetch(input(i, channel + 1)));
            }
            plan.source.copy(&inputs, source, room);
            let bias = finish.bias.map_or(0.0, |bias| bias[channel]);
            let work = |to| Work {
                plan,
                phases,
                source,
                channel,
                bias,
                to,
            };
            if images == 1 {
                let to = &mut share.maps[0][index * map..(index + 1) * map];
                simd::dispatch(work(to));
                continue;
            }
            simd::dispatch(work(as_room(output)));
            simd::dispatch(Deinterleave {
                from: output,
                images,
                maps: &mut share.maps,
                start: index * map,
                plane: map,
                residual: &[],
                relu: false,
            });
        }
    });
    for (image, maps) in (share.first_image..).zip(&mut share.maps) {
        let start = (image * plan.groups + share.first_channel) * map;
        // SAFETY: the loop above has written all channels of the share.
        unsafe { finish.apply(maps, start) };
    }
}

/// The same numbers, to be written without being read.
fn as_room(numbers: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: both types have the same layout, and kernels write only numbers that are there.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), numbers.len()) }
}

/// One channel of some images.
struct Work<'a> {
    plan: &'a Plan,
    phases: &'a [Phase<'a>],
    source: &'a [f32],
    channel: usize,
    bias: f32,
    /// One map, `[row, column, image]`.
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
                        phase
                            .grid
                            .store_together::<S>(&vectors[v], sums[v], self.plan, self.to);
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
                        .store_together::<S>(vector, sum, self.plan, self.to);
                }
            }
        }
    }
}
