//! Correlation with stride 1 over a [`Source`]: the common part of the forward pass and the input
//! gradient.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Finish,
    grid::{OutputPhase, OutputVector},
    pack::{Block, Packed, Weights},
    source::Source,
    tile::{EMPTY_TILE, MOST_VECTORS, Operands, TILE_OUTPUTS, Tile},
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, Simd},
};

/// What is computed for every image; channels are those of one group.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub source: Source,
    pub phases: Vec<OutputPhase>,
    pub batch: usize,
    pub groups: usize,
    /// Channels of the source in one group.
    pub channels: usize,
    /// Output channels in one group.
    pub outputs: usize,
    /// `[H', W']` of the output maps.
    pub size: [usize; 2],
}

impl Plan {
    /// Correlates `x` `[batch, groups · channels, H, W]` with the weights and finishes the outputs;
    /// returns `[batch, groups · outputs, H', W']`.
    pub fn run(&self, x: &[f32], weights: &Weights<'_>, finish: Finish<'_>) -> Vec<f32> {
        let packed = weights.pack(self.groups, self.outputs, self.channels);
        let vectors: Vec<Vec<OutputVector>> = self
            .phases
            .iter()
            .map(|p| p.vectors(&self.source, self.size[1]))
            .collect();
        let count = self.batch * self.groups * self.outputs * self.size[0] * self.size[1];
        let mut y = Vec::with_capacity(count);
        let work = self.divide(&packed, &mut y.spare_capacity_mut()[..count]);
        work.into_par_iter().for_each(|mut unit| {
            self.compute(x, &packed[unit.group], &vectors, finish, &mut unit);
        });
        // SAFETY: the units cover every image, group and output channel once, the phases cover
        // every position of a map once, and a tile writes all of its valid positions; phases
        // without tiles are filled before.
        unsafe { y.set_len(count) };
        y
    }

    /// Cuts the output into what one task computes: the interleaved images, one group, and, where
    /// there are fewer of those than threads, a share of the group's outputs.
    fn divide<'y>(&self, packed: &[Vec<Packed>], y: &'y mut [MaybeUninit<f32>]) -> Vec<Share<'y>> {
        let images = self.source.images;
        let map = self.size[0] * self.size[1];
        let units = self.batch.div_ceil(images) * self.groups;
        let threads = rayon::current_num_threads();
        let parts = if units < threads {
            threads.div_ceil(units)
        } else {
            1
        };
        // All phases have the same blocks: they differ in their taps alone.
        let blocks = &packed[0][0].blocks;
        let per_part = blocks.len().div_ceil(parts);
        let mut shares = Vec::new();
        let mut rest = y;
        for first_image in (0..self.batch).step_by(images) {
            let count = images.min(self.batch - first_image);
            let first_share = shares.len();
            for image in 0..count {
                let mut index = first_share;
                for group in 0..self.groups {
                    for (number, part) in blocks.chunks(per_part).enumerate() {
                        let outputs: usize = part.iter().map(|b| b.count).sum();
                        let (maps, behind) = std::mem::take(&mut rest).split_at_mut(outputs * map);
                        rest = behind;
                        if image == 0 {
                            shares.push(Share {
                                first_image,
                                group,
                                first_block: number * per_part,
                                blocks: part.len(),
                                maps: Vec::with_capacity(count),
                            });
                        }
                        shares[index].maps.push(maps);
                        index += 1;
                    }
                }
            }
        }
        shares
    }
}

/// The part of the output that one task computes.
struct Share<'y> {
    first_image: usize,
    group: usize,
    first_block: usize,
    blocks: usize,
    /// For each image the maps of the blocks' outputs.
    maps: Vec<&'y mut [MaybeUninit<f32>]>,
}

impl Plan {
    /// Computes one share. `vectors` and `packed` are those of each phase.
    fn compute(
        &self,
        x: &[f32],
        packed: &[Packed],
        vectors: &[Vec<OutputVector>],
        finish: Finish<'_>,
        share: &mut Share<'_>,
    ) {
        if self.phases.iter().any(|phase| phase.taps.is_empty()) {
            // Outputs that read nothing, such as most of the input gradient of a strided 1×1.
            for map in &mut share.maps {
                map.fill(MaybeUninit::new(0.0));
            }
        }
        let plane = self.source.size[0] * self.source.size[1];
        let channels = self.channels * plane;
        let maps: Vec<&[f32]> = (0..share.maps.len())
            .map(|i| {
                let start = ((share.first_image + i) * self.groups + share.group) * channels;
                &x[start..start + channels]
            })
            .collect();
        let unit = Unit {
            plan: self,
            packed,
            vectors,
            bias: finish.bias,
            share,
            tile: EMPTY_TILE,
        };
        // The maps themselves serve where no vector reaches past the end of the last one.
        if self.source.is_identity() && self.phases.iter().all(|p| self.reach(p) <= channels) {
            simd::dispatch(Work {
                unit,
                source: maps[0],
            });
        } else {
            let counts = [self.source.len(self.channels), 0, self.source.room()];
            with_scratch(counts, |[source, _, room]| {
                self.source.clear(source);
                self.source.copy(&maps, source, room);
                simd::dispatch(Work { unit, source });
            });
        }
        let map = self.size[0] * self.size[1];
        let first_output = packed[0].blocks[share.first_block].first;
        for (image, maps) in (share.first_image..).zip(&mut share.maps) {
            let output = (image * self.groups + share.group) * self.outputs + first_output;
            // SAFETY: the tiles have written all positions of the share's maps.
            unsafe { finish.apply(maps, output * map) };
        }
    }

