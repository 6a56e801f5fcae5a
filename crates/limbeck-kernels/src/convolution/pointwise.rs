//! Correlation with 1×1 kernels: a product of weights and maps, without a copy of the maps.
//!
//! The positions of neighbouring images are one long row of vectors. A map's last vector begins so
//! early that it ends with the map, and computes some outputs twice. Maps that are smaller than a
//! vector are brought into lanes, one image to each, and taken out again.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Finish,
    lanes::{IntoLanes, OutOfLanes},
    pack::{Block, Packed, Weights},
    tile::{MOST_VECTORS, TILE_OUTPUTS},
};
use crate::{
    Activation,
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd},
};

/// Positions that one task computes, or more where one image has more.
const POSITIONS: usize = 256;

/// What is multiplied; channels are those of one group.
pub(super) struct Product {
    pub batch: usize,
    pub groups: usize,
    /// Channels of the input in one group.
    pub channels: usize,
    /// Output channels in one group.
    pub outputs: usize,
    /// Positions of a map.
    pub size: usize,
}

impl Product {
    /// Multiplies `x` `[batch, groups · channels, size]` with the weights and finishes the outputs;
    /// returns `[batch, groups · outputs, size]`.
    pub fn run(&self, x: &[f32], weights: &Weights<'_>, finish: Finish<'_>) -> Vec<f32> {
        let packed: Vec<Packed> = weights
            .pack(self.groups, self.outputs, self.channels)
            .into_iter()
            .flatten()
            .collect();
        let count = self.batch * self.groups * self.outputs * self.size;
        let mut y = Vec::with_capacity(count);
        let shares = self.divide(&packed, &mut y.spare_capacity_mut()[..count]);
        shares.into_par_iter().for_each(|share| {
            if self.in_lanes() {
                self.compute_in_lanes(x, finish, share);
            } else {
                self.compute(x, finish, share);
            }
        });
        // SAFETY: the shares cover every image, group and output channel once, and the vectors of
        // a share every position.
        unsafe { y.set_len(count) };
        y
    }

    /// Whether maps are smaller than a vector.
    fn in_lanes(&self) -> bool {
        self.size < simd::lanes()
    }

    /// Cuts the output into what one task computes: some images, one group, and, where there are
    /// fewer of those than threads, a share of the group's outputs.
    fn divide<'a>(&self, packed: &'a [Packed], y: &'a mut [MaybeUninit<f32>]) -> Vec<Share<'a>> {
        let images = if self.in_lanes() {
            simd::lanes()
        } else {
            POSITIONS.div_ceil(self.size)
        };
        let units = self.batch.div_ceil(images) * self.groups;
        let parts = rayon::current_num_threads().div_ceil(units);
        let mut rest = y;
        let mut shares: Vec<Share<'a>> = Vec::new();
        for image in 0..self.batch {
            let mut index = shares.len();
            if !image.is_multiple_of(images) {
                index -= self.parts(packed, parts).count();
            }
            for (group, packed, blocks) in self.parts(packed, parts) {
                let outputs: usize = blocks.iter().map(|block| block.count).sum();
                let (maps, behind) = rest.split_at_mut(outputs * self.size);
                rest = behind;
                if index == shares.len() {
                    shares.push(Share {
                        first_image: image,
                        group,
                        packed,
                        blocks,
                        maps: Vec::with_capacity(images),
                    });
                }
                shares[index].maps.push(maps);
                index += 1;
            }
        }
        shares
    }

    /// Group, weights and blocks of each part of an image's outputs.
    fn parts<'a>(
        &self,
        packed: &'a [Packed],
        parts: usize,
    ) -> impl Iterator<Item = (usize, &'a Packed, &'a [Block])> {
        packed.iter().enumerate().flat_map(move |(group, packed)| {
            let blocks = packed.blocks.chunks(packed.blocks.len().div_ceil(parts));
            blocks.map(move |blocks| (group, packed, blocks))
        })
    }

    /// The channels of one image that a share reads.
    fn input<'x>(&self, x: &'x [f32], share: &Share<'_>, index: usize) -> &'x [f32] {
        let length = self.channels * self.size;
        &x[((share.first_image + index) * self.groups + share.group) * length..][..length]
    }

    fn compute(&self, x: &[f32], finish: Finish<'_>, mut share: Share<'_>) {
        let lanes = simd::lanes();
        let residual = self.residual(finish, &share);
        let mut vectors = Vec::new();
        for index in 0..share.maps.len() {
            let from = self.input(x, &share, index);
            let to = &mut share.maps[index];
            for start in (0..self.size).step_by(lanes) {
                let start = start.min(self.size - lanes);
                vectors.push(Vector {
                    from: from[start..].as_ptr(),
                    to: to[start..].as_mut_ptr().cast(),
                    residual: residual
                        .get(index)
                        .map(|residual| residual[start..].as_ptr()),
                });
            }
        }
        simd::dispatch(Work {
            product: self,
            share: &share,
            bias: finish.bias,
            activation: finish.activation,
            vectors: &vectors,
            channel_stride: self.size,
            output_stride: self.size,
        });
    }

    /// Of each image what is added to the share's outputs.
    fn residual<'r>(&self, finish: Finish<'r>, share: &Share<'_>) -> Vec<&'r [f32]> {
        let length = share.maps[0].len();
        finish.residual_of(share.maps.len(), |index| {
            let group = (share.first_image + index) * self.groups + share.group;
            let start = (group * self.outputs + share.blocks[0].first) * self.size;
            start..start + length
        })
    }

    fn compute_in_lanes(&self, x: &[f32], finish: Finish<'_>, mut share: Share<'_>) {
        let lanes = simd::lanes();
        let inputs: Vec<&[f32]> = (0..share.maps.len())
            .map(|index| self.input(x, &share, index))
            .collect();
        let outputs = share.maps[0].len();
        let counts = [
            self.channels * self.size * lanes,
            outputs.next_multiple_of(lanes) * lanes,
            0,
        ];
        with_scratch(counts, |[source, output, _]| {
            let offsets: Vec<usize> = (0..source.len()).step_by(lanes).collect();
            simd::dispatch(IntoLanes {
                maps: &inputs,
                offsets: &offsets,
                to: source,
            });
            let vectors: Vec<Vector> = (0..self.size)
                .map(|position| Vector {
                    from: source[position * lanes..].as_ptr(),
                    to: output[position * lanes..].as_mut_ptr(),
                    residual: None,
                })
                .collect();
            simd::dispatch(Work {
                product: self,
                share: &share,
                bias: finish.bias,
                activation: Activation::Identity,
                vectors: &vectors,
                channel_stride: self.size * lanes,
                output_stride: self.size * lanes,
            });
            let residual = self.residual(finish, &share);
            simd::dispatch(OutOfLanes {
                from: output,
                maps: &mut share.maps,
                start: 0,
                count: outputs,
                residual: &residual,
                activation: finish.activation,
            });
        });
    }
}

