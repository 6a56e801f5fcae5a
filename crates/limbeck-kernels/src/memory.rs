//! What the process does with memory.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Tells the allocator of the C library to keep freed memory instead of handing every large buffer
/// back to the system, and the system to make the heap of large pages, where there are such
/// settings (glibc on Linux); elsewhere nothing.
///
/// Training asks for the same buffers of many megabytes at every step. Getting each of them anew
/// from the system, page by page and zeroed, is a tenth of a step's time; and going through them in
/// pages of 4 KiB, more than the processor remembers the places of, costs time again. The price
/// is that the process does not shrink after its largest step. To be called once, first thing, by
/// a program; a library leaves the choice to it.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Number of buffers that may be mapped one by one, outside the heap (`malloc.h`).
        const M_MMAP_MAX: i32 = -4;
        /// Free bytes at the heap's end from which on it is shrunk (`malloc.h`); −1 for never.
        const M_TRIM_THRESHOLD: i32 = -1;
        /// Number of heaps (`malloc.h`). Threads' own ones are given back whenever they are empty.
        const M_ARENA_MAX: i32 = -8;
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        // SAFETY: the function takes any two numbers, and is a part of every glibc.
        unsafe {
            mallopt(M_MMAP_MAX, 0);
            mallopt(M_TRIM_THRESHOLD, -1);
            mallopt(M_ARENA_MAX, 1);
        }
        #[cfg(target_pointer_width = "64")]
        grow_heap_in_large_pages();
    }
}

/// Lets the heap grow once by what training usually stays below, asks for large pages there, and
/// frees it again: the heap keeps the addresses. No memory is taken until it is written to. Where
/// the system refuses, all stays as it was.
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
fn grow_heap_in_large_pages() {
    use std::ffi::c_void;

    /// Addresses, not memory.
    const ROOM: usize = 4 << 30;
    /// `madvise` takes whole pages; no system has larger ones as its smallest.
    const PAGE: usize = 1 << 16;
    /// `sys/mman.h`
    const MADV_HUGEPAGE: i32 = 14;
    unsafe extern "C" {
        fn malloc(size: usize) -> *mut c_void;
        fn free(memory: *mut c_void);
        fn madvise(address: *mut c_void, length: usize, advice: i32) -> i32;
    }
    // SAFETY: all three are parts of every glibc. The advice is about whole pages inside what was
    // just allocated, changes no contents, and what was allocated is freed once.
    unsafe {
        let memory = malloc(ROOM);
        if memory.is_null() {
            return;
        }
        let unaligned = memory.addr() % PAGE;
        let start = if unaligned == 0 { 0 } else { PAGE - unaligned };
        let length = (ROOM - start) / PAGE * PAGE;
        madvise(memory.byte_add(start), length, MADV_HUGEPAGE);
        free(memory);
    }
}

/// Bytes of large buffers that are there.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// The most that there have been since [`forget_most_held`].
static MOST_HELD: AtomicUsize = AtomicUsize::new(0);

/// Notes that a large buffer of `size` bytes is there from now on. A step of training asks for some
/// thousands, so that counting them costs nothing that could be measured.
fn count(size: usize) {
    let held = HELD.fetch_add(size, Ordering::Relaxed) + size;
    MOST_HELD.fetch_max(held, Ordering::Relaxed);
}

/// Notes that such a buffer is no more.
fn discount(size: usize) {
    HELD.fetch_sub(size, Ordering::Relaxed);
}

/// Bytes of the buffers of at least 4 KiB that the program holds, of all its threads; `None` where its
/// allocator is not [`AlignedAllocator`], which counts them.
pub fn held_memory() -> Option<usize> {
    let most = MOST_HELD.load(Ordering::Relaxed);
    (most > 0).then(|| HELD.load(Ordering::Relaxed))
}

/// The most of them since [`forget_most_held`], or since the program began.
pub fn most_held_memory() -> Option<usize> {
    let most = MOST_HELD.load(Ordering::Relaxed);
    (most > 0).then_some(most)
}

/// Lets [`most_held_memory`] begin anew with what is held now.
pub fn forget_most_held() {
    // Not 0 even where nothing is held, which would say that nobody counts.
    if most_held_memory().is_some() {
        MOST_HELD.store(HELD.load(Ordering::Relaxed).max(1), Ordering::Relaxed);
    }
}

/// The system's allocator, with large buffers beginning at cache lines: vectors as wide as a line
/// then never touch two of them. It counts their bytes ([`held_memory`]). To be made a program's
/// `#[global_allocator]`; a library leaves the choice to it.
///
/// The system is asked for a line more than is needed, not for the alignment: glibc reuses what was
/// freed for requests of the same size, but hardly for aligned ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlignedAllocator;

