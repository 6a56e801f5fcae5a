//! Vectors of `f32` in the widest instruction set that the processor has.
//!
//! A kernel is written once, generic over [`Simd`], and [`dispatch`] runs the copy of it that was
//! compiled for AVX-512, AVX2 with FMA, or the target's baseline.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod baseline;

use std::{mem::MaybeUninit, sync::OnceLock};

use baseline::Baseline;

/// Most lanes of a vector in any instruction set.
pub(crate) const MOST_LANES: usize = 16;

/// A vector register of `f32` and what the kernels do with it.
///
/// # Safety of every method
/// The processor must have the instruction set of the implementing type, and every pointer must
/// be valid for [`Simd::LANES`] numbers; no alignment is needed.
pub(crate) trait Simd: Copy {
    /// The register.
    type Vector: Copy;
    /// Numbers in a register.
    const LANES: usize;
    /// Vectors of positions that a convolution tile holds; with six output channels each and the
    /// operands they must fit the register file.
    const TILE_VECTORS: usize;

    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn subtract(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `max(a, 0)`; what is not a number stays so.
    unsafe fn positive_part(a: Self::Vector) -> Self::Vector;
    /// `a` where `sign` is not at most zero, else 0.
    unsafe fn where_positive(sign: Self::Vector, a: Self::Vector) -> Self::Vector;
    unsafe fn multiply(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn divide(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn square_root(a: Self::Vector) -> Self::Vector;
    /// `min(a, limit)`; what is not a number stays so.
    unsafe fn at_most(a: Self::Vector, limit: Self::Vector) -> Self::Vector;
    /// `a` where `value` is not at least `limit`, else 0.
    unsafe fn where_below(
        value: Self::Vector,
        limit: Self::Vector,
        a: Self::Vector,
    ) -> Self::Vector;
    /// `[candidate, tag]` where the candidate is larger than the best or not a number, else
    /// `[best, best_tag]`.
    unsafe fn larger(
        best: [Self::Vector; 2],
        candidate: Self::Vector,
        tag: Self::Vector,
    ) -> [Self::Vector; 2];
    /// A bit for each lane, the first lane's lowest: whether it is at least that of `limit`.
    unsafe fn at_least(value: Self::Vector, limit: Self::Vector) -> u32;
    /// The lanes, which must be whole numbers from 0 to 255, as bytes to [`Simd::LANES`] places.
    unsafe fn store_bytes(to: *mut u8, vector: Self::Vector);
    /// The numbers at [`Simd::LANES`] places after `from`, all of which must be valid.
    unsafe fn gather(from: *const f32, places: *const i32) -> Self::Vector;
    /// `a·b + c`.
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger of the two; `b` where one is not a number.
    unsafe fn maximum(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `2ⁿ` for whole numbers from −126 to 127.
    unsafe fn power_of_two(n: Self::Vector) -> Self::Vector;
    /// Sum of the lanes, pairwise in a fixed order.
    unsafe fn sum(vector: Self::Vector) -> f32;
    /// `a₀ b₀ a₁ b₁ …` in two vectors.
    unsafe fn interleave(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// The lanes of `a`, then `b`, with even numbers, and those with odd numbers.
    unsafe fn deinterleave(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];

    /// `counts` plus 1 where `value` is not at least `limit`.
    #[inline(always)]
    unsafe fn count_below(
        counts: Self::Vector,
        value: Self::Vector,
        limit: Self::Vector,
    ) -> Self::Vector {
        // SAFETY: as this function's own.
        unsafe { Self::add(counts, Self::where_below(value, limit, Self::splat(1.0))) }
    }

    /// Stores `first` plus the number of each lane whose bit is set, one after the other; `to` must
    /// have room for [`Simd::LANES`] places, and what lies behind those stored is undefined.
    #[inline(always)]
    unsafe fn store_places(to: *mut u32, first: u32, lanes: u32) {
        let mut count = 0;
        for lane in 0..Self::LANES as u32 {
            // No branches: which lanes are set cannot be foreseen.
            // SAFETY: `count` is at most `lane`.
            unsafe { to.add(count).write(first + lane) };
            count += (lanes >> lane & 1) as usize;
        }
    }

    /// Exchanges rows and columns of a square of [`Simd::LANES`] vectors; what lies behind them is
    /// left undefined.
    #[inline(always)]
    unsafe fn transpose(square: &mut [Self::Vector; MOST_LANES]) {
        // Each round of perfect shuffles turns the index (row, column) by one bit; after as many
        // rounds as it has bits per side, rows and columns have changed places.
        let mut round = 1;
        while round < Self::LANES {
            let mut shuffled = *square;
            for i in 0..Self::LANES / 2 {
                // SAFETY: as this function's own.
                let [low, high] =
                    unsafe { Self::interleave(square[i], square[i + Self::LANES / 2]) };
                shuffled[2 * i] = low;
                shuffled[2 * i + 1] = high;
            }
            *square = shuffled;
            round *= 2;
        }
    }

    /// Loads up to a vector's worth of `from[at..]`, zeros behind the end. `at` must not lie
    /// behind the end.
    #[inline(always)]
    unsafe fn load_part(from: &[f32], at: usize) -> Self::Vector {
        // SAFETY: a whole vector is read where there is one, else a copy that is long enough.
        unsafe {
            if at + Self::LANES <= from.len() {
                return Self::load(from.as_ptr().add(at));
            }
            let mut padded = [0.0; MOST_LANES];
            padded[..from.len() - at].copy_from_slice(&from[at..]);
            Self::load(padded.as_ptr())
        }
    }

    /// Stores to `to[at..]` what of the vector has room. `at` must not lie behind the end.
    #[inline(always)]
    unsafe fn store_part(to: &mut [MaybeUninit<f32>], at: usize, vector: Self::Vector) {
        // SAFETY: a whole vector is written where there is room, else to a copy that is long
        // enough.
        unsafe {
            if at + Self::LANES <= to.len() {
                Self::store(to.as_mut_ptr().add(at).cast(), vector);
                return;
            }
            let mut padded = [0.0; MOST_LANES];
            Self::store(padded.as_mut_ptr(), vector);
            let valid = to.len() - at;
            to[at..].write_copy_of_slice(&padded[..valid]);
        }
    }
}

/// Work that is compiled once per instruction set. Implementations must be `#[inline(always)]`,
/// or the instruction set of the caller does not reach them.
pub(crate) trait Kernel {
    type Output;
    /// # Safety
    /// The processor must have the instruction set of `S`.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// The instruction sets, the widest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The widest instruction set that tests let [`dispatch`] use.
#[cfg(test)]
pub(crate) static WIDEST: std::sync::Mutex<Option<Level>> = std::sync::Mutex::new(None);

/// Held for writing by tests that set [`WIDEST`], for reading by those that compare bits.
#[cfg(test)]
pub(crate) static LEVELS: std::sync::RwLock<()> = std::sync::RwLock::new(());

fn level() -> Level {
    #[cfg(test)]
    if let Some(widest) = *WIDEST.lock().unwrap() {
        return detected().min(widest);
    }
    detected()
}

fn detected() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            // Every processor with AVX2 has POPCNT too.
            if !is_x86_feature_detected!("popcnt") {
                return Level::Baseline;
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                return Level::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Level::Avx2;
            }
        }
        Level::Baseline
    })
}

/// Name of the instruction set that the kernels use on this processor.
pub fn instruction_set() -> &'static str {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => "AVX-512",
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => "AVX2",
        Level::Baseline if cfg!(target_arch = "x86_64") => "SSE2",
        Level::Baseline if cfg!(target_arch = "aarch64") => "NEON",
        Level::Baseline => "baseline",
    }
}

