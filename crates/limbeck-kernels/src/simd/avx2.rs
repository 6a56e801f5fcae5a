//! AVX2 with FMA.

use std::{arch::x86_64::*, mem::MaybeUninit};

use super::{Kernel, Simd};

/// Eight lanes, sixteen registers.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// Runs `kernel` with this instruction set.
///
/// # Safety
/// The processor must have it.
#[target_feature(enable = "avx2,fma,popcnt")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller has checked for the instruction set.
    unsafe { kernel.run::<Avx2>() }
}

/// The mask of the first `count` lanes, fewer than eight.
///
/// # Safety
/// The processor must have AVX.
#[inline(always)]
unsafe fn first_eight(count: usize) -> __m256i {
    const ONES_AND_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: as this function's own; eight numbers are read from a place up to the eighth.
    unsafe { _mm256_loadu_si256(ONES_AND_ZEROS[8 - count..].as_ptr().cast()) }
}

// SAFETY (all blocks of the implementation): the contract of `Simd` is exactly what the intrinsics
// ask for.
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
    unsafe fn square_root(a: __m256) -> __m256 {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_sqrt_ps(a) }
    }

    #[inline(always)]
    unsafe fn at_most(a: __m256, limit: __m256) -> __m256 {
        // The instruction returns its second operand where one is not a number.
        // SAFETY: see the implementation's head.
        unsafe { _mm256_min_ps(limit, a) }
    }

    #[inline(always)]
    unsafe fn where_below(value: __m256, limit: __m256, a: __m256) -> __m256 {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NGE_UQ>(value, limit), a) }
    }

    #[inline(always)]
    unsafe fn larger([best, best_tag]: [__m256; 2], candidate: __m256, tag: __m256) -> [__m256; 2] {
        // SAFETY: see the implementation's head.
        unsafe {
            let take = _mm256_or_ps(
                _mm256_cmp_ps::<_CMP_GT_OQ>(candidate, best),
                _mm256_cmp_ps::<_CMP_UNORD_Q>(candidate, candidate),
            );
            [
                _mm256_blendv_ps(best, candidate, take),
                _mm256_blendv_ps(best_tag, tag, take),
            ]
        }
    }

    #[inline(always)]
    unsafe fn at_least(value: __m256, limit: __m256) -> u32 {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(value, limit)) as u32 }
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, vector: __m256) {
        // SAFETY: see the implementation's head.
        unsafe {
            let whole = _mm256_cvtps_epi32(vector);
            let halves = _mm_packus_epi32(
                _mm256_castsi256_si128(whole),
                _mm256_extracti128_si256::<1>(whole),
            );
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(halves, halves));
        }
    }

    #[inline(always)]
    unsafe fn gather(from: *const f32, places: *const i32) -> __m256 {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_i32gather_ps::<4>(from, _mm256_loadu_si256(places.cast())) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_fmadd_ps(a, b, c) }
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
    unsafe fn load_part(from: &[f32], at: usize) -> __m256 {
        // SAFETY: see the implementation's head; what is masked out is not read.
        unsafe {
            let start = from.as_ptr().add(at);
            match from.len() - at {
                Self::LANES.. => Self::load(start),
                count => _mm256_maskload_ps(start, first_eight(count)),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_part(to: &mut [MaybeUninit<f32>], at: usize, vector: __m256) {
        // SAFETY: see the implementation's head; what is masked out is not written.
        unsafe {
            let start = to.as_mut_ptr().add(at).cast();
            match to.len() - at {
                Self::LANES.. => Self::store(start, vector),
                count => _mm256_maskstore_ps(start, first_eight(count), vector),
            }
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
