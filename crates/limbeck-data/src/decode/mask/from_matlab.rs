//! MATLAB files of version 5, as far as SBD's masks need them: a structure `GTcls` (or `GTinst`) with
//! a field `Segmentation`, a matrix of bytes.
//!
//! Elements follow one another: type and length of 4 bytes each, then content, made up to 8 bytes;
//! contents of up to 4 bytes lie in the second half of an element of 8. Element 15 holds others,
//! compressed by zlib. Element 14 is an array: flags, sizes, name, then its content, or, of a
//! structure, the length of a field's name, the names, and an array for each field.

use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use super::{RawMask, grey, size};
use crate::DataError;

const HEADER: usize = 128;
const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// Class of an array that is a structure.
const STRUCTURE: u8 = 2;

/// Most bytes of what is compressed.
const MAX_CONTENT: u64 = 256 << 20;

/// How deep structures may lie in each other.
const MAX_DEPTH: usize = 4;

/// The field that holds the ids.
const FIELD: &[u8] = b"Segmentation";

/// Whether a file says of itself that it is of this kind.
pub(super) fn is_matlab(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MATLAB 5.0 MAT-file")
}

pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<RawMask, DataError> {
    let corrupt = |reason: &str| DataError::corrupt(path, reason);
    if bytes.get(126..HEADER) != Some(b"IM") {
        return Err(corrupt("the MATLAB file is cut short or not little-endian"));
    }
    let mut rest = &bytes[HEADER..];
    while let Some((kind, content)) = element(&mut rest) {
        let held;
        let (kind, content) = match kind {
            COMPRESSED => {
                let mut inner = Vec::new();
                ZlibDecoder::new(content)
                    .take(MAX_CONTENT)
                    .read_to_end(&mut inner)
                    .map_err(|e| corrupt(&e.to_string()))?;
                held = inner;
                let mut inner = held.as_slice();
                match element(&mut inner) {
                    Some(element) => element,
                    None => return Err(corrupt("what is compressed is cut short")),
                }
            }
            other => (other, content),
        };
        if kind == MATRIX
            && let Some((height, width, ids)) = segmentation(content, false, 0)
        {
            let [width, height] = size(path, width, height)?;
            if ids.len() != width * height {
                return Err(corrupt("its matrix has another size than it says"));
            }
            // Columns follow one another.
            let at = |row: usize, column: usize| u16::from(ids[column * height + row]);
            let pixels = (0..height).flat_map(|row| (0..width).map(move |column| at(row, column)));
            return Ok(RawMask {
                width,
                height,
                pixels: grey(pixels),
            });
        }
    }
    Err(corrupt(
        "it has no field `Segmentation` of bytes, as masks of SBD have",
    ))
}

/// Moves behind the next element: its type and its content.
fn element<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let bytes = *rest;
    let first = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    if first >> 16 != 0 {
        // A small one: its length is in the upper half of its type.
        let content = bytes
            .get(4..4 + (first >> 16) as usize)
            .filter(|small| small.len() <= 4)?;
        *rest = bytes.get(8..)?;
        return Some((first & 0xffff, content));
    }
    let length = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    let content = bytes.get(8..)?.get(..length)?;
    // What is compressed is not made up.
    let whole = match first {
        COMPRESSED => length,
        _ => length.next_multiple_of(8),
    };
    *rest = bytes.get((8 + whole).min(bytes.len())..)?;
    Some((first, content))
}

/// Height, width and bytes of the field that holds ids, in an array; `wanted` if the array is that
/// field.
fn segmentation(array: &[u8], wanted: bool, depth: usize) -> Option<(u32, u32, &[u8])> {
    let mut rest = array;
    let (UINT32, flags) = element(&mut rest)? else {
        return None;
    };
    let class = *flags.first()?;
    let (INT32, sizes) = element(&mut rest)? else {
        return None;
    };
    let (INT8, _name) = element(&mut rest)? else {
        return None;
    };
    let side = |at: usize| Some(u32::from_le_bytes(sizes.get(at..at + 4)?.try_into().ok()?));
    if class != STRUCTURE {
        let (UINT8, content) = element(&mut rest)? else {
            return None;
        };
        return (wanted && sizes.len() == 8).then_some((side(0)?, side(4)?, content));
    }
    let (INT32, length) = element(&mut rest)? else {
        return None;
    };
    let length = u32::from_le_bytes(length.get(..4)?.try_into().ok()?) as usize;
    let (INT8, names) = element(&mut rest)? else {
        return None;
    };
    if length == 0 || depth == MAX_DEPTH {
        return None;
    }
    for name in names.chunks_exact(length) {
        let (MATRIX, field) = element(&mut rest)? else {
            return None;
        };
        let name = name.split(|byte| *byte == 0).next()?;
        let found = segmentation(field, name == FIELD, depth + 1);
        if found.is_some() {
            return found;
        }
    }
    None
}
