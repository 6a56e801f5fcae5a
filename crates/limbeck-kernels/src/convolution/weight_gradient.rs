//! The gradients with respect to weight and bias.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Geometry, depthwise, depthwise_weight, element_weight,
    forward::{input_source, output_grid},
    patch_weight,
    source::{Source, images_per_vector},
    spread::{Spread, Trimmed},
    sums::{add_all, images_per_chunk},
    weight_plan::Plan,
    winograd,
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, Simd},
};

/// Copied input of a chunk that is worked through at once: about half of a core's second-level
/// cache, in numbers.
const SOURCE_NUMBERS: usize = 1 << 18;
/// Vectors of positions that are summed in registers before the sums are written: the gradients
/// of a tile's outputs then stay in the first-level cache, 32 KiB with sixteen lanes.
const STEPS: usize = 64;
/// Output channels of the tallest tile.
const TILE_OUTPUTS: usize = 8;

/// `x` `[B, C, H, W]`, `gradient` `[B, O, H', W']` of the output → `[O, C / groups, kh, kw]`.
pub(crate) fn weight_gradient(x: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    if let Some(trimmed) = Trimmed::of(geometry) {
        return trimmed.whole(&weight_gradient(x, gradient, &trimmed.geometry));
    }
    // With stride 2 the sums at the points would be too many to pay.
    if winograd::fits(geometry) && geometry.stride == [1, 1] {
        return winograd::weight_gradient(x, gradient, geometry);
    }
    if let Some(spread) = Spread::of(geometry) {
        let x = spread.apart(x, geometry.channels);
        let gradient = spread.apart(gradient, geometry.outputs);
        return winograd::weight_gradient(&x, &gradient, &spread.geometry);
    }
    if geometry.is_patchwise() && !geometry.is_depthwise() {
        return patch_weight::weight_gradient(x, gradient, geometry);
    }
    if element_weight::fits(geometry) {
        return element_weight::weight_gradient(x, gradient, geometry);
    }
    let [rows, columns] = output_grid(geometry);
    let chunk = images_per_chunk(geometry.batch);
    let images = if geometry.is_depthwise() {
        depthwise::images(geometry.output, geometry.batch)
    } else {
        images_per_vector(columns, chunk.min(geometry.batch))
    };
    let (source, taps) = input_source(geometry, images);
    let channels = geometry.group_channels();
    let weights: Vec<usize> = (0..channels)
        .flat_map(|c| {
            let start = c * source.channel_stride();
            taps.iter().map(move |tap| start + tap)
        })
        .collect();
    // Rows of the gradient are filled up with zeros to whole vectors.
    let row = (columns * images).next_multiple_of(simd::lanes());
    let gradient_source = Source {
        size: [rows, columns],
        stride: [1, 1],
        before: [0, 0],
        phases: vec![[0, 0]],
        rows,
        columns: row / images,
        images,
    };
    let plan = Plan {
        geometry,
        source,
        gradient_source,
        weights,
        x,
        gradient,
    };
    if geometry.is_depthwise() {
        return depthwise_weight::weight_gradient(&plan);
    }
    let per_output = plan.weights.len();
    let outputs = geometry.group_outputs();
    let chunks = geometry.batch.div_ceil(chunk);
    // Fewer chunks than threads: cut the outputs too, or if there are too few the channels, which
    // changes no sum.
    let tasks = rayon::current_num_threads().div_ceil(chunks);
    let parts = tasks.min(outputs.div_ceil(TILE_OUTPUTS));
    let part = outputs.div_ceil(parts).next_multiple_of(TILE_OUTPUTS);
    let channel_parts = match parts {
        1 => tasks.div_ceil(geometry.groups).min(channels),
        _ => 1,
    };
    let some_channels = channels.div_ceil(channel_parts);
    let per_channel = geometry.taps();
    // `[chunk, group, part of the channels, output, channel, element]`.
    let mut sums = vec![0.0; chunks * geometry.outputs * per_output];
    sums.par_chunks_mut(outputs * per_output)
        .enumerate()
        .flat_map(|(index, sums)| {
            let (chunk_index, group) = (index / geometry.groups, index % geometry.groups);
            let first_image = chunk_index * chunk;
            sums.par_chunks_mut(outputs * some_channels * per_channel)
                .enumerate()
                .flat_map(move |(index, sums)| {
                    let first_channel = index * some_channels;
                    let count = sums.len() / (outputs * per_channel);
                    sums.par_chunks_mut(part * count * per_channel)
                        .enumerate()
                        .map(move |(index, sums)| Unit {
                            images: first_image..(first_image + chunk).min(geometry.batch),
                            group,
                            channels: first_channel..first_channel + count,
                            first_output: index * part,
                            sums,
                        })
                })
        })
        .for_each(|unit| compute(&plan, unit));
    let (total, others) = sums.split_at_mut(geometry.outputs * per_output);
    add_all(total, others);
    sums.truncate(geometry.outputs * per_output);
    if channel_parts == 1 {
        return sums;
    }
    // `[group, output, channel, element]`.
    let groups = sums.chunks_exact(outputs * per_output);
    groups
        .flat_map(|group| (0..outputs).map(move |output| (group, output)))
        .flat_map(|(group, output)| {
            let parts = group.chunks(outputs * some_channels * per_channel);
            parts.flat_map(move |part| {
                let length = part.len() / outputs;
                &part[output * length..][..length]
            })
        })
        .copied()
        .collect()
}

