//! Correlation of each channel of small maps with a kernel of its own, one image to a lane.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Finish,
    correlate::Plan,
    lanes::{IntoLanes, OutOfLanes},
    tile::MOST_VECTORS,
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd},
};

/// Channels that one task handles: a multiple of the channels of every panel.
const CHANNELS: usize = MOST_LANES;

/// As [`super::depthwise::run`], where the source holds as many images as a vector has lanes.
pub(super) fn run(
    plan: &Plan,
    x: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32,
    finish: Finish<'_>,
) -> Vec<f32> {
    let lanes = simd::lanes();
    let phases: Vec<Phase<'_>> = plan
        .phases
        .iter()
        .enumerate()
        .map(|(index, grid)| Phase {
            taps: &grid.taps,
            weights: (0..plan.groups)
                .flat_map(|channel| (0..grid.taps.len()).map(move |tap| (channel, tap)))
                .map(|(channel, tap)| weight(channel, index, tap))
                .collect(),
            outputs: grid
                .vectors(&plan.source, plan.size[1])
                .iter()
                .map(|vector| (vector.offset, vector.position * lanes))
                .collect(),
            reach: grid.reach(&plan.source),
            end: plan.size[0] * plan.size[1] * lanes,
        })
        .collect();
    let map = plan.size[0] * plan.size[1];
    let count = plan.batch * plan.groups * map;
    let mut y = Vec::with_capacity(count);
    let mut blocks: Vec<&mut [MaybeUninit<f32>]> = Vec::new();
    for image in y.spare_capacity_mut()[..count].chunks_exact_mut(plan.groups * map) {
        blocks.extend(image.chunks_mut(CHANNELS * map));
    }
    let per_image = plan.groups.div_ceil(CHANNELS);
    // The blocks of a vector's worth of images, those of the same channels side by side.
    let mut shares: Vec<Share<'_>> = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        let (image, number) = (index / per_image, index % per_image);
        if image.is_multiple_of(lanes) {
            shares.push(Share {
                first_image: image,
                first_channel: number * CHANNELS,
                maps: Vec::with_capacity(lanes),
            });
        }
        shares[image / lanes * per_image + number].maps.push(block);
    }
    let panel = Panel::new(plan, phases);
    shares
        .into_par_iter()
        .for_each(|share| panel.compute(x, finish, share));
    // SAFETY: the blocks cover every image and channel once, the phases cover every position of a
    // map once, and all of them are written.
    unsafe { y.set_len(count) };
    y
}

/// Outputs that read the same kernel elements.
struct Phase<'a> {
    taps: &'a [usize],
    /// `[channel, tap]`.
    weights: Vec<f32>,
    /// Offset in a channel of the source and in one of the output, `[position, lane]` both.
    outputs: Vec<(usize, usize)>,
    /// Numbers of a channel of the source that the outputs read.
    reach: usize,
    /// Numbers of a channel of the output that may be written.
    end: usize,
}

/// The part of the output that one task computes.
struct Share<'y> {
    first_image: usize,
    first_channel: usize,
    /// For each image the maps of the channels.
    maps: Vec<&'y mut [MaybeUninit<f32>]>,
}

/// Neighbouring channels that are brought into lanes together.
struct Panel<'a> {
    plan: &'a Plan,
    phases: Vec<Phase<'a>>,
    channels: usize,
    /// Where in the source each position of the channels belongs.
    offsets: Vec<usize>,
}

impl<'a> Panel<'a> {
    fn new(plan: &'a Plan, phases: Vec<Phase<'a>>) -> Self {
        let channels = panel_channels(&plan.source.size).max(panel_channels(&plan.size));
        Self {
            plan,
            phases,
            channels,
            offsets: plan.source.panel_positions(channels),
        }
    }

    fn compute(&self, x: &[f32], finish: Finish<'_>, mut share: Share<'_>) {
        let plan = self.plan;
        let plane = plan.source.size[0] * plan.source.size[1];
        let map = plan.size[0] * plan.size[1];
        let lanes = simd::lanes();
        let count = share.maps[0].len() / map;
        let output = (self.channels * map).next_multiple_of(lanes) * lanes;
        let counts = [plan.source.len(self.channels), output, 0];
        with_scratch(counts, |[source, output, _]| {
            plan.source.clear(source);
            for start in (0..count).step_by(self.channels) {
                let channels = self.channels.min(count - start);
                let first = share.first_channel + start;
                let inputs = |image: usize, channel: usize, channels: usize| {
                    let at = (share.first_image + image) * plan.groups + channel;
                    &x[at * plane..(at + channels) * plane]
                };
                let maps: Vec<&[f32]> = (0..share.maps.len())
                    .map(|image| inputs(image, first, channels))
                    .collect();
                let next = self.channels.min(count - start - channels);
                for image in 0..maps.len() {
                    simd::prefetch(inputs(image, first + channels, next));
                }
                simd::dispatch(IntoLanes {
                    maps: &maps,
                    offsets: &self.offsets[..channels * plane],
                    to: source,
                });
                simd::dispatch(Work {
                    phases: &self.phases,
                    source,
                    stride: plan.source.channel_stride(),
                    first,
                    bias: finish.bias.map(|bias| &bias[first..first + channels]),
                    output: &mut output[..channels * map * lanes],
                    map: map * lanes,
                });
                let residual = finish.residual_of(share.maps.len(), |image| {
                    let at = (share.first_image + image) * plan.groups + first;
                    at * map..(at + channels) * map
                });
                simd::dispatch(OutOfLanes {
                    from: output,
                    maps: &mut share.maps,
                    start: start * map,
                    count: channels * map,
                    residual: &residual,
                    activation: finish.activation,
                });
            }
        });
    }
}

