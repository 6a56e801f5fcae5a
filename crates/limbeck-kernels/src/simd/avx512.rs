//! AVX-512: F, VL and DQ.

use std::{arch::x86_64::*, mem::MaybeUninit};

use super::{Kernel, Simd, avx2::Avx2};

/// Sixteen lanes, thirty-two registers.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

/// Runs `kernel` with this instruction set.
///
/// # Safety
/// The processor must have it.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma,popcnt")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller has checked for the instruction set.
    unsafe { kernel.run::<Avx512>() }
}

/// The mask of the first `count` lanes, fewer than sixteen.
#[inline(always)]
fn first_lanes(count: usize) -> u16 {
    (1 << count) - 1
}

// SAFETY (all blocks of the implementation): the contract of `Simd` is exactly what the intrinsics
// ask for.
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
    unsafe fn square_root(a: __m512) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_sqrt_ps(a) }
    }

    #[inline(always)]
    unsafe fn at_most(a: __m512, limit: __m512) -> __m512 {
        // The instruction returns its second operand where one is not a number.
        // SAFETY: see the implementation's head.
        unsafe { _mm512_min_ps(limit, a) }
    }

    #[inline(always)]
    unsafe fn where_below(value: __m512, limit: __m512, a: __m512) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NGE_UQ>(value, limit), a) }
    }

    #[inline(always)]
    unsafe fn larger([best, best_tag]: [__m512; 2], candidate: __m512, tag: __m512) -> [__m512; 2] {
        // SAFETY: see the implementation's head.
        unsafe {
            let take = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(candidate, best)
                | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(candidate, candidate);
            [
                _mm512_mask_mov_ps(best, take, candidate),
                _mm512_mask_mov_ps(best_tag, take, tag),
            ]
        }
    }

    #[inline(always)]
    unsafe fn at_least(value: __m512, limit: __m512) -> u32 {
        // SAFETY: see the implementation's head.
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(value, limit)) }
    }

    #[inline(always)]
    unsafe fn count_below(counts: __m512, value: __m512, limit: __m512) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe {
            let below = _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(value, limit);
            _mm512_mask_add_ps(counts, below, counts, _mm512_set1_ps(1.0))
        }
    }

    #[inline(always)]
    unsafe fn store_places(to: *mut u32, first: u32, lanes: u32) {
        // SAFETY: see the implementation's head.
        unsafe {
            let numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let places = _mm512_add_epi32(numbers, _mm512_set1_epi32(first as i32));
            let set = _mm512_maskz_compress_epi32(lanes as u16, places);
            _mm512_storeu_si512(to.cast(), set);
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, vector: __m512) {
        // SAFETY: see the implementation's head.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(vector))) }
    }

    #[inline(always)]
    unsafe fn gather(from: *const f32, places: *const i32) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_i32gather_ps::<4>(_mm512_loadu_si512(places.cast()), from) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_fmadd_ps(a, b, c) }
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
            let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [
                _mm512_permutex2var_ps(a, even, b),
                _mm512_permutex2var_ps(a, odd, b),
            ]
        }
    }

    #[inline(always)]
    unsafe fn load_part(from: &[f32], at: usize) -> __m512 {
        // SAFETY: see the implementation's head; what is masked out is not read.
        unsafe {
            let start = from.as_ptr().add(at);
            match from.len() - at {
                Self::LANES.. => Self::load(start),
                count => _mm512_maskz_loadu_ps(first_lanes(count), start),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_part(to: &mut [MaybeUninit<f32>], at: usize, vector: __m512) {
        // SAFETY: see the implementation's head; what is masked out is not written.
        unsafe {
            let start = to.as_mut_ptr().add(at).cast();
            match to.len() - at {
                Self::LANES.. => Self::store(start, vector),
                count => _mm512_mask_storeu_ps(start, first_lanes(count), vector),
            }
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
