//! PNG, without its decoder's resolving of palettes and scaling of levels.

use std::io::Cursor;
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::{
    RawMask, RawPixels, colours_alpha, colours_of, grey, grey_alpha, mask_kind, size, unpacked,
};
use crate::DataError;
use crate::decode::MAX_DECODED;

pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<RawMask, DataError> {
    let corrupt = |e: DecodingError| DataError::corrupt(path, e.to_string());
    let limits = Limits {
        bytes: MAX_DECODED as usize,
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(corrupt)?;
    let [width, height] = size(path, header.width, header.height)?;
    let mut reader = decoder.read_info().map_err(corrupt)?;
    let buffer = reader
        .output_buffer_size()
        .filter(|&size| size as u64 <= MAX_DECODED);
    let Some(buffer) = buffer else {
        return Err(DataError::corrupt(path, "it is too big"));
    };
    let mut samples = vec![0; buffer];
    let frame = reader.next_frame(&mut samples).map_err(corrupt)?;
    if (frame.width as usize, frame.height as usize) != (width, height) {
        let reason = format!(
            "its first frame has {}x{} pixels of {width}x{height}",
            frame.width, frame.height
        );
        return Err(DataError::corrupt(path, reason));
    }
    samples.truncate(frame.buffer_size());
    let palette = reader.info().palette.as_deref().map(colours_of);
    let deep = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
    let bits = match frame.bit_depth {
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
        BitDepth::Eight => 8,
        BitDepth::Sixteen => 16,
    };
    let pixels = match (frame.color_type, bits) {
        (ColorType::Grayscale, 16) => grey(samples.chunks_exact(2).map(deep)),
        (ColorType::Grayscale, _) => {
            grey(unpacked(&samples, width, frame.line_size, bits).into_iter())
        }
        (ColorType::Indexed, 1..=8) => RawPixels::Ids {
            ids: unpacked(&samples, width, frame.line_size, bits),
            palette,
        },
        (ColorType::GrayscaleAlpha, 16) => {
            let samples: Vec<u16> = samples.chunks_exact(2).map(deep).collect();
            grey_alpha(&samples, path, |level| *level)?
        }
        (ColorType::GrayscaleAlpha, _) => grey_alpha(&samples, path, |level| u16::from(*level))?,
        (ColorType::Rgb, 8) => RawPixels::Colours(colours_of(&samples)),
        (ColorType::Rgba, 8) => colours_alpha(&samples, path)?,
        _ => return Err(mask_kind(path, "it has colours of 16 bits a channel")),
    };
    Ok(RawMask {
        width,
        height,
        pixels,
    })
}
