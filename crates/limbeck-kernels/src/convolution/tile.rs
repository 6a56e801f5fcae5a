//! The innermost loop of a correlation.

use crate::simd::{MOST_LANES, Simd};

/// Most output channels of a tile.
pub(super) const TILE_OUTPUTS: usize = 6;
/// Most vectors of a tile in any instruction set.
pub(super) const MOST_VECTORS: usize = 4;

/// A finished tile, `[output, vector, lane]`.
pub(super) type Tile = [f32; TILE_OUTPUTS * MOST_VECTORS * MOST_LANES];

/// Room for one.
pub(super) const EMPTY_TILE: Tile = [0.0; TILE_OUTPUTS * MOST_VECTORS * MOST_LANES];

/// What a tile reads.
pub(super) struct Operands<'a> {
    pub source: *const f32,
    pub channels: usize,
    pub channel_stride: usize,
    pub taps: &'a [usize],
    pub weights: *const f32,
    pub bias: &'a [f32; TILE_OUTPUTS],
}

impl Operands<'_> {
    /// Computes `width` outputs (2, 4 or 6) at up to four vectors of positions, of which `offsets`
    /// are the places in the source.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; the source must reach as far as offsets,
    /// taps and channels do, and the weights must be `channels · taps · width`.
    #[inline(always)]
    pub unsafe fn multiply<S: Simd>(&self, offsets: &[usize], width: usize, tile: &mut Tile) {
        // SAFETY: as this function's own; the number of offsets is matched.
        unsafe {
            match (offsets.len(), width) {
                (1, 2) => self.tile::<S, 1, 2>(offsets, tile),
                (1, 4) => self.tile::<S, 1, 4>(offsets, tile),
                (1, _) => self.tile::<S, 1, 6>(offsets, tile),
                (2, 2) => self.tile::<S, 2, 2>(offsets, tile),
                (2, 4) => self.tile::<S, 2, 4>(offsets, tile),
                (2, _) => self.tile::<S, 2, 6>(offsets, tile),
                (3, 2) => self.tile::<S, 3, 2>(offsets, tile),
                (3, 4) => self.tile::<S, 3, 4>(offsets, tile),
                (3, _) => self.tile::<S, 3, 6>(offsets, tile),
                (_, 2) => self.tile::<S, 4, 2>(offsets, tile),
                (_, 4) => self.tile::<S, 4, 4>(offsets, tile),
                (_, _) => self.tile::<S, 4, 6>(offsets, tile),
            }
        }
    }

    /// Computes `O` outputs at `V` vectors of positions into `tile` `[O, V, lanes]`.
    ///
    /// # Safety
    /// As [`Operands::multiply`], with `V` offsets and a width of `O`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const V: usize, const O: usize>(
        &self,
        offsets: &[usize],
        tile: &mut Tile,
    ) {
        // SAFETY: every pointer stays inside what the caller vouches for.
        unsafe {
            // Loops instead of closures: those would not have the instruction set.
            let mut sums = [[S::splat(0.0); V]; O];
            for o in 0..O {
                sums[o] = [S::splat(self.bias[o]); V];
            }
            let mut sources = [self.source; V];
            for v in 0..V {
                sources[v] = self.source.add(offsets[v]);
            }
            let mut weights = self.weights;
            for _ in 0..self.channels {
                for &tap in self.taps {
                    let mut x = [S::splat(0.0); V];
                    for v in 0..V {
                        x[v] = S::load(sources[v].add(tap));
                    }
                    for o in 0..O {
                        let weight = S::splat(*weights.add(o));
                        for v in 0..V {
                            sums[o][v] = S::multiply_add(weight, x[v], sums[o][v]);
                        }
                    }
                    weights = weights.add(O);
                }
                for source in &mut sources {
                    *source = source.wrapping_add(self.channel_stride);
                }
            }
            for o in 0..O {
                for v in 0..V {
                    let to = tile.as_mut_ptr().add((o * V + v) * S::LANES);
                    S::store(to, sums[o][v]);
                }
            }
        }
    }
}
