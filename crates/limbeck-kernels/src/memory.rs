//! What the process does with memory.

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
