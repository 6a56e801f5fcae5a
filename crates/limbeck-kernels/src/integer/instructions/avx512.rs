//! AVX-512: F, BW, VL and VNNI.

use std::arch::x86_64::*;

use super::{Bytes, GREATEST, Kernel, Range};

/// Sixteen lanes, thirty-two registers.
#[derive(Clone, Copy)]
pub(super) struct Avx512Vnni;

/// Runs `kernel` with this instruction set.
///
/// # Safety
/// The processor must have it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) {
    // SAFETY: the caller has checked for the instruction set.
    unsafe { kernel.run::<Avx512Vnni>() }
}

/// Nearest whole numbers of what is not above [`GREATEST`].
///
/// # Safety
/// The processor must have AVX-512 F.
#[inline(always)]
unsafe fn whole(numbers: __m512) -> __m512i {
    // SAFETY: as this function's own.
    unsafe { _mm512_cvtps_epi32(_mm512_min_ps(numbers, _mm512_set1_ps(GREATEST))) }
}

// SAFETY (all blocks of the implementation): the contract of `Bytes` is exactly what the intrinsics ask
// for.
impl Bytes for Avx512Vnni {
    type Sums = __m512i;
    type Numbers = __m512;
    type Unsigned = __m512i;
    type Signed = __m512i;
    const LANES: usize = 16;
    const ROWS: usize = 14;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m512i {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn keep(to: *mut i32, sums: __m512i) {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_storeu_si512(to.cast(), sums) }
    }

    #[inline(always)]
    unsafe fn repeated(from: *const u8) -> __m512i {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn signed(from: *const i8) -> __m512i {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn interleaved(rows: [*const u8; 4]) -> __m512i {
        // SAFETY: see the implementation's head.
        unsafe {
            let [a, b, c, d] = rows;
            let joined = _mm512_castsi128_si512(_mm_loadu_si128(a.cast()));
            let joined = _mm512_inserti32x4::<1>(joined, _mm_loadu_si128(b.cast()));
            let joined = _mm512_inserti32x4::<2>(joined, _mm_loadu_si128(c.cast()));
            let joined = _mm512_inserti32x4::<3>(joined, _mm_loadu_si128(d.cast()));
            // Four lanes of all rows come together in a quarter, then the bytes of each lane.
            let quarters = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let square = _mm512_broadcast_i32x4(_mm_setr_epi8(
                0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
            ));
            _mm512_shuffle_epi8(_mm512_permutexvar_epi32(quarters, joined), square)
        }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_dpbusd_epi32(sums, a, b) }
    }

    #[inline(always)]
    unsafe fn scaled(sums: __m512i, scale: *const f32, offset: *const f32) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe {
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(scale));
            _mm512_add_ps(product, _mm512_loadu_ps(offset))
        }
    }

    #[inline(always)]
    unsafe fn add_bytes(numbers: __m512, bytes: *const u8, zero_point: i32, scale: f32) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe {
            let whole = _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.cast()));
            let whole = _mm512_sub_epi32(whole, _mm512_set1_epi32(zero_point));
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(scale));
            _mm512_add_ps(numbers, product)
        }
    }

    #[inline(always)]
    unsafe fn add_numbers(numbers: __m512, more: *const f32, scale: f32) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe {
            let product = _mm512_mul_ps(_mm512_loadu_ps(more), _mm512_set1_ps(scale));
            _mm512_add_ps(numbers, product)
        }
    }

    #[inline(always)]
    unsafe fn divided(from: *const f32, scale: f32) -> __m512 {
        // SAFETY: see the implementation's head.
        unsafe {
            let numbers = _mm512_loadu_ps(from);
            let some = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(numbers, numbers);
            _mm512_maskz_div_ps(some, numbers, _mm512_set1_ps(scale))
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, numbers: __m512) {
        // SAFETY: see the implementation's head.
        unsafe { _mm512_storeu_ps(to, numbers) }
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, vectors: [__m512; 4], range: Range) {
        // SAFETY: see the implementation's head.
        unsafe {
            let [a, b, c, d] = vectors;
            let zero_point = _mm512_set1_epi16(i16::from(range.zero_point));
            let ab = _mm512_adds_epi16(_mm512_packs_epi32(whole(a), whole(b)), zero_point);
            let cd = _mm512_adds_epi16(_mm512_packs_epi32(whole(c), whole(d)), zero_point);
            let bytes = _mm512_packus_epi16(ab, cd);
            let bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(range.low.cast_signed()));
            let bytes = _mm512_min_epu8(bytes, _mm512_set1_epi8(range.high.cast_signed()));
            // Packing goes quarter by quarter.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            _mm512_storeu_si512(to.cast(), _mm512_permutexvar_epi32(order, bytes));
        }
    }
}
