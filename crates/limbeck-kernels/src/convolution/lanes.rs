//! Maps of a vector's worth of images, one vector to a position.
//!
//! Small maps leave most of a vector idle at the end of each row, and strides tear their rows
//! apart. With one image to a lane every position is a whole vector, wherever it lies.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    Activation,
    simd::{self, Kernel, MOST_LANES, Simd, as_room},
};

/// Exchanges rows and columns of the first `LANES` vectors.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn transpose<S: Simd>(vectors: &mut [S::Vector; MOST_LANES]) {
    // The first half of the sequences is interleaved with the second, until there is one left.
    let mut sequences = S::LANES;
    while sequences > 1 {
        let half = *vectors;
        for i in 0..S::LANES / 2 {
            // SAFETY: as this function's own.
            let [low, high] = unsafe { S::interleave(half[i], half[i + S::LANES / 2]) };
            vectors[2 * i] = low;
            vectors[2 * i + 1] = high;
        }
        sequences /= 2;
    }
}

/// Copies neighbouring positions of up to a vector's worth of images to a vector each; lanes of
/// missing images are zero.
pub(crate) struct IntoLanes<'a> {
    /// Of each image the positions to be copied.
    pub maps: &'a [&'a [f32]],
    /// Where in `to` each position belongs.
    pub offsets: &'a [usize],
    pub to: &'a mut [f32],
}

impl Kernel for IntoLanes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let count = self.offsets.len();
        assert!(
            self.maps.len() <= S::LANES && self.maps.iter().all(|map| map.len() == count),
            "{} maps do not fit {} lanes",
            self.maps.len(),
            S::LANES
        );
        // SAFETY: as this function's own; whole blocks of whole vectors lie inside of the maps, and
        // the slice of a position is one vector long.
        unsafe {
            let mut at = 0;
            if self.maps.len() == S::LANES {
                let mut from = [self.maps[0].as_ptr(); MOST_LANES];
                for (from, map) in from.iter_mut().zip(self.maps) {
                    *from = map.as_ptr();
                }
                while at + S::LANES <= count {
                    let mut vectors = [S::splat(0.0); MOST_LANES];
                    for i in 0..S::LANES {
                        vectors[i] = S::load(from[i].add(at));
                    }
                    transpose::<S>(&mut vectors);
                    let offsets = &self.offsets[at..at + S::LANES];
                    for i in 0..S::LANES {
                        let to = &mut self.to[offsets[i]..][..S::LANES];
                        S::store(to.as_mut_ptr(), vectors[i]);
                    }
                    at += S::LANES;
                }
            }
            for at in (at..count).step_by(S::LANES) {
                let mut vectors = [S::splat(0.0); MOST_LANES];
                for (vector, map) in vectors.iter_mut().zip(self.maps) {
                    *vector = S::load_part(map, at);
                }
                transpose::<S>(&mut vectors);
                let offsets = &self.offsets[at..count.min(at + S::LANES)];
                for (vector, &offset) in vectors.iter().zip(offsets) {
                    S::store(self.to[offset..][..S::LANES].as_mut_ptr(), *vector);
                }
            }
        }
    }
}

/// Copies a vector for each of some neighbouring positions to the images' maps, of which there may
/// be fewer than lanes.
pub(crate) struct OutOfLanes<'a, 'y> {
    /// `[position, lane]`, with room for a multiple of `LANES` positions.
    pub from: &'a [f32],
    pub maps: &'a mut [&'y mut [MaybeUninit<f32>]],
    /// The first position and their number.
    pub start: usize,
    pub count: usize,
    /// For each map what is added to these positions; empty where nothing is.
    pub residual: &'a [&'a [f32]],
    /// What is done to the sums.
    pub activation: Activation,
}

impl Kernel for OutOfLanes<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        assert!(
            self.maps.len() <= S::LANES
                && self.count.next_multiple_of(S::LANES) * S::LANES <= self.from.len(),
            "{} vectors of {} images would be read of {} numbers",
            self.count,
            self.maps.len(),
            self.from.len()
        );
        assert!(
            self.residual.is_empty()
                || self.residual.len() == self.maps.len()
                    && self.residual.iter().all(|r| r.len() == self.count),
            "the residual does not fit the maps"
        );
        // SAFETY: as this function's own; the check above covers all that is read, and whole blocks
        // of whole vectors lie inside of the maps.
        unsafe {
            let mut at = 0;
            if self.maps.len() == S::LANES && self.residual.is_empty() {
                let mut to = [std::ptr::null_mut::<f32>(); MOST_LANES];
                for (to, map) in to.iter_mut().zip(self.maps.iter_mut()) {
                    *to = map[self.start..self.start + self.count].as_mut_ptr().cast();
                }
                while at + S::LANES <= self.count {
                    let mut vectors = Self::block::<S>(self.from, at);
                    transpose::<S>(&mut vectors);
                    for i in 0..S::LANES {
                        S::store(to[i].add(at), self.activation.of::<S>(vectors[i]));
                    }
                    at += S::LANES;
                }
            }
            for at in (at..self.count).step_by(S::LANES) {
                let mut vectors = Self::block::<S>(self.from, at);
                transpose::<S>(&mut vectors);
                for (i, map) in self.maps.iter_mut().enumerate() {
                    let mut vector = vectors[i];
                    if let Some(residual) = self.residual.get(i) {
                        vector = S::add(vector, S::load_part(residual, at));
                    }
                    let map = &mut map[self.start..self.start + self.count];
                    S::store_part(map, at, self.activation.of::<S>(vector));
                }
            }
        }
    }
}

