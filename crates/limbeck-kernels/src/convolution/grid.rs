//! The positions of an output map, a vector at a time.

use std::{mem::MaybeUninit, ops::Range};

use super::source::Source;
use crate::simd::{self, MOST_LANES, Simd};

/// A grid of outputs that read the same kernel elements.
#[derive(Clone, Debug)]
pub(super) struct OutputPhase {
    pub rows: usize,
    pub columns: usize,
    /// Offset in a channel of the source that output (0, 0) reads with a kernel element at 0.
    pub base: usize,
    /// Offset that each kernel element adds to that.
    pub taps: Vec<usize>,
    /// Row and column of output (0, 0) in the output map.
    pub first: [usize; 2],
    /// Distance between neighbouring outputs in the output map.
    pub step: [usize; 2],
}

/// One vector of outputs of a phase.
#[derive(Clone, Copy)]
pub(super) struct OutputVector {
    /// Offset in a channel of the source.
    pub offset: usize,
    /// Where the map holds the first output.
    pub position: usize,
    /// Position in the row of interleaved outputs.
    pub start: usize,
}

impl OutputPhase {
    /// All vectors of the phase in maps of so many columns; each begins with the first of the
    /// interleaved images.
    pub fn vectors(&self, source: &Source, columns: usize) -> Vec<OutputVector> {
        (0..self.rows)
            .flat_map(|row| {
                let offset = self.base + source.offset(0, row, 0);
                let position = (self.first[0] + row * self.step[0]) * columns + self.first[1];
                (0..self.columns * source.images)
                    .step_by(simd::lanes())
                    .map(move |start| OutputVector {
                        offset: offset + start,
                        position: position + start / source.images * self.step[1],
                        start,
                    })
            })
            .collect()
    }

    /// Numbers of a channel of the source that vectors read, whole vectors counted.
    pub fn reach(&self, source: &Source) -> usize {
        let last = self.columns * source.images - 1;
        self.base
            + source.offset(0, self.rows - 1, 0)
            + last / simd::lanes() * simd::lanes()
            + self.taps.iter().max().unwrap_or(&0)
            + simd::lanes()
    }

    /// Writes the valid lanes of `values` to the map at `place` of each of the interleaved images.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub unsafe fn store<S: Simd>(
        &self,
        vector: &OutputVector,
        values: S::Vector,
        images: usize,
        maps: &mut [&mut [MaybeUninit<f32>]],
        place: Range<usize>,
    ) {
        if images == 1 {
            let to = &mut maps[0][place];
            // SAFETY: as this function's own.
            unsafe { self.store_together::<S>(vector, values, images, to) };
            return;
        }
        let start = place.start + vector.position;
        let mut lanes = [0.0; MOST_LANES];
        // SAFETY: as this function's own; the buffer is as long as the longest vector.
        unsafe { S::store(lanes.as_mut_ptr(), values) };
        let valid = self.valid::<S>(vector, images);
        for (column, values) in lanes[..valid].chunks_exact(images).enumerate() {
            let at = start + column * self.step[1];
            for (map, value) in maps.iter_mut().zip(values) {
                map[at].write(*value);
            }
        }
    }

    /// Writes the valid lanes of `values` to one map, `[row, column, image]`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub unsafe fn store_together<S: Simd>(
        &self,
        vector: &OutputVector,
        values: S::Vector,
        images: usize,
        to: &mut [MaybeUninit<f32>],
    ) {
        let start = vector.position * images;
        let valid = self.valid::<S>(vector, images);
        // SAFETY: as this function's own; the buffer is as long as the longest vector.
        unsafe {
            if self.step[1] == 1 {
                S::store_part(&mut to[start..start + valid], 0, values);
                return;
            }
            let mut lanes = [0.0; MOST_LANES];
            S::store(lanes.as_mut_ptr(), values);
            for (column, values) in lanes[..valid].chunks_exact(images).enumerate() {
                let at = start + column * self.step[1] * images;
                for (to, value) in to[at..at + images].iter_mut().zip(values) {
                    to.write(*value);
                }
            }
        }
    }

    /// Lanes of the vector that are outputs.
    #[inline(always)]
    fn valid<S: Simd>(&self, vector: &OutputVector, images: usize) -> usize {
        S::LANES.min(self.columns * images - vector.start)
    }
}