    /// How many numbers of a source the tiles of a phase read.
    fn reach(&self, phase: &OutputPhase) -> usize {
        if phase.taps.is_empty() {
            return 0;
        }
        phase.reach(&self.source) + (self.channels - 1) * self.source.channel_stride()
    }
}

struct Unit<'a, 'y> {
    plan: &'a Plan,
    packed: &'a [Packed],
    vectors: &'a [Vec<OutputVector>],
    bias: Option<&'a [f32]>,
    share: &'a mut Share<'y>,
    tile: Tile,
}

struct Work<'a, 'y> {
    unit: Unit<'a, 'y>,
    source: &'a [f32],
}

impl Kernel for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { mut unit, source } = self;
        let plan = unit.plan;
        for (index, phase) in plan.phases.iter().enumerate() {
            if phase.taps.is_empty() {
                continue;
            }
            let packed = &unit.packed[index];
            let vectors = &unit.vectors[index];
            let reach = plan.reach(phase);
            assert!(
                reach <= source.len(),
                "a tile would read {reach} of {} numbers",
                source.len()
            );
            let blocks = &packed.blocks[unit.share.first_block..][..unit.share.blocks];
            let tiles = vectors.len().div_ceil(S::TILE_VECTORS);
            let per_tile = vectors.len().div_ceil(tiles.max(1)).max(1);
            // The larger operand is gone through once, the smaller one again and again.
            let outer_blocks = if packed.data.len() > source.len() {
                1
            } else {
                blocks.len().max(1)
            };
            for blocks in blocks.chunks(outer_blocks) {
                for vectors in vectors.chunks(per_tile) {
                    for block in blocks {
                        // SAFETY: `reach` was checked above.
                        unsafe { unit.tile::<S>(source, phase, packed, vectors, block) };
                    }
                }
            }
        }
    }
}

impl Unit<'_, '_> {
    /// Computes one tile and writes its valid positions.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; the source must reach as far as the
    /// vectors, taps and channels do.
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &mut self,
        source: &[f32],
        phase: &OutputPhase,
        packed: &Packed,
        vectors: &[OutputVector],
        block: &Block,
    ) {
        let mut bias = [0.0; TILE_OUTPUTS];
        if let Some(all) = self.bias {
            let first = self.share.group * self.plan.outputs + block.first;
            bias[..block.count].copy_from_slice(&all[first..first + block.count]);
        }
        let operands = Operands {
            source: source.as_ptr(),
            channels: self.plan.channels,
            channel_stride: self.plan.source.channel_stride(),
            taps: &phase.taps,
            weights: packed.data[block.offset..].as_ptr(),
            bias: &bias,
        };
        let mut offsets = [0; MOST_VECTORS];
        for (offset, vector) in offsets.iter_mut().zip(vectors) {
            *offset = vector.offset;
        }
        // SAFETY: as this function's own; the packed weights of a block are as long as needed.
        unsafe {
            operands.multiply::<S>(&offsets[..vectors.len()], block.width, &mut self.tile);
        }
        let first = block.first - self.packed[0].blocks[self.share.first_block].first;
        let (images, map) = (
            self.plan.source.images,
            self.plan.size[0] * self.plan.size[1],
        );
        let tile = self.tile.chunks_exact(vectors.len() * S::LANES);
        for (output, results) in tile.take(block.count).enumerate() {
            let start = (first + output) * map;
            for (vector, values) in vectors.iter().zip(results.chunks_exact(S::LANES)) {
                // SAFETY: as this function's own; `values` is one vector long.
                unsafe {
                    let values = S::load(values.as_ptr());
                    phase.store::<S>(
                        vector,
                        values,
                        images,
                        &mut self.share.maps,
                        start..start + map,
                    );
                }
            }
        }
    }
}
