//! The weight gradient of 1×1 kernels: a product of the output's gradient and the input's maps,
//! summed over their positions.
//!
//! Some positions of the input at a time are turned so that the channels lie side by side; a tile
//! then holds the weights of six outputs and four vectors of channels in registers, and adds one
//! position after the other. The gradient is read where it lies.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Geometry,
    lanes::transpose,
    tile::{MOST_VECTORS, TILE_OUTPUTS},
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd},
};

/// Positions that are summed in one chain at least, whole images taken; there are at most
/// [`MOST_CHUNKS`] chains. Fixed, so that the sum does not depend on the number of threads.
const CHAIN: usize = 512;
const MOST_CHUNKS: usize = 8;
/// Positions that are turned at once: with four vectors of sixteen channels 64 KiB.
const POSITIONS: usize = 256;

/// `x` `[B, C, H, W]`, `gradient` `[B, O, H, W]` of the output → `[O, C / groups, 1, 1]`.
pub(super) fn weight_gradient(x: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    let lanes = simd::lanes();
    let batch = geometry.batch;
    let outputs = geometry.group_outputs();
    let channels = geometry.group_channels();
    let chunk = CHAIN
        .div_ceil(geometry.input_size())
        .max(batch.div_ceil(MOST_CHUNKS));
    let chunks = batch.div_ceil(chunk);
    let vectors = channels.div_ceil(lanes);
    // Fewer chains than threads: cut the channels, which changes no sum.
    let parts = rayon::current_num_threads()
        .div_ceil(chunks * geometry.groups)
        .min(vectors);
    let part = vectors.div_ceil(parts) * lanes;
    let row = vectors * lanes;
    // `[chunk, group, part, output, channel]`, rows of channels filled up to whole vectors.
    let mut sums = vec![0.0; chunks * geometry.outputs * row];
    sums.par_chunks_mut(outputs * row)
        .enumerate()
        .flat_map(|(index, sums)| {
            let first_image = index / geometry.groups * chunk;
            sums.par_chunks_mut(outputs * part)
                .enumerate()
                .map(move |(number, sums)| Unit {
                    geometry,
                    x,
                    gradient,
                    images: first_image..(first_image + chunk).min(batch),
                    group: index % geometry.groups,
                    first_channel: number * part,
                    sums,
                })
        })
        .for_each(Unit::compute);
    let mut total = vec![0.0; geometry.outputs * channels];
    total
        .par_chunks_mut(channels)
        .enumerate()
        .for_each(|(output, total)| {
            let (group, output) = (output / outputs, output % outputs);
            for chunk in sums.chunks_exact(geometry.outputs * row) {
                let of_group = &chunk[group * outputs * row..][..outputs * row];
                let parts = of_group.chunks(outputs * part);
                for (total, sums) in total.chunks_mut(part).zip(parts) {
                    let width = sums.len() / outputs;
                    for (total, sum) in total.iter_mut().zip(&sums[output * width..]) {
                        *total += sum;
                    }
                }
            }
        });
    total
}

/// What one task computes: the sums of a range of one group's channels over a chunk of images.
struct Unit<'a> {
    geometry: &'a Geometry,
    x: &'a [f32],
    gradient: &'a [f32],
    images: Range<usize>,
    group: usize,
    /// In the group.
    first_channel: usize,
    /// `[output, channel]`, the channels filled up to whole vectors.
    sums: &'a mut [f32],
}

impl Unit<'_> {
    fn compute(self) {
        let panel = POSITIONS * MOST_VECTORS * MOST_LANES;
        with_scratch([panel, 0, 0], |[panel, _, _]| {
            let size = self.geometry.input_size();
            let mut unit = self;
            let pieces = size.div_ceil(POSITIONS);
            let piece = size.div_ceil(pieces);
            let images = (POSITIONS / size).max(1);
            for first in unit.images.clone().step_by(images) {
                let images = first..(first + images).min(unit.images.end);
                for start in (0..size).step_by(piece) {
                    simd::dispatch(Work {
                        unit: &mut unit,
                        images: images.clone(),
                        positions: start..(start + piece).min(size),
                        panel,
                    });
                }
            }
        });
    }

    /// One map of the unit's group in the input.
    fn input(&self, image: usize, channel: usize) -> &[f32] {
        let size = self.geometry.input_size();
        let first = self.group * self.geometry.group_channels();
        &self.x[(image * self.geometry.channels + first + channel) * size..][..size]
    }
}

/// Adds the products of some positions of some images to a unit's sums.
struct Work<'u, 'a> {
    unit: &'u mut Unit<'a>,
    images: Range<usize>,
    positions: Range<usize>,
    /// Room for a vector of four vectors of channels at every position.
    panel: &'u mut [f32],
}