impl AlignedAllocator {
    /// Bytes of a cache line.
    const LINE: usize = 64;
    /// Bytes from which on a buffer is large.
    const LARGE: usize = 4096;

    /// What the system is asked for instead, for a large buffer.
    fn with_line(layout: Layout) -> Option<Layout> {
        let large = layout.size() >= Self::LARGE && layout.align() <= Self::LINE;
        let size = layout.size().checked_add(Self::LINE)?;
        Layout::from_size_align(size, layout.align())
            .ok()
            .filter(|_| large)
    }

    /// Bytes from there to the first line behind: from 1 to a line.
    fn distance(memory: *mut u8) -> usize {
        Self::LINE - memory.addr() % Self::LINE
    }

    /// The first line behind the beginning of what the system gave; the distance to it stands in the
    /// byte before it.
    ///
    /// # Safety
    /// `memory` must be null or valid for a line.
    unsafe fn at_line(memory: *mut u8) -> *mut u8 {
        if memory.is_null() {
            return memory;
        }
        let distance = Self::distance(memory);
        // SAFETY: as this function's own; the distance is from 1 to a line.
        unsafe {
            let at_line = memory.add(distance);
            at_line.sub(1).write(distance as u8);
            at_line
        }
    }
}

// SAFETY: all memory comes from the system's allocator and is given back to it with the layout that
// it was asked for with, as size and alignment alone decide it. A large buffer begins inside of what
// the system gave, at a line and so at any smaller alignment, and ends before its end.
unsafe impl GlobalAlloc for AlignedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as this function's own.
        unsafe {
            match Self::with_line(layout) {
                Some(longer) => {
                    count(longer.size());
                    Self::at_line(System.alloc(longer))
                }
                None => System.alloc(layout),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as this function's own.
        unsafe {
            match Self::with_line(layout) {
                Some(longer) => {
                    count(longer.size());
                    Self::at_line(System.alloc_zeroed(longer))
                }
                None => System.alloc_zeroed(layout),
            }
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as this function's own; before a large buffer stands the distance that it was
        // moved by.
        unsafe {
            match Self::with_line(layout) {
                Some(longer) => {
                    discount(longer.size());
                    let distance = usize::from(memory.sub(1).read());
                    System.dealloc(memory.sub(distance), longer);
                }
                None => System.dealloc(memory, layout),
            }
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as this function's own: the size is not zero, and fits the alignment when rounded
        // up to it. What is copied lies inside of both buffers: that of a large one reaches a line
        // further, and no distance is longer.
        unsafe {
            let new = Layout::from_size_align_unchecked(size, layout.align());
            let kept = layout.size().min(size);
            match (Self::with_line(layout), Self::with_line(new)) {
                (None, None) => System.realloc(memory, layout, size),
                (Some(longer), Some(new)) => {
                    let distance = usize::from(memory.sub(1).read());
                    let moved = System.realloc(memory.sub(distance), longer, new.size());
                    if moved.is_null() {
                        return moved;
                    }
                    count(new.size());
                    discount(longer.size());
                    let to = moved.add(Self::distance(moved));
                    // The distance is written over what was before only once that has been moved.
                    ptr::copy(moved.add(distance), to, kept);
                    Self::at_line(moved)
                }
                _ => {
                    let to = self.alloc(new);
                    if !to.is_null() {
                        ptr::copy_nonoverlapping(memory, to, kept);
                        self.dealloc(memory, layout);
                    }
                    to
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_begin_at_lines_and_keep_their_contents_when_they_grow_and_shrink() {
        for align in [1, 4, 64, 256] {
            let sizes = [1, 3, 4095, 4096, 4097, 100_003, 5000, 4096, 4095, 7, 9000];
            let of_size = |size| Layout::from_size_align(size, align).unwrap();
            // SAFETY: every buffer is used inside of its size, and given back with the layout that
            // it was last asked for with.
            unsafe {
                let mut layout = of_size(2);
                let mut memory = AlignedAllocator.alloc_zeroed(layout);
                assert_eq!([memory.read(), memory.add(1).read()], [0, 0]);
                memory.write(0);
                memory.add(1).write(1);
                let mut written = 2;
                for size in sizes {
                    memory = AlignedAllocator.realloc(memory, layout, size);
                    layout = of_size(size);
                    let line = if size < 4096 { 1 } else { 64 };
                    assert_eq!(memory.addr() % line.max(align), 0, "{size} {align}");
                    written = size.min(written);
                    for i in 0..written {
                        assert_eq!(memory.add(i).read(), (i % 251) as u8, "{size} {align}");
                    }
                    for i in written..size {
                        memory.add(i).write((i % 251) as u8);
                    }
                    written = size;
                }
                AlignedAllocator.dealloc(memory, layout);
            }
        }
    }
}
