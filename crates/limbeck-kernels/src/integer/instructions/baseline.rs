//! What every processor has.

use super::{Bytes, GREATEST, Range};

/// Eight lanes, made of whatever the compiler finds.
#[derive(Clone, Copy)]
pub(super) struct Baseline;

const LANES: usize = 8;

/// 1.5 · 2²³: added to a number below 2²², it leaves no room for a fraction, so that the sum is rounded to a whole
/// number, halves to even ones. The instruction that rounds is not everywhere.
const ROUNDS: f32 = 12_582_912.0;

// SAFETY (all blocks of the implementation): pointers are read and written for as many numbers as the
// contract of `Bytes` says.
impl Bytes for Baseline {
    type Sums = [i32; LANES];
    type Numbers = [f32; LANES];
    // The first byte of all lanes, then the others, in 16 bits: what compilers multiply well everywhere.
    type Unsigned = [[i16; LANES]; 4];
    type Signed = [[i16; LANES]; 4];
    const LANES: usize = LANES;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> [i32; LANES] {
        // SAFETY: see the implementation's head.
        unsafe { from.cast::<[i32; LANES]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn keep(to: *mut i32, sums: [i32; LANES]) {
        // SAFETY: see the implementation's head.
        unsafe { to.cast::<[i32; LANES]>().write_unaligned(sums) }
    }

    #[inline(always)]
    unsafe fn repeated(from: *const u8) -> [[i16; LANES]; 4] {
        // SAFETY: see the implementation's head.
        let bytes = unsafe { from.cast::<[u8; 4]>().read_unaligned() };
        bytes.map(|byte| [i16::from(byte); LANES])
    }

    #[inline(always)]
    unsafe fn signed(from: *const i8) -> [[i16; LANES]; 4] {
        // SAFETY: see the implementation's head.
        let bytes = unsafe { from.cast::<[[i8; 4]; LANES]>().read_unaligned() };
        std::array::from_fn(|i| bytes.map(|four| i16::from(four[i])))
    }

    #[inline(always)]
    unsafe fn interleaved(rows: [*const u8; 4]) -> [[i16; LANES]; 4] {
        // SAFETY: see the implementation's head.
        let rows = rows.map(|row| unsafe { row.cast::<[u8; LANES]>().read_unaligned() });
        rows.map(|row| row.map(i16::from))
    }

    #[inline(always)]
    unsafe fn dot(
        mut sums: [i32; LANES],
        a: [[i16; LANES]; 4],
        b: [[i16; LANES]; 4],
    ) -> [i32; LANES] {
        for i in 0..4 {
            for lane in 0..LANES {
                sums[lane] += i32::from(a[i][lane]) * i32::from(b[i][lane]);
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn scaled(sums: [i32; LANES], scale: *const f32, offset: *const f32) -> [f32; LANES] {
        // SAFETY: see the implementation's head.
        let [scale, offset] =
            [scale, offset].map(|from| unsafe { from.cast::<[f32; LANES]>().read_unaligned() });
        std::array::from_fn(|lane| sums[lane] as f32 * scale[lane] + offset[lane])
    }

    #[inline(always)]
    unsafe fn add_bytes(
        numbers: [f32; LANES],
        bytes: *const u8,
        zero_point: i32,
        scale: f32,
    ) -> [f32; LANES] {
        // SAFETY: see the implementation's head.
        let bytes = unsafe { bytes.cast::<[u8; LANES]>().read_unaligned() };
        let number = |lane: usize| (i32::from(bytes[lane]) - zero_point) as f32 * scale;
        std::array::from_fn(|lane| numbers[lane] + number(lane))
    }

    #[inline(always)]
    unsafe fn add_numbers(numbers: [f32; LANES], more: *const f32, scale: f32) -> [f32; LANES] {
        // SAFETY: see the implementation's head.
        let more = unsafe { more.cast::<[f32; LANES]>().read_unaligned() };
        std::array::from_fn(|lane| numbers[lane] + more[lane] * scale)
    }

    #[inline(always)]
    unsafe fn divided(from: *const f32, scale: f32) -> [f32; LANES] {
        // SAFETY: see the implementation's head.
        let numbers = unsafe { from.cast::<[f32; LANES]>().read_unaligned() };
        numbers.map(|number| if number.is_nan() { 0.0 } else { number / scale })
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, numbers: [f32; LANES]) {
        // SAFETY: see the implementation's head.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(numbers) }
    }

    #[inline(always)]
    #[expect(
        clippy::manual_clamp,
        reason = "what is not a number must become one, as elsewhere"
    )]
    unsafe fn store_bytes(to: *mut u8, vectors: [[f32; LANES]; 4], range: Range) {
        for (index, vector) in vectors.into_iter().enumerate() {
            let bytes: [u8; LANES] = std::array::from_fn(|lane| {
                let number = vector[lane].min(GREATEST).max(-GREATEST);
                let whole = ((number + ROUNDS) - ROUNDS) as i32;
                let moved = whole + i32::from(range.zero_point);
                moved.clamp(i32::from(range.low), i32::from(range.high)) as u8
            });
            // SAFETY: see the implementation's head.
            unsafe {
                to.add(index * LANES)
                    .cast::<[u8; LANES]>()
                    .write_unaligned(bytes)
            }
        }
    }
}