/// [`weight_gradient`] of two convolutions of one input, where that is computed at once.
pub(crate) fn weight_gradients(
    x: &[f32],
    gradients: [&[f32]; 2],
    [geometry, beside]: [&Geometry; 2],
) -> Option<[Vec<f32>; 2]> {
    let alone = (winograd::fits(geometry) && geometry.stride == [1, 1])
        || Trimmed::of(geometry).is_some()
        || Spread::of(geometry).is_some();
    (!alone && !geometry.is_patchwise() && element_weight::fits_beside(geometry, beside))
        .then(|| element_weight::weight_gradients(x, gradients, geometry))
}

/// What one task computes: the sums of ranges of one group's outputs and channels over a chunk of
/// images.
struct Unit<'s> {
    images: Range<usize>,
    group: usize,
    channels: Range<usize>,
    first_output: usize,
    /// `[outputs, channels · kh · kw]`.
    sums: &'s mut [f32],
}

/// Copies the images of a unit, a few at a time, and sums their products.
fn compute(plan: &Plan<'_>, unit: Unit<'_>) {
    // Of as many channels, wherever they begin.
    let weights = &plan.weights[..unit.channels.len() * plan.geometry.taps()];
    let outputs = unit.sums.len() / weights.len();
    let source = plan.source.len(unit.channels.len());
    let map = plan.map();
    let interleaved = plan.source.images;
    let most = unit.images.len().div_ceil(interleaved);
    let parts = (SOURCE_NUMBERS / source).clamp(1, most);
    for first in unit.images.clone().step_by(parts * interleaved) {
        let end = (first + parts * interleaved).min(unit.images.end);
        let parts = (end - first).div_ceil(interleaved);
        let counts = [parts * source, outputs * parts * map, plan.room()];
        with_scratch(counts, |[x, dy, room]| {
            plan.clear(source, x, dy);
            for (part, x) in x.chunks_exact_mut(source).enumerate() {
                let start = first + part * interleaved;
                let images = start..(start + interleaved).min(end);
                plan.fill_channels(unit.group, unit.channels.clone(), images.clone(), x, room);
                let output = unit.group * plan.geometry.group_outputs() + unit.first_output;
                for (number, dy) in dy.chunks_exact_mut(parts * map).enumerate() {
                    let dy = &mut dy[part * map..(part + 1) * map];
                    plan.fill_gradient(output + number, images.clone(), dy, room);
                }
            }
            simd::dispatch(Work {
                weights,
                steps: &plan.steps(parts, source),
                sums: unit.sums,
                x,
                dy,
            });
        });
    }
}

