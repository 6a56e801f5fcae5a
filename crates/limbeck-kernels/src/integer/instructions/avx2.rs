//! AVX2, alone and with VNNI.

use std::arch::x86_64::*;

use super::{Bytes, GREATEST, Kernel, Range};

/// Eight lanes, sixteen registers. `vpmaddubsw` would saturate where both products are large, so bytes
/// are widened to 16 bits, of which `vpmaddwd` loses nothing.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// The same with AVX-VNNI, which has the product of bytes as one instruction.
#[derive(Clone, Copy)]
pub(super) struct AvxVnni;

/// Runs `kernel` with AVX2.
///
/// # Safety
/// The processor must have it.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) {
    // SAFETY: the caller has checked for the instruction set.
    unsafe { kernel.run::<Avx2>() }
}

/// Runs `kernel` with AVX2 and AVX-VNNI.
///
/// # Safety
/// The processor must have them.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn run_vnni<K: Kernel>(kernel: K) {
    // SAFETY: the caller has checked for the instruction set.
    unsafe { kernel.run::<AvxVnni>() }
}

/// Bytes with even numbers and bytes with odd numbers, 16 bits each.
#[derive(Clone, Copy)]
pub(super) struct Halves([__m256i; 2]);

/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn halves_of_unsigned(bytes: __m256i) -> Halves {
    // SAFETY: as this function's own.
    unsafe {
        let even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xFF));
        Halves([even, _mm256_srli_epi16::<8>(bytes)])
    }
}

/// # Safety
/// The processor must have AVX2, and the rows must be valid for 8 bytes.
#[inline(always)]
unsafe fn interleave(rows: [*const u8; 4]) -> __m256i {
    // SAFETY: as this function's own.
    unsafe {
        let [a, b, c, d] = rows;
        let ab = _mm_unpacklo_epi8(_mm_loadl_epi64(a.cast()), _mm_loadl_epi64(b.cast()));
        let cd = _mm_unpacklo_epi8(_mm_loadl_epi64(c.cast()), _mm_loadl_epi64(d.cast()));
        _mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd))
    }
}

/// Nearest whole numbers of what is not above [`GREATEST`].
///
/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn whole(numbers: __m256) -> __m256i {
    // SAFETY: as this function's own.
    unsafe { _mm256_cvtps_epi32(_mm256_min_ps(numbers, _mm256_set1_ps(GREATEST))) }
}

/// What both have in common.
macro_rules! common {
    () => {
        type Sums = __m256i;
        type Numbers = __m256;
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn load(from: *const i32) -> __m256i {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn keep(to: *mut i32, sums: __m256i) {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_storeu_si256(to.cast(), sums) }
        }

        #[inline(always)]
        unsafe fn scaled(sums: __m256i, scale: *const f32, offset: *const f32) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe {
                let product = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scale));
                _mm256_add_ps(product, _mm256_loadu_ps(offset))
            }
        }

        #[inline(always)]
        unsafe fn add_bytes(
            numbers: __m256,
            bytes: *const u8,
            zero_point: i32,
            scale: f32,
        ) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe {
                let whole = _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.cast()));
                let whole = _mm256_sub_epi32(whole, _mm256_set1_epi32(zero_point));
                let product = _mm256_mul_ps(_mm256_cvtepi32_ps(whole), _mm256_set1_ps(scale));
                _mm256_add_ps(numbers, product)
            }
        }

        #[inline(always)]
        unsafe fn add_numbers(numbers: __m256, more: *const f32, scale: f32) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe {
                let product = _mm256_mul_ps(_mm256_loadu_ps(more), _mm256_set1_ps(scale));
                _mm256_add_ps(numbers, product)
            }
        }

        #[inline(always)]
        unsafe fn divided(from: *const f32, scale: f32) -> __m256 {
            // SAFETY: see the implementation's head.
            unsafe {
                let numbers = _mm256_loadu_ps(from);
                let some = _mm256_cmp_ps::<_CMP_ORD_Q>(numbers, numbers);
                _mm256_and_ps(some, _mm256_div_ps(numbers, _mm256_set1_ps(scale)))
            }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, numbers: __m256) {
            // SAFETY: see the implementation's head.
            unsafe { _mm256_storeu_ps(to, numbers) }
        }

        #[inline(always)]
        unsafe fn store_bytes(to: *mut u8, vectors: [__m256; 4], range: Range) {
            // SAFETY: see the implementation's head.
            unsafe {
                let [a, b, c, d] = vectors;
                let zero_point = _mm256_set1_epi16(i16::from(range.zero_point));
                let ab = _mm256_adds_epi16(_mm256_packs_epi32(whole(a), whole(b)), zero_point);
                let cd = _mm256_adds_epi16(_mm256_packs_epi32(whole(c), whole(d)), zero_point);
                let bytes = _mm256_packus_epi16(ab, cd);
                let bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8(range.low.cast_signed()));
                let bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8(range.high.cast_signed()));
                // Packing goes half by half.
                let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
                _mm256_storeu_si256(to.cast(), _mm256_permutevar8x32_epi32(bytes, order));
            }
        }
    };
}

// SAFETY (all blocks of the implementation): the contract of `Bytes` is exactly what the intrinsics ask
// for.
impl Bytes for Avx2 {
    common!();
    type Unsigned = Halves;
    type Signed = Halves;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn repeated(from: *const u8) -> Halves {
        // SAFETY: see the implementation's head.
        unsafe { halves_of_unsigned(_mm256_set1_epi32(from.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    unsafe fn signed(from: *const i8) -> Halves {
        // SAFETY: see the implementation's head.
        unsafe {
            let bytes = _mm256_loadu_si256(from.cast());
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes));
            Halves([even, _mm256_srai_epi16::<8>(bytes)])
        }
    }

    #[inline(always)]
    unsafe fn interleaved(rows: [*const u8; 4]) -> Halves {
        // SAFETY: see the implementation's head.
        unsafe { halves_of_unsigned(interleave(rows)) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, a: Halves, b: Halves) -> __m256i {
        // SAFETY: see the implementation's head.
        unsafe {
            let sums = _mm256_add_epi32(sums, _mm256_madd_epi16(a.0[0], b.0[0]));
            _mm256_add_epi32(sums, _mm256_madd_epi16(a.0[1], b.0[1]))
        }
    }
}

// SAFETY (all blocks of the implementation): the contract of `Bytes` is exactly what the intrinsics ask
// for.
impl Bytes for AvxVnni {
    common!();
    type Unsigned = __m256i;
    type Signed = __m256i;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn repeated(from: *const u8) -> __m256i {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn signed(from: *const i8) -> __m256i {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn interleaved(rows: [*const u8; 4]) -> __m256i {
        // SAFETY: see the implementation's head.
        unsafe { interleave(rows) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see the implementation's head.
        unsafe { _mm256_dpbusd_avx_epi32(sums, a, b) }
    }
}
