//! Register tiles of the products of patches.

use crate::{
    convolution::{
        pack::Block,
        tile::{MOST_VECTORS, TILE_OUTPUTS},
    },
    simd::Simd,
};

/// A part of a product: `[depth, row]` in, `[output, row]` out, rows `pitch` numbers apart and filled
/// up to whole vectors.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub from: *const f32,
    pub depth: usize,
    pub pitch: usize,
    pub to: *mut f32,
}

impl Panel {
    /// Adds the products with `weights` `[depth, width]` of a block at `vectors` vectors from number
    /// `column` on to `start`, or, without it, to what the outputs hold.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; there must be at most
    /// [`Simd::TILE_VECTORS`] vectors, and panel and outputs must reach as far as depth, width and
    /// vectors do.
    #[inline(always)]
    pub unsafe fn multiply<S: Simd>(
        self,
        block: &Block,
        weights: &[f32],
        start: Option<&[f32; TILE_OUTPUTS]>,
        column: usize,
        vectors: usize,
    ) {
        assert!(self.depth * block.width <= weights.len());
        let weights = weights.as_ptr();
        // SAFETY: as this function's own; numbers are matched.
        unsafe {
            let panel = Self {
                from: self.from.add(column),
                to: self.to.add(column),
                ..self
            };
            match (vectors, block.width) {
                (1, 2) => panel.tile::<S, 1, 2>(weights, start),
                (1, 4) => panel.tile::<S, 1, 4>(weights, start),
                (1, _) => panel.tile::<S, 1, 6>(weights, start),
                (2, 2) => panel.tile::<S, 2, 2>(weights, start),
                (2, 4) => panel.tile::<S, 2, 4>(weights, start),
                (2, _) => panel.tile::<S, 2, 6>(weights, start),
                (3, 2) => panel.tile::<S, 3, 2>(weights, start),
                (3, 4) => panel.tile::<S, 3, 4>(weights, start),
                (3, _) => panel.tile::<S, 3, 6>(weights, start),
                (_, 2) => panel.tile::<S, 4, 2>(weights, start),
                (_, 4) => panel.tile::<S, 4, 4>(weights, start),
                (_, _) => panel.tile::<S, 4, 6>(weights, start),
            }
        }
    }

    /// # Safety
    /// As [`Panel::multiply`], with `V` vectors and a width of `O`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const V: usize, const O: usize>(
        self,
        mut weights: *const f32,
        start: Option<&[f32; TILE_OUTPUTS]>,
    ) {
        const { assert!(V <= MOST_VECTORS && O <= TILE_OUTPUTS) };
        // SAFETY: as this function's own.
        unsafe {
            // Loops instead of closures: those would not have the instruction set.
            let mut sums = [[S::splat(0.0); V]; O];
            for o in 0..O {
                for v in 0..V {
                    sums[o][v] = match start {
                        Some(start) => S::splat(start[o]),
                        None => S::load(self.to.add(o * self.pitch + v * S::LANES)),
                    };
                }
            }
            let mut from = self.from;
            for _ in 0..self.depth {
                let mut x = [S::splat(0.0); V];
                for v in 0..V {
                    x[v] = S::load(from.add(v * S::LANES));
                }
                for o in 0..O {
                    let weight = S::splat(*weights.add(o));
                    for v in 0..V {
                        sums[o][v] = S::multiply_add(weight, x[v], sums[o][v]);
                    }
                }
                from = from.wrapping_add(self.pitch);
                weights = weights.add(O);
            }
            for o in 0..O {
                for v in 0..V {
                    S::store(self.to.add(o * self.pitch + v * S::LANES), sums[o][v]);
                }
            }
        }
    }
}
