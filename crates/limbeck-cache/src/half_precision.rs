//! Numbers of two bytes.

use half::{f16, slice::HalfFloatSliceExt};

/// Little-endian numbers of two bytes as single precision ones.
pub(crate) fn decode_f16(bytes: &[u8], into: &mut [f32]) {
    const PIECE: usize = 64;
    let mut halves = [f16::ZERO; PIECE];
    for (numbers, bytes) in into.chunks_mut(PIECE).zip(bytes.chunks(2 * PIECE)) {
        let halves = &mut halves[..numbers.len()];
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*bytes);
        }
        halves.convert_to_f32_slice(numbers);
    }
}
