//! New vectors that the threads fill piece by piece.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Numbers that one task handles at least: less work costs more to hand out than to do.
pub(crate) const SMALLEST_TASK: usize = 1 << 14;

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
    // SAFETY: as this function's own.
    unsafe { filled_from(count, size, size, work) }
}

/// As [`filled`], where a piece is made of `read` numbers, which may be many more than its size.
///
/// # Safety
/// `work` must write all of the room.
pub(crate) unsafe fn filled_from<T: Send>(
    count: usize,
    size: usize,
    read: usize,
    work: impl Fn(usize, &mut [MaybeUninit<T>]) + Sync,
) -> Vec<T> {
    let mut result = Vec::with_capacity(count * size);
    result.spare_capacity_mut()[..count * size]
        .par_chunks_mut(size)
        .enumerate()
        .with_min_len(pieces_per_task(size.max(read)))
        .for_each(|(index, room)| work(index, room));
    // SAFETY: the pieces cover the whole room, which the caller's `work` writes.
    unsafe { result.set_len(count * size) };
    result
}

/// A vector as long as `a` and `b`, of which `work` is given pieces of all three.
///
/// # Safety
/// `work` must write all of its room.
pub(crate) unsafe fn zipped(
    a: &[f32],
    b: &[f32],
    work: impl Fn(&[f32], &[f32], &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    let mut result = Vec::with_capacity(a.len());
    result.spare_capacity_mut()[..a.len()]
        .par_chunks_mut(SMALLEST_TASK)
        .zip(a.par_chunks(SMALLEST_TASK))
        .zip(b.par_chunks(SMALLEST_TASK))
        .for_each(|((room, a), b)| work(a, b, room));
    // SAFETY: the pieces cover the whole room, which the caller's `work` writes.
    unsafe { result.set_len(a.len()) };
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
