//! Where outputs are written.

use super::{
    instructions::{Bytes, MOST_LANES, Range},
    requantise::Requantise,
};

/// The beginning of a map `[B, H', W', O]` that several threads write, each other places.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Bytes(*mut u8),
    Numbers(*mut f32),
}

// SAFETY: tasks write places that are theirs alone.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// Writes four vectors as bytes: where from `to` on, and how many lanes of each, is in `places`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and the places must be valid.
    #[inline(always)]
    pub unsafe fn write_four<S: Bytes>(
        to: *mut u8,
        four: [S::Numbers; 4],
        range: Range,
        places: [(usize, usize); 4],
    ) {
        let mut bytes = [0u8; 4 * MOST_LANES];
        // SAFETY: as this function's own; four vectors fit the array.
        unsafe {
            S::store_bytes(bytes.as_mut_ptr(), four, range);
            for i in [0, 2] {
                let [(first, lanes), (second, others)] = [places[i], places[i + 1]];
                let from = bytes.as_ptr().add(i * S::LANES);
                if lanes == S::LANES && others == S::LANES && second == first + S::LANES {
                    to.add(first).copy_from_nonoverlapping(from, 2 * S::LANES);
                    continue;
                }
                copy_lanes::<S>(from, to.add(first), lanes);
                copy_lanes::<S>(from.add(S::LANES), to.add(second), others);
            }
        }
    }

    /// Writes the first `lanes` of a vector, activated.
    ///
    /// # Safety
    /// As [`Target::write_four`].
    #[inline(always)]
    pub unsafe fn write_numbers<S: Bytes>(
        to: *mut f32,
        numbers: S::Numbers,
        lanes: usize,
        finish: &Requantise,
    ) {
        let mut room = [0.0f32; MOST_LANES];
        // SAFETY: as this function's own; a vector fits the array.
        unsafe {
            S::store(room.as_mut_ptr(), numbers);
            for (lane, number) in room.into_iter().enumerate().take(lanes) {
                to.add(lane).write(finish.activate(number));
            }
        }
    }
}

/// Copies a vector's bytes, or the first of them.
///
/// # Safety
/// The pointers must be valid for as many.
#[inline(always)]
unsafe fn copy_lanes<S: Bytes>(from: *const u8, to: *mut u8, lanes: usize) {
    // SAFETY: as this function's own.
    unsafe {
        if lanes == S::LANES {
            to.copy_from_nonoverlapping(from, S::LANES);
        } else {
            copy_part(from, to, lanes);
        }
    }
}

/// Copies fewer than sixteen bytes.
///
/// # Safety
/// The pointers must be valid for as many.
#[inline(always)]
unsafe fn copy_part(mut from: *const u8, mut to: *mut u8, count: usize) {
    // SAFETY: the caller's pointers are valid for `count` bytes, of which each is copied once.
    unsafe {
        for size in [8, 4, 2, 1] {
            if count & size != 0 {
                match size {
                    8 => to.copy_from_nonoverlapping(from, 8),
                    4 => to.copy_from_nonoverlapping(from, 4),
                    2 => to.copy_from_nonoverlapping(from, 2),
                    _ => to.write(from.read()),
                }
                (from, to) = (from.add(size), to.add(size));
            }
        }
    }
}
