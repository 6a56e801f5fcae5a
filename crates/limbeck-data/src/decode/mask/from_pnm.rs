//! PGM and PBM, whose levels the decoder of images scales to 8 bits.

use std::path::Path;

use super::{RawMask, grey, size, unpacked};
use crate::DataError;

/// A file of the kinds P1, P2, P4 or P5; `None` for other files.
pub(super) fn decode_grey(bytes: &[u8], path: &Path) -> Result<Option<RawMask>, DataError> {
    let (bitmap, text) = match bytes.get(..2) {
        Some(b"P1") => (true, true),
        Some(b"P2") => (false, true),
        Some(b"P4") => (true, false),
        Some(b"P5") => (false, false),
        _ => return Ok(None),
    };
    let short = || DataError::corrupt(path, "the PGM file is cut short or is none");
    let mut rest = &bytes[2..];
    let width = number(&mut rest).ok_or_else(short)?;
    let height = number(&mut rest).ok_or_else(short)?;
    let most = match bitmap {
        true => 1,
        false => number(&mut rest).ok_or_else(short)?,
    };
    if most == 0 || most > u32::from(u16::MAX) {
        let reason = format!("its greatest level is {most}, expected 1 to {}", u16::MAX);
        return Err(DataError::corrupt(path, reason));
    }
    let [width, height] = size(path, width, height)?;
    let count = width * height;
    let ids: Vec<u16> = if text {
        // A level takes a digit at the least, so a short file cannot ask for much memory.
        if rest.len() < count {
            return Err(short());
        }
        let digit = |rest: &mut &[u8]| {
            skip_space(rest);
            let (&first, after) = rest.split_first()?;
            *rest = after;
            first.is_ascii_digit().then(|| u32::from(first - b'0'))
        };
        (0..count)
            .map(|_| match bitmap {
                true => digit(&mut rest),
                false => number(&mut rest),
            })
            .map(|level| level.and_then(|level| u16::try_from(level).ok()))
            .collect::<Option<_>>()
            .ok_or_else(short)?
    } else {
        // One space follows the header.
        let content = rest.get(1..).ok_or_else(short)?;
        let bits = match (bitmap, most) {
            (true, _) => 1,
            (false, ..=255) => 8,
            (false, _) => 16,
        };
        let stride = (width * bits).div_ceil(8);
        let content = content.get(..stride * height).ok_or_else(short)?;
        match bits {
            16 => {
                let pairs = content.chunks_exact(2);
                pairs
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect()
            }
            bits => unpacked(content, width, stride, bits),
        }
    };
    Ok(Some(RawMask {
        width,
        height,
        pixels: grey(ids.into_iter()),
    }))
}

/// Moves behind white space and comments.
fn skip_space(rest: &mut &[u8]) {
    while let [first, after @ ..] = rest {
        if *first == b'#' {
            let end = after.iter().position(|&byte| byte == b'\n');
            *rest = &after[end.unwrap_or(after.len())..];
        } else if first.is_ascii_whitespace() {
            *rest = after;
        } else {
            return;
        }
    }
}

/// Moves behind the next number.
fn number(rest: &mut &[u8]) -> Option<u32> {
    skip_space(rest);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    std::str::from_utf8(number).ok()?.parse().ok()
}
