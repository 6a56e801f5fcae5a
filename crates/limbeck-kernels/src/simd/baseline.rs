//! What every processor has that the program was compiled for.

use super::Simd;

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
    unsafe fn multiply(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn divide(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] / b[i])
    }

    #[inline(always)]
    unsafe fn square_root(a: [f32; 4]) -> [f32; 4] {
        a.map(f32::sqrt)
    }

    #[inline(always)]
    unsafe fn at_most(a: [f32; 4], limit: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] >= limit[i] { limit[i] } else { a[i] })
    }

    #[inline(always)]
    unsafe fn where_below(value: [f32; 4], limit: [f32; 4], a: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if value[i] >= limit[i] { 0.0 } else { a[i] })
    }

    #[inline(always)]
    unsafe fn larger(best: [[f32; 4]; 2], candidate: [f32; 4], tag: [f32; 4]) -> [[f32; 4]; 2] {
        let mut result = best;
        for i in 0..4 {
            if candidate[i] > best[0][i] || candidate[i].is_nan() {
                result[0][i] = candidate[i];
                result[1][i] = tag[i];
            }
        }
        result
    }

    #[inline(always)]
    unsafe fn at_least(value: [f32; 4], limit: [f32; 4]) -> u32 {
        (0..4).fold(0, |bits, i| bits | u32::from(value[i] >= limit[i]) << i)
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, vector: [f32; 4]) {
        // SAFETY: the caller vouches for four bytes.
        unsafe {
            to.cast::<[u8; 4]>()
                .write_unaligned(vector.map(|v| v as u8))
        }
    }

    #[inline(always)]
    unsafe fn gather(from: *const f32, places: *const i32) -> [f32; 4] {
        // SAFETY: the caller vouches for four places and for the numbers at them.
        unsafe {
            let places = places.cast::<[i32; 4]>().read_unaligned();
            places.map(|place| *from.offset(place as isize))
        }
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
