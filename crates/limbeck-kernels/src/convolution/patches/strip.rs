//! Patches that lie side by side, taken out of a map column by column and put back.

use std::mem::MaybeUninit;

use crate::simd::{MOST_LANES, Simd};

/// Widest patch that vectors are taken apart for; wider ones, and those whose width is no power of two,
/// are copied number by number.
const MOST_WIDTH: usize = 16;

/// Some rows of patches.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    /// Rows of patches, and patches in each.
    pub rows: usize,
    pub columns: usize,
    /// Size of a patch, `[height, width]`.
    pub kernel: [usize; 2],
    /// Columns of the map.
    pub width: usize,
}

impl Strip {
    /// Patches.
    pub fn count(&self) -> usize {
        self.rows * self.columns
    }

    /// Numbers of room that taking apart and putting together need.
    pub fn room(&self) -> usize {
        (self.count() + MOST_LANES) * self.kernel[1]
    }

    /// Copies row `row` of every patch of `map`, which begins with the first of them: number `b` of
    /// patch `i` to `to[b · pitch + i]`. Up to a vector behind the last patch is overwritten.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub unsafe fn take_apart<S: Simd>(
        &self,
        map: &[f32],
        row: usize,
        to: &mut [f32],
        pitch: usize,
        room: &mut [f32],
    ) {
        let [height, width] = self.kernel;
        let length = self.columns * width;
        let filled = self.count().next_multiple_of(S::LANES);
        assert!(
            filled * width <= room.len() && (width - 1) * pitch + filled <= to.len(),
            "{} patches do not fit",
            self.count()
        );
        // SAFETY: as this function's own; rows are slices, and what is read and written of whole
        // vectors was checked.
        unsafe {
            for (number, room) in room.chunks_exact_mut(length).take(self.rows).enumerate() {
                let from = &map[(number * height + row) * self.width..][..length];
                copy::<S>(from.as_ptr(), room.as_mut_ptr(), length);
            }
            let (from, to) = (room.as_ptr(), to.as_mut_ptr());
            match width {
                2 => apart::<S, 2>(from, to, pitch, filled),
                4 => apart::<S, 4>(from, to, pitch, filled),
                8 => apart::<S, 8>(from, to, pitch, filled),
                MOST_WIDTH => apart::<S, MOST_WIDTH>(from, to, pitch, filled),
                _ => {
                    for b in 0..width {
                        for i in 0..self.count() {
                            *to.add(b * pitch + i) = *from.add(i * width + b);
                        }
                    }
                }
            }
        }
    }

    /// The opposite of [`Strip::take_apart`], with zeros behind the last patch of a row. Up to a vector
    /// behind the last patch is read.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub unsafe fn put_together<S: Simd>(
        &self,
        from: &[f32],
        pitch: usize,
        map: &mut [MaybeUninit<f32>],
        row: usize,
        room: &mut [f32],
    ) {
        let [height, width] = self.kernel;
        let length = self.columns * width;
        let filled = self.count().next_multiple_of(S::LANES);
        assert!(
            filled * width <= room.len() && (width - 1) * pitch + filled <= from.len(),
            "{} patches do not fit",
            self.count()
        );
        // SAFETY: as this function's own; rows are slices, and what is read and written of whole
        // vectors was checked.
        unsafe {
            let (from, to) = (from.as_ptr(), room.as_mut_ptr());
            match width {
                2 => together::<S, 2>(from, to, pitch, filled),
                4 => together::<S, 4>(from, to, pitch, filled),
                8 => together::<S, 8>(from, to, pitch, filled),
                MOST_WIDTH => together::<S, MOST_WIDTH>(from, to, pitch, filled),
                _ => {
                    for b in 0..width {
                        for i in 0..self.count() {
                            *to.add(i * width + b) = *from.add(b * pitch + i);
                        }
                    }
                }
            }
            for (number, room) in room.chunks_exact(length).take(self.rows).enumerate() {
                let to = &mut map[(number * height + row) * self.width..][..self.width];
                copy::<S>(room.as_ptr(), to.as_mut_ptr().cast(), length);
                to[length..].fill(MaybeUninit::new(0.0));
            }
        }
    }
}

/// Copies a row, which is too short for the library's copy.
///
/// # Safety
/// The processor must have the instruction set of `S`, and both must be valid for `length` numbers.
#[inline(always)]
unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, length: usize) {
    // SAFETY: as this function's own; every vector ends with the row at the latest.
    unsafe {
        if length < S::LANES {
            for i in 0..length {
                *to.add(i) = *from.add(i);
            }
            return;
        }
        for at in (0..length).step_by(S::LANES) {
            let at = at.min(length - S::LANES);
            S::store(to.add(at), S::load(from.add(at)));
        }
    }
}

/// `to[b · pitch + i] = from[i · K + b]` for `count` places, whole vectors of them.
///
/// # Safety
/// The processor must have the instruction set of `S`, and both must reach as far.
#[inline(always)]
unsafe fn apart<S: Simd, const K: usize>(
    from: *const f32,
    to: *mut f32,
    pitch: usize,
    count: usize,
) {
    for at in (0..count).step_by(S::LANES) {
        // SAFETY: as this function's own.
        unsafe {
            let mut vectors = [S::splat(0.0); K];
            for b in 0..K {
                vectors[b] = S::load(from.add(at * K + b * S::LANES));
            }
            // Each round sorts by one bit of the column, the lowest first.
            let mut parts = K;
            while parts > 1 {
                let whole = vectors;
                for b in 0..K / 2 {
                    let [even, odd] = S::deinterleave(whole[2 * b], whole[2 * b + 1]);
                    vectors[b] = even;
                    vectors[b + K / 2] = odd;
                }
                parts /= 2;
            }
            for b in 0..K {
                S::store(to.add(b * pitch + at), vectors[b]);
            }
        }
    }
}

/// `to[i · K + b] = from[b · pitch + i]` for `count` places, whole vectors of them.
///
/// # Safety
/// As [`apart`].
#[inline(always)]
unsafe fn together<S: Simd, const K: usize>(
    from: *const f32,
    to: *mut f32,
    pitch: usize,
    count: usize,
) {
    for at in (0..count).step_by(S::LANES) {
        // SAFETY: as this function's own.
        unsafe {
            let mut vectors = [S::splat(0.0); K];
            for b in 0..K {
                vectors[b] = S::load(from.add(b * pitch + at));
            }
            let mut parts = K;
            while parts > 1 {
                let apart = vectors;
                for b in 0..K / 2 {
                    let [low, high] = S::interleave(apart[b], apart[b + K / 2]);
                    vectors[2 * b] = low;
                    vectors[2 * b + 1] = high;
                }
                parts /= 2;
            }
            for b in 0..K {
                S::store(to.add(at * K + b * S::LANES), vectors[b]);
            }
        }
    }
}