/// The fewest channels of maps of a size of which all blocks of positions that are brought into
/// lanes are full.
pub(super) fn panel_channels(size: &[usize; 2]) -> usize {
    let lanes = simd::lanes();
    let mut channels = 1;
    while !(channels * size[0] * size[1]).is_multiple_of(lanes) {
        channels *= 2;
    }
    channels
}

/// Some channels of a vector's worth of images.
struct Work<'a> {
    phases: &'a [Phase<'a>],
    /// `[channel]`, `stride` numbers each.
    source: &'a [f32],
    stride: usize,
    /// Number of the first channel.
    first: usize,
    bias: Option<&'a [f32]>,
    /// `[channel]`, `map` numbers each.
    output: &'a mut [f32],
    map: usize,
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (channel, output) in self.output.chunks_exact_mut(self.map).enumerate() {
            let source = &self.source[channel * self.stride..];
            for phase in self.phases {
                assert!(
                    phase.reach <= source.len() && phase.end <= output.len(),
                    "a vector would read {} of {} and write {} of {} numbers",
                    phase.reach,
                    source.len(),
                    phase.end,
                    output.len()
                );
                let taps = phase.taps.len();
                let weights = &phase.weights[(self.first + channel) * taps..][..taps];
                let bias = self.bias.map_or(0.0, |bias| bias[channel]);
                let (from, to) = (source.as_ptr(), output.as_mut_ptr());
                // SAFETY: as this function's own; the check above covers every output and tap.
                unsafe {
                    // The kernels of 3×3 and what a stride of 2 leaves of them.
                    match taps {
                        1 => phase.outputs::<S, 1>(weights, bias, from, to),
                        2 => phase.outputs::<S, 2>(weights, bias, from, to),
                        4 => phase.outputs::<S, 4>(weights, bias, from, to),
                        9 => phase.outputs::<S, 9>(weights, bias, from, to),
                        _ => phase.outputs_of_any::<S>(weights, bias, from, to),
                    }
                }
            }
        }
    }
}

impl Phase<'_> {
    /// Computes the outputs of one channel with `T` taps, whose weights stay in registers.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; there must be `T` taps, and `from` and
    /// `to` must be valid for `reach` and `end` numbers.
    #[inline(always)]
    unsafe fn outputs<S: Simd, const T: usize>(
        &self,
        weights: &[f32],
        bias: f32,
        from: *const f32,
        to: *mut f32,
    ) {
        // SAFETY: as this function's own.
        unsafe {
            let mut taps = [from; T];
            let mut factors = [S::splat(0.0); T];
            for t in 0..T {
                taps[t] = from.add(self.taps[t]);
                factors[t] = S::splat(weights[t]);
            }
            let bias = S::splat(bias);
            for &(from, at) in &self.outputs {
                let mut sum = bias;
                for t in 0..T {
                    sum = S::multiply_add(factors[t], S::load(taps[t].add(from)), sum);
                }
                S::store(to.add(at), sum);
            }
        }
    }

    /// As [`Phase::outputs`], with any number of taps.
    ///
    /// # Safety
    /// As [`Phase::outputs`].
    #[inline(always)]
    unsafe fn outputs_of_any<S: Simd>(
        &self,
        weights: &[f32],
        bias: f32,
        from: *const f32,
        to: *mut f32,
    ) {
        // SAFETY: as this function's own.
        unsafe {
            let blocks = self.outputs.chunks_exact(MOST_VECTORS);
            for &(from_offset, to_offset) in blocks.remainder() {
                let from = from.add(from_offset);
                let mut sum = S::splat(bias);
                for (&tap, &weight) in self.taps.iter().zip(weights) {
                    sum = S::multiply_add(S::splat(weight), S::load(from.add(tap)), sum);
                }
                S::store(to.add(to_offset), sum);
            }
            for outputs in blocks {
                let mut sources = [from; MOST_VECTORS];
                for v in 0..MOST_VECTORS {
                    sources[v] = from.add(outputs[v].0);
                }
                let mut sums = [S::splat(bias); MOST_VECTORS];
                for (&tap, &weight) in self.taps.iter().zip(weights) {
                    let weight = S::splat(weight);
                    for v in 0..MOST_VECTORS {
                        sums[v] = S::multiply_add(weight, S::load(sources[v].add(tap)), sums[v]);
                    }
                }
                for v in 0..MOST_VECTORS {
                    S::store(to.add(outputs[v].1), sums[v]);
                }
            }
        }
    }
}
