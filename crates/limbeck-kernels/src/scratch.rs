//! Working memory that a thread keeps between calls.

use std::cell::RefCell;

/// One cache line.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    static BUFFERS: RefCell<[Vec<Line>; 3]> =
        const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// Lends three buffers of at least the given numbers of `f32`, aligned to cache lines, to `work`.
/// Their contents are whatever the last user left. `work` must not call `with_scratch` again, nor
/// hand work to the thread pool that could do so.
pub(crate) fn with_scratch<R>(counts: [usize; 3], work: impl FnOnce([&mut [f32]; 3]) -> R) -> R {
    BUFFERS.with_borrow_mut(|buffers| {
        for (buffer, count) in buffers.iter_mut().zip(counts) {
            let lines = count.div_ceil(16);
            if buffer.len() < lines {
                // The old contents are of no use: a fresh allocation spares copying them.
                *buffer = vec![bytemuck::Zeroable::zeroed(); lines];
            }
        }
        let [first, second, third] = buffers.each_mut().map(|b| bytemuck::cast_slice_mut(b));
        work([
            &mut first[..counts[0]],
            &mut second[..counts[1]],
            &mut third[..counts[2]],
        ])
    })
}