impl OutOfLanes<'_, '_> {
    /// The vectors of as many positions as there are lanes.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and there must be so many in `from`.
    #[inline(always)]
    unsafe fn block<S: Simd>(from: &[f32], at: usize) -> [S::Vector; MOST_LANES] {
        // SAFETY: as this function's own.
        unsafe {
            let mut vectors = [S::splat(0.0); MOST_LANES];
            for i in 0..S::LANES {
                vectors[i] = S::load(from.as_ptr().add((at + i) * S::LANES));
            }
            vectors
        }
    }
}

/// Exchanges rows and columns of matrices `[rows, columns]` that lie one after the other.
pub(super) fn exchange(matrices: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut exchanged = vec![0.0; matrices.len()];
    exchanged
        .par_chunks_mut(rows * columns)
        .zip(matrices.par_chunks(rows * columns))
        .flat_map(|(to, from)| {
            to.par_chunks_mut(simd::lanes() * rows)
                .enumerate()
                .map(move |(vector, to)| (to, from, vector * simd::lanes()))
        })
        .for_each(|(to, from, first)| {
            simd::dispatch(Exchange {
                from,
                columns,
                first,
                to,
            });
        });
    exchanged
}

/// Copies up to a vector of columns, from `first` on, each to a row.
struct Exchange<'a> {
    /// `[row, column]`.
    from: &'a [f32],
    columns: usize,
    first: usize,
    /// `[column, row]`.
    to: &'a mut [f32],
}

impl Kernel for Exchange<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let rows = self.from.len() / self.columns;
        for at in (0..rows).step_by(S::LANES) {
            // SAFETY: as this function's own.
            unsafe {
                let mut square = [S::splat(0.0); MOST_LANES];
                for i in 0..S::LANES.min(rows - at) {
                    let row = &self.from[(at + i) * self.columns..][..self.columns];
                    square[i] = S::load_part(row, self.first);
                }
                transpose::<S>(&mut square);
                for (to, column) in self.to.chunks_exact_mut(rows).zip(square) {
                    S::store_part(as_room(to), at, column);
                }
            }
        }
    }
}

/// Copies up to a vector of neighbouring maps so that they lie side by side at each of some
/// positions, of which there must be a vector at least: neighbours, or with a stride of 2 whole
/// vectors of them, of which each half lies in a row. `maps` are their offsets in `from`; maps that
/// are not there are zero; positions are `step` numbers apart in `to`.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn turn<S: Simd>(
    from: &[f32],
    maps: &[usize],
    positions: &[usize],
    stride: usize,
    to: &mut [f32],
    step: usize,
) {
    let length = positions.len();
    for start in (0..length).step_by(S::LANES) {
        // The last block ends with the positions.
        let start = start.min(length - S::LANES);
        // SAFETY: as this function's own; the slices are one vector long.
        unsafe {
            let mut block = [S::splat(0.0); MOST_LANES];
            if stride == 2 {
                for (block, map) in block.iter_mut().zip(maps) {
                    let [low, high] = [start, start + S::LANES / 2].map(|at| map + positions[at]);
                    let low = S::load(from[low..low + S::LANES].as_ptr());
                    let high = S::load(from[high..high + S::LANES].as_ptr());
                    [*block, _] = S::deinterleave(low, high);
                }
            } else if maps.len() == S::LANES {
                for lane in 0..S::LANES {
                    let at = maps[lane] + positions[start];
                    block[lane] = S::load(from[at..at + S::LANES].as_ptr());
                }
            } else {
                for (block, map) in block.iter_mut().zip(maps) {
                    let at = map + positions[start];
                    *block = S::load(from[at..at + S::LANES].as_ptr());
                }
            }
            transpose::<S>(&mut block);
            for lane in 0..S::LANES {
                let to = &mut to[(start + lane) * step..][..S::LANES];
                S::store(to.as_mut_ptr(), block[lane]);
            }
        }
    }
}