/// Adds the products of the copied images to the sums `[outputs, channels · kh · kw]`.
struct Work<'a> {
    /// Offset in `x` of what each weight multiplies, relative to a step.
    weights: &'a [usize],
    /// Offset in `x` of each vector of positions.
    steps: &'a [usize],
    sums: &'a mut [f32],
    x: &'a [f32],
    /// `[output, step, lane]`.
    dy: &'a [f32],
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let per_output = self.weights.len();
        let outputs = self.sums.len() / per_output;
        let map = self.steps.len() * S::LANES;
        let reach = self.weights.iter().max().unwrap_or(&0)
            + self.steps.iter().max().unwrap_or(&0)
            + S::LANES;
        assert!(
            reach <= self.x.len() && outputs * map <= self.dy.len(),
            "a tile would read {reach} of {} and {} of {} numbers",
            self.x.len(),
            outputs * map,
            self.dy.len()
        );
        for (block, steps) in self.steps.chunks(STEPS).enumerate() {
            let block = block * STEPS * S::LANES;
            for first in (0..outputs).step_by(TILE_OUTPUTS) {
                let dy = &self.dy[first * map + block..];
                let count = TILE_OUTPUTS.min(outputs - first);
                let sums = &mut self.sums[first * per_output..][..count * per_output];
                // Of few outputs more weights fit the registers.
                // SAFETY: the check above covers every step of every weight and output.
                unsafe {
                    match (count, S::TILE_VECTORS) {
                        (1 | 2, 4) => tiles::<S, 2, 9>(self.weights, steps, self.x, dy, map, sums),
                        (1 | 2, _) => tiles::<S, 2, 4>(self.weights, steps, self.x, dy, map, sums),
                        (3 | 4, 4) => tiles::<S, 4, 5>(self.weights, steps, self.x, dy, map, sums),
                        _ => tiles::<S, 8, 3>(self.weights, steps, self.x, dy, map, sums),
                    }
                }
            }
        }
    }
}

/// Adds to `sums` `[outputs, weights]` of at most `O` outputs the products of all weights, `W` at a
/// time, and of `dy`, whose outputs are `map` numbers apart.
///
/// # Safety
/// As [`tile`], for every output and weight.
#[inline(always)]
unsafe fn tiles<S: Simd, const O: usize, const W: usize>(
    weights: &[usize],
    steps: &[usize],
    x: &[f32],
    dy: &[f32],
    map: usize,
    sums: &mut [f32],
) {
    let per_output = weights.len();
    let count = sums.len() / per_output;
    // Tiles at the edges repeat their last output and weight, and drop the copies.
    let mut gradients = [dy.as_ptr(); O];
    for (i, gradient) in gradients.iter_mut().enumerate() {
        *gradient = dy[i.min(count - 1) * map..].as_ptr();
    }
    for (index, weights) in weights.chunks(W).enumerate() {
        let mut inputs = [x.as_ptr(); W];
        for (i, input) in inputs.iter_mut().enumerate() {
            *input = x[weights[i.min(weights.len() - 1)]..].as_ptr();
        }
        // SAFETY: as this function's own.
        let tile = unsafe { tile::<S, O, W>(inputs, gradients, steps) };
        for (sums, tile) in sums.chunks_exact_mut(per_output).zip(&tile) {
            let sums = &mut sums[index * W..][..weights.len()];
            for (sum, value) in sums.iter_mut().zip(tile) {
                *sum += value;
            }
        }
    }
}

/// Sums `dy · x` over the steps: step `i` reads `dy` at its `i`-th vector and `x` at `steps[i]`.
///
/// # Safety
/// The processor must have the instruction set of `S`; `dy` must be valid for as many vectors as
/// there are steps and `x` for a vector at every step.
#[inline(always)]
unsafe fn tile<S: Simd, const O: usize, const W: usize>(
    x: [*const f32; W],
    dy: [*const f32; O],
    steps: &[usize],
) -> [[f32; W]; O] {
    // Loops instead of closures: those would not have the instruction set.
    // SAFETY: the caller vouches for all that is read.
    unsafe {
        let mut sums = [[S::splat(0.0); W]; O];
        let mut i = 0;
        for &step in steps {
            let mut inputs = [S::splat(0.0); W];
            for w in 0..W {
                inputs[w] = S::load(x[w].add(step));
            }
            for o in 0..O {
                let gradient = S::load(dy[o].add(i));
                for w in 0..W {
                    sums[o][w] = S::multiply_add(gradient, inputs[w], sums[o][w]);
                }
            }
            i += S::LANES;
        }
        let mut tile = [[0.0; W]; O];
        for o in 0..O {
            for w in 0..W {
                tile[o][w] = S::sum(sums[o][w]);
            }
        }
        tile
    }
}

/// `gradient` `[B, O, H', W']` of an output of `size` positions → `[O]`, each channel summed image by image.
pub(crate) fn bias_gradient(gradient: &[f32], outputs: usize, size: usize) -> Vec<f32> {
    (0..outputs)
        .into_par_iter()
        .map(|output| {
            let images = gradient.chunks_exact(outputs * size);
            images
                .map(|image| sum(&image[output * size..(output + 1) * size]))
                .sum()
        })
        .collect()
}

/// Sum in sixteen chains, so that it vectorises in a fixed order.
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    sums.iter().sum::<f32>() + rest
}