/// The part of the output that one task computes.
struct Share<'a> {
    first_image: usize,
    group: usize,
    packed: &'a Packed,
    /// Neighbouring blocks of the group's outputs.
    blocks: &'a [Block],
    /// For each image the maps of the blocks' outputs.
    maps: Vec<&'a mut [MaybeUninit<f32>]>,
}

/// A vector of positions: where it lies in the first channel, in the share's first output, and in
/// what is added to that.
struct Vector {
    from: *const f32,
    to: *mut f32,
    residual: Option<*const f32>,
}

/// The product of one share. The vectors are valid in every channel and output of it.
struct Work<'a> {
    product: &'a Product,
    share: &'a Share<'a>,
    bias: Option<&'a [f32]>,
    activation: Activation,
    vectors: &'a [Vector],
    /// Distance between channels and between outputs.
    channel_stride: usize,
    output_stride: usize,
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let blocks = self.share.blocks;
        let tiles = self.vectors.len().div_ceil(S::TILE_VECTORS);
        let per_tile = self.vectors.len().div_ceil(tiles);
        for vectors in self.vectors.chunks(per_tile) {
            for block in blocks {
                // SAFETY: as this function's own; whoever makes the vectors vouches for them.
                unsafe {
                    match (vectors.len(), block.width) {
                        (1, 2) => self.tile::<S, 1, 2>(vectors, block),
                        (1, 4) => self.tile::<S, 1, 4>(vectors, block),
                        (1, _) => self.tile::<S, 1, 6>(vectors, block),
                        (2, 2) => self.tile::<S, 2, 2>(vectors, block),
                        (2, 4) => self.tile::<S, 2, 4>(vectors, block),
                        (2, _) => self.tile::<S, 2, 6>(vectors, block),
                        (3, 2) => self.tile::<S, 3, 2>(vectors, block),
                        (3, 4) => self.tile::<S, 3, 4>(vectors, block),
                        (3, _) => self.tile::<S, 3, 6>(vectors, block),
                        (_, 2) => self.tile::<S, 4, 2>(vectors, block),
                        (_, 4) => self.tile::<S, 4, 4>(vectors, block),
                        (_, _) => self.tile::<S, 4, 6>(vectors, block),
                    }
                }
            }
        }
    }
}

impl Work<'_> {
    /// Computes the outputs of a block, of width `O`, at `V` vectors.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, there must be `V` vectors, and they must
    /// be valid in every channel and output.
    #[inline(always)]
    unsafe fn tile<S: Simd, const V: usize, const O: usize>(
        &self,
        vectors: &[Vector],
        block: &Block,
    ) {
        const { assert!(V <= MOST_VECTORS && O <= TILE_OUTPUTS && MOST_LANES >= S::LANES) };
        let mut bias = [0.0; TILE_OUTPUTS];
        if let Some(all) = self.bias {
            let first = self.share.group * self.product.outputs + block.first;
            bias[..block.count].copy_from_slice(&all[first..first + block.count]);
        }
        let weights = &self.share.packed.data[block.offset..][..self.product.channels * O];
        let first = (block.first - self.share.blocks[0].first) * self.output_stride;
        // SAFETY: as this function's own.
        unsafe {
            // Loops instead of closures: those would not have the instruction set.
            let mut sums = [[S::splat(0.0); V]; O];
            for o in 0..O {
                sums[o] = [S::splat(bias[o]); V];
            }
            let mut sources = [vectors[0].from; V];
            for v in 0..V {
                sources[v] = vectors[v].from;
            }
            for weights in weights.chunks_exact(O) {
                let mut x = [S::splat(0.0); V];
                for v in 0..V {
                    x[v] = S::load(sources[v]);
                    sources[v] = sources[v].wrapping_add(self.channel_stride);
                }
                for o in 0..O {
                    let weight = S::splat(weights[o]);
                    for v in 0..V {
                        sums[o][v] = S::multiply_add(weight, x[v], sums[o][v]);
                    }
                }
            }
            for o in 0..O {
                if o < block.count {
                    let at = first + o * self.output_stride;
                    for v in 0..V {
                        let mut sum = sums[o][v];
                        if let Some(residual) = vectors[v].residual {
                            sum = S::add(sum, S::load(residual.add(at)));
                        }
                        S::store(vectors[v].to.add(at), self.activation.of::<S>(sum));
                    }
                }
            }
        }
    }
}
