//! BMP with a palette, whose positions are the ids. Colours go through the decoder of images.

use std::path::Path;

use super::{RawMask, RawPixels, mask_kind, size, unpacked};
use crate::DataError;

/// Bytes before the header of the picture.
const FILE_HEADER: usize = 14;

/// A BMP file of 1, 4 or 8 bits a pixel; `None` for other files.
pub(super) fn decode_indexed(bytes: &[u8], path: &Path) -> Result<Option<RawMask>, DataError> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let short = || DataError::corrupt(path, "the BMP file is cut short");
    if !bytes.starts_with(b"BM") || number(FILE_HEADER).is_none_or(|size| size < 40) {
        return Ok(None);
    }
    let (Some(start), Some(header), Some(width), Some(height), Some(planes), Some(compression)) = (
        number(10),
        number(FILE_HEADER),
        number(18),
        number(22),
        number(26),
        number(30),
    ) else {
        return Err(short());
    };
    // Two numbers of 16 bits: planes, then bits of a pixel.
    let bits = (planes >> 16) as usize;
    if !matches!(bits, 1 | 4 | 8) {
        return Ok(None);
    }
    if compression != 0 {
        return Err(mask_kind(path, "it is a compressed BMP file"));
    }
    let signed = height as i32;
    let [width, height] = size(path, width, signed.unsigned_abs())?;
    // Rows are made up to whole groups of four bytes.
    let stride = (width * bits).div_ceil(32) * 4;
    let content = bytes
        .get(start as usize..)
        .and_then(|rest| rest.get(..stride * height))
        .ok_or_else(short)?;
    let mut ids = unpacked(content, width, stride, bits);
    if signed > 0 {
        ids = ids.chunks_exact(width).rev().flatten().copied().collect();
    }
    let colours = match number(46) {
        Some(0) | None => 1 << bits,
        Some(colours) => (colours as usize).min(1 << bits),
    };
    let palette = bytes
        .get(FILE_HEADER + header as usize..)
        .and_then(|rest| rest.get(..4 * colours))
        .ok_or_else(short)?
        .chunks_exact(4)
        .map(|entry| [entry[2], entry[1], entry[0]])
        .collect();
    Ok(Some(RawMask {
        width,
        height,
        pixels: RawPixels::Ids {
            ids,
            palette: Some(palette),
        },
    }))
}
