//! New vectors that the threads fill piece by piece.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Numbers that one task handles at least: less work costs more to hand out than to do.
const SMALLEST_TASK: usize = 1 << 14;

/// A vector of `count` pieces of `size` numbers; `work` is given the number of a piece and its
/// room.
///
/// # Safety
/// `work` must write all of the room.
pub(crate) unsafe fn filled<T: Send>(
    count: usize,
    size: usize,
    work: impl Fn(usize, &mut [MaybeUninit<T>]) + Sync,
) -> Vec<T> {
    let mut result = Vec::with_capacity(count * size);
    result.spare_capacity_mut()[..count * size]
        .par_chunks_mut(size)
        .enumerate()
        .with_min_len(pieces_per_task(size))
        .for_each(|(index, room)| work(index, room));
    // SAFETY: the pieces cover the whole room, which the caller's `work` writes.
    unsafe { result.set_len(count * size) };
    result
}

/// How many pieces of `size` numbers one task handles at least.
pub(crate) fn pieces_per_task(size: usize) -> usize {
    SMALLEST_TASK.div_ceil(size.max(1))
}

/// Fills `room` with `value`.
pub(crate) fn fill<T: Copy>(room: &mut [MaybeUninit<T>], value: T) -> &mut [T] {
    room.fill(MaybeUninit::new(value));
    // SAFETY: all of it has just been filled.
    unsafe { room.assume_init_mut() }
}

/// The room of numbers that are there already.
///
/// # Safety
/// Nothing but numbers may be written to it.
pub(crate) unsafe fn room(numbers: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the layouts are the same, and the caller keeps the numbers initialised.
    unsafe { &mut *(std::ptr::from_mut(numbers) as *mut [MaybeUninit<f32>]) }
}
