//! Maps of several images, taken together number by number.

use crate::simd::{Kernel, Simd};

/// Interleaves one map of several images, `[position, image]`; missing images are zero.
pub(super) struct Interleave<'a> {
    pub maps: &'a [&'a [f32]],
    /// Where the map begins in each image.
    pub start: usize,
    /// Positions of the map.
    pub plane: usize,
    /// 2, 4, 8 or 16, and at most the number of lanes.
    pub images: usize,
    /// Room for whole vectors of each image.
    pub to: &'a mut [f32],
}

impl Kernel for Interleave<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        assert!(self.images <= S::LANES && self.maps.len() <= self.images);
        // SAFETY: as this function's own.
        unsafe {
            match self.images {
                2 => self.images::<S, 2>(),
                4 => self.images::<S, 4>(),
                8 => self.images::<S, 8>(),
                _ => self.images::<S, 16>(),
            }
        }
    }
}

impl Interleave<'_> {
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn images<S: Simd, const I: usize>(self) {
        let blocks = self.to.chunks_exact_mut(I * S::LANES);
        for (at, to) in (0..self.plane).step_by(S::LANES).zip(blocks) {
            // SAFETY: as this function's own; a block has room for a vector of each image.
            unsafe {
                let mut vectors = [S::splat(0.0); I];
                for (vector, map) in vectors.iter_mut().zip(self.maps) {
                    *vector = S::load_part(&map[self.start..self.start + self.plane], at);
                }
                // The first half of the sequences is interleaved with the second, until there is
                // one sequence left.
                let mut sequences = I;
                while sequences > 1 {
                    let half = vectors;
                    for i in 0..I / 2 {
                        let [low, high] = S::interleave(half[i], half[i + I / 2]);
                        vectors[2 * i] = low;
                        vectors[2 * i + 1] = high;
                    }
                    sequences /= 2;
                }
                for i in 0..I {
                    S::store(to.as_mut_ptr().add(i * S::LANES), vectors[i]);
                }
            }
        }
    }
}
