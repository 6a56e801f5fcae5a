//! Vectors of `f32` in the widest instruction set that the processor has.
//!
//! A kernel is written once, generic over [`Simd`], and [`dispatch`] runs the copy of it that was
//! compiled for AVX-512, AVX2 with FMA, or the target's baseline.

use std::{mem::MaybeUninit, sync::OnceLock};

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
    /// `a·b + c`.
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    unsafe fn multiply(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn divide(a: Self::Vector, b: Self::Vector) -> Self::Vector;
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

/// Number of lanes of the instruction set that [`dispatch`] will choose.
pub(crate) fn lanes() -> usize {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => x86::Avx512::LANES,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => x86::Avx2::LANES,
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

/// Runs `kernel` in the widest instruction set of this processor.
// Inlined, so that the kernel is not copied on its way.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match level() {
        // SAFETY: `detected` has seen AVX-512 F, VL and DQ on this processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::run_avx512(kernel) },
        // SAFETY: `detected` has seen AVX2 and FMA on this processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::run_avx2(kernel) },
        // SAFETY: the baseline is what the whole program was compiled for.
        Level::Baseline => unsafe { kernel.run::<Baseline>() },
    }
}

/// Four lanes in whatever the compile target has: SSE2 or NEON through automatic vectorisation.
#[derive(Clone, Copy)]
pub(crate) struct Baseline;

impl Simd for Baseline {
    type Vector = [f32; 4];
    const LANES: usize = 4;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller vouches for four numbers; arrays of f32 need no more alignment than
        // f32, and the read is marked unaligned all the same.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: [f32; 4]) {
        // SAFETY: the caller vouches for four numbers.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(vector) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn subtract(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    unsafe fn positive_part(a: [f32; 4]) -> [f32; 4] {
        a.map(|a| if a <= 0.0 { 0.0 } else { a })
    }

    #[inline(always)]
    unsafe fn where_positive(sign: [f32; 4], a: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if sign[i] <= 0.0 { 0.0 } else { a[i] })
    }

    #[inline(always)]
    unsafe fn multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| {
            // Every AArch64 has the instruction; elsewhere the baseline would call a library.
            if cfg!(target_arch = "aarch64") {
                a[i].mul_add(b[i], c[i])
            } else {
                a[i] * b[i] + c[i]
            }
        })
    }

    #[inline(always)]
    unsafe fn multiply(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn divide(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] / b[i])
    }

    #[inline(always)]
    unsafe fn maximum(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    unsafe fn power_of_two(n: [f32; 4]) -> [f32; 4] {
        // The exponent of a number of IEEE 754 is stored with 127 added.
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    unsafe fn interleave(a: [f32; 4], b: [f32; 4]) -> [[f32; 4]; 2] {
        [[a[0], b[0], a[1], b[1]], [a[2], b[2], a[3], b[3]]]
    }

    #[inline(always)]
    unsafe fn deinterleave(a: [f32; 4], b: [f32; 4]) -> [[f32; 4]; 2] {
        [[a[0], a[2], b[0], b[2]], [a[1], a[3], b[1], b[3]]]
    }

    #[inline(always)]
    unsafe fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Simd};

    /// Sixteen lanes, thirty-two registers.
    #[derive(Clone, Copy)]
    pub(super) struct Avx512;

    /// Eight lanes, sixteen registers.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2;

    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
    pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { kernel.run::<Avx512>() }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { kernel.run::<Avx2>() }
    }

    // SAFETY (all blocks of the two implementations): the contract of `Simd` is exactly what the
    // intrinsics ask for.
    impl Simd for Avx512 {
        type Vector = __m512;
        const LANES: usize = 16;
        const TILE_VECTORS: usize = 4;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, vector: __m512) {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_storeu_ps(to, vector) }
        }

        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn subtract(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_sub_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn positive_part(a: __m512) -> __m512 {
            // The instruction returns its second operand where one is not a number.
            // SAFETY: see the implementation's head.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), a) }
        }

        #[inline(always)]
        unsafe fn where_positive(sign: __m512, a: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe {
                let keep = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(sign, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(keep, a)
            }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn multiply(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_mul_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn divide(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_div_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn maximum(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe { _mm512_max_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn power_of_two(n: __m512) -> __m512 {
            // SAFETY: see the implementation's head.
            unsafe {
                // The exponent of a number of IEEE 754 is stored with 127 added.
                let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
                _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
            }
        }

        #[inline(always)]
        unsafe fn interleave(a: __m512, b: __m512) -> [__m512; 2] {
            // SAFETY: see the implementation's head.
            unsafe {
                // Lanes 16 and up are those of `b`.
                let low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
                let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
                [
                    _mm512_permutex2var_ps(a, low, b),
                    _mm512_permutex2var_ps(a, high, b),
                ]
            }
        }

        #[inline(always)]
        unsafe fn deinterleave(a: __m512, b: __m512) -> [__m512; 2] {
            // SAFETY: see the implementation's head.
            unsafe {
                // Lanes 16 and up are those of `b`.
                let even =
                    _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
                let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
                [
                    _mm512_permutex2var_ps(a, even, b),
                    _mm512_permutex2var_ps(a, odd, b),
                ]
            }
        }

        #[inline(always)]
        unsafe fn sum(v: __m512) -> f32 {
            // SAFETY: see the implementation's head.
            unsafe {
                let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)));
                Avx2::sum(_mm256_add_ps(_mm512_castps512_ps256(v), high))
            }
        }
    }

    impl Simd for Avx2 {
        type Vector = __m256;
        const LANES: usize = 8;
        const TILE_VECTORS: usize = 2;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, vector: __m256) {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_storeu_ps(to, vector) }
        }

        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn subtract(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_sub_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn positive_part(a: __m256) -> __m256 {
            // The instruction returns its second operand where one is not a number.
            // SAFETY: see the implementation's head.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), a) }
        }

        #[inline(always)]
        unsafe fn where_positive(sign: __m256, a: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe {
                let keep = _mm256_cmp_ps::<_CMP_NLE_UQ>(sign, _mm256_setzero_ps());
                _mm256_and_ps(keep, a)
            }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn multiply(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_mul_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn divide(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_div_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn maximum(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_max_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn power_of_two(n: __m256) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe {
                // The exponent of a number of IEEE 754 is stored with 127 added.
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            }
        }

        #[inline(always)]
        unsafe fn interleave(a: __m256, b: __m256) -> [__m256; 2] {
            // SAFETY: see the implementation's head.
            unsafe {
                let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                [
                    _mm256_permute2f128_ps::<0x20>(low, high),
                    _mm256_permute2f128_ps::<0x31>(low, high),
                ]
            }
        }

        #[inline(always)]
        unsafe fn deinterleave(a: __m256, b: __m256) -> [__m256; 2] {
            // SAFETY: see the implementation's head.
            unsafe {
                // Halves of `a` and `b` alternate until the permutation.
                let even = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
                let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
                [
                    _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(even)),
                    _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(odd)),
                ]
            }
        }

        #[inline(always)]
        unsafe fn sum(v: __m256) -> f32 {
            // SAFETY: see the implementation's head.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                let one = _mm_add_ss(two, _mm_movehdup_ps(two));
                _mm_cvtss_f32(one)
            }
        }
    }
}
