//! Working memory that a thread keeps between calls.

use std::cell::RefCell;

/// One cache line.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    static BUFFERS: RefCell<[Vec<Line>; 3]> =
        const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
    static SHARED: RefCell<[Vec<Line>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Lends three buffers of at least the given numbers of `f32`, aligned to cache lines, to `work`.
/// Their contents are whatever the last user left. `work` must not call `with_scratch` again, nor
/// hand work to the thread pool that could do so.
pub(crate) fn with_scratch<R>(counts: [usize; 3], work: impl FnOnce([&mut [f32]; 3]) -> R) -> R {
    BUFFERS.with_borrow_mut(|buffers| {
        let [first, second, third] = buffers.each_mut();
        work([
            lend(first, counts[0]),
            lend(second, counts[1]),
            lend(third, counts[2]),
        ])
    })
}

/// As [`with_scratch`], two buffers for work that is itself handed to the thread pool: its tasks
/// may use both functions.
pub(crate) fn with_shared_scratch<R>(
    counts: [usize; 2],
    work: impl FnOnce([&mut [f32]; 2]) -> R,
) -> R {
    // Taken rather than borrowed: while this thread waits for the pool it may begin other work.
    let mut buffers = SHARED.take();
    let [first, second] = buffers.each_mut();
    let result = work([lend(first, counts[0]), lend(second, counts[1])]);
    SHARED.set(buffers);
    result
}

/// The first `count` numbers of a buffer that is made longer where needed.
fn lend(buffer: &mut Vec<Line>, count: usize) -> &mut [f32] {
    let lines = count.div_ceil(16);
    if buffer.len() < lines {
        // The old contents are of no use: a fresh allocation spares copying them.
        *buffer = vec![bytemuck::Zeroable::zeroed(); lines];
    }
    &mut bytemuck::cast_slice_mut(buffer)[..count]
}
