//! What the process does with memory that it no longer uses.

/// Tells the allocator of the C library to keep freed memory instead of handing every large
/// buffer back to the system, where there is such a setting (glibc on Linux); elsewhere nothing.
///
/// Training asks for the same buffers of many megabytes at every step. Getting each of them anew
/// from the system, page by page and zeroed, is a tenth of a step's time. The price is that the
/// process does not shrink after its largest step. To be called once, first thing, by a program;
/// a library leaves the choice to it.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Number of buffers that may be mapped one by one, outside the heap (`malloc.h`).
        const M_MMAP_MAX: i32 = -4;
        /// Free bytes at the heap's end from which on it is shrunk (`malloc.h`).
        const M_TRIM_THRESHOLD: i32 = -1;
        /// Number of heaps (`malloc.h`). Threads' own ones are given back whenever they are empty.
        const M_ARENA_MAX: i32 = -8;
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        // SAFETY: the function takes any two numbers, and is a part of every glibc.
        unsafe {
            mallopt(M_MMAP_MAX, 0);
            mallopt(M_TRIM_THRESHOLD, i32::MAX);
            mallopt(M_ARENA_MAX, 1);
        }
    }
}