/// Number of lanes of the instruction set that [`dispatch`] will choose.
pub(crate) fn lanes() -> usize {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::Avx512::LANES,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::Avx2::LANES,
        Level::Baseline => Baseline::LANES,
    }
}

/// Numbers as room for numbers, to which nothing but numbers may be written.
pub(crate) fn as_room(numbers: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    let (start, count) = (numbers.as_mut_ptr(), numbers.len());
    // SAFETY: the same memory for as long, and kernels write numbers alone.
    unsafe { std::slice::from_raw_parts_mut(start.cast(), count) }
}

/// Asks for `numbers` to be brought to the second-level cache while other work goes on.
#[inline]
pub(crate) fn prefetch(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// Asks for the line of `place`, which need not be valid, to be brought to the first-level cache while
/// other work goes on.
#[inline(always)]
pub(crate) fn prefetch_near(place: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Runs `kernel` in the widest instruction set of this processor.
// Inlined, so that the kernel is not copied on its way.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match level() {
        // SAFETY: `detected` has seen AVX-512 F, VL and DQ and POPCNT on this processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::run_avx512(kernel) },
        // SAFETY: `detected` has seen AVX2, FMA and POPCNT on this processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::run_avx2(kernel) },
        // SAFETY: the baseline is what the whole program was compiled for.
        Level::Baseline => unsafe { kernel.run::<Baseline>() },
    }
}