impl Kernel for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let outputs = self.unit.geometry.group_outputs();
        let vectors = self.unit.sums.len() / outputs / S::LANES;
        let panels = vectors.div_ceil(S::TILE_VECTORS);
        let per_panel = vectors.div_ceil(panels);
        for first in (0..vectors).step_by(per_panel) {
            let count = per_panel.min(vectors - first);
            // SAFETY: as this function's own; there are at most `TILE_VECTORS` in a panel.
            unsafe {
                for vector in 0..count {
                    self.turn::<S>(first + vector, vector, count);
                }
                for output in (0..outputs).step_by(TILE_OUTPUTS) {
                    match count {
                        1 => self.tile::<S, 1>(output, first, vectors),
                        2 => self.tile::<S, 2>(output, first, vectors),
                        3 => self.tile::<S, 3>(output, first, vectors),
                        _ => self.tile::<S, 4>(output, first, vectors),
                    }
                }
            }
        }
    }
}

impl Work<'_, '_> {
    /// Copies a vector of channels of every position to the panel `[image, position, vector,
    /// channel]`; channels that are not there are zero.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn turn<S: Simd>(&mut self, vector: usize, at: usize, vectors: usize) {
        let first = self.unit.first_channel + vector * S::LANES;
        let channels = S::LANES.min(self.unit.geometry.group_channels() - first);
        let length = self.positions.len();
        for (index, image) in self.images.clone().enumerate() {
            let to = &mut self.panel[index * length * vectors * S::LANES..];
            let to = &mut to[..length * vectors * S::LANES];
            let mut maps = [&[] as &[f32]; MOST_LANES];
            for (channel, map) in maps.iter_mut().enumerate().take(channels) {
                *map = &self.unit.input(image, first + channel)[self.positions.clone()];
            }
            if length < S::LANES {
                for (position, to) in to.chunks_exact_mut(vectors * S::LANES).enumerate() {
                    for lane in 0..S::LANES {
                        to[at * S::LANES + lane] = maps[lane].get(position).copied().unwrap_or(0.0);
                    }
                }
                continue;
            }
            for start in (0..length).step_by(S::LANES) {
                // The last block ends with the map.
                let start = start.min(length - S::LANES);
                // SAFETY: as this function's own; a block of positions lies inside of the maps, and
                // the slices are one vector long.
                unsafe {
                    let mut block = [S::splat(0.0); MOST_LANES];
                    if channels == S::LANES {
                        for lane in 0..S::LANES {
                            block[lane] = S::load(maps[lane].as_ptr().add(start));
                        }
                    } else {
                        for lane in 0..channels {
                            block[lane] = S::load(maps[lane].as_ptr().add(start));
                        }
                    }
                    transpose::<S>(&mut block);
                    for lane in 0..S::LANES {
                        let to = &mut to[((start + lane) * vectors + at) * S::LANES..][..S::LANES];
                        S::store(to.as_mut_ptr(), block[lane]);
                    }
                }
            }
        }
    }

    /// Adds the panel's products with the gradient of the outputs from `output` on to their sums
    /// of the vectors from `first` on, of `vectors` in all.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; the panel must have `V` vectors.
    #[inline(always)]
    unsafe fn tile<S: Simd, const V: usize>(
        &mut self,
        output: usize,
        first: usize,
        vectors: usize,
    ) {
        let geometry = self.unit.geometry;
        let size = geometry.input_size();
        let outputs = geometry.group_outputs();
        let count = TILE_OUTPUTS.min(outputs - output);
        let length = self.positions.len();
        let panel = &self.panel[..self.images.len() * length * V * S::LANES];
        let images = panel.chunks_exact(length * V * S::LANES);
        let row = vectors * S::LANES;
        let sums = &mut self.unit.sums[output * row..(output + count) * row];
        // SAFETY: as this function's own; a panel holds `V` vectors at every position, a row of
        // sums all vectors, and an image of the gradient the positions of every output.
        unsafe {
            // Loops instead of closures: those would not have the instruction set.
            let mut tile = [[S::splat(0.0); V]; TILE_OUTPUTS];
            // Rows behind the last output repeat it, and are dropped.
            let mut rows = [0; TILE_OUTPUTS];
            for o in 0..TILE_OUTPUTS {
                rows[o] = o.min(count - 1) * size;
                for v in 0..V {
                    let at = o.min(count - 1) * row + (first + v) * S::LANES;
                    tile[o][v] = S::load(sums[at..][..S::LANES].as_ptr());
                }
            }
            for (image, panel) in self.images.clone().zip(images) {
                let map = (image * geometry.groups + self.unit.group) * outputs + output;
                let gradient = &self.unit.gradient[map * size..(map + count) * size];
                let mut gradient = gradient[self.positions.start..].as_ptr();
                for position in panel.chunks_exact(V * S::LANES) {
                    let mut x = [S::splat(0.0); V];
                    for v in 0..V {
                        x[v] = S::load(position.as_ptr().add(v * S::LANES));
                    }
                    for o in 0..TILE_OUTPUTS {
                        let gradient = S::splat(*gradient.add(rows[o]));
                        for v in 0..V {
                            tile[o][v] = S::multiply_add(gradient, x[v], tile[o][v]);
                        }
                    }
                    gradient = gradient.add(1);
                }
            }
            for o in 0..count {
                for v in 0..V {
                    let at = o * row + (first + v) * S::LANES;
                    S::store(sums[at..][..S::LANES].as_mut_ptr(), tile[o][v]);
                }
            }
        }
    }
}
