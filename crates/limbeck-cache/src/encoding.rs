//! How an output is stored.

use std::fmt;

use half::{f16, slice::HalfFloatSliceExt};
use limbeck_kernels::all_finite;
use serde::{Deserialize, Serialize};

use crate::half_precision::decode_f16;
use crate::sparse::{self, Entries, Minor};

/// How the numbers of an output are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As they are, 4 bytes each.
    F32,
    /// Rounded to IEEE half precision, 2 bytes each: relative error at most 2⁻¹¹ between 6·10⁻⁵
    /// and 65,504, the largest that can be stored.
    F16,
    /// One scale for the whole output, max |v| / 127 (4 bytes), and a byte each: absolute error at
    /// most half the scale.
    I8,
    /// Of logits only: the K most probable classes with their probabilities, of maps those of each
    /// position; see [`Minor`] for the rest. 4 bytes a class, 6 where there are more than 65,536
    /// classes.
    TopK(usize),
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => write!(f, "f32"),
            Self::F16 => write!(f, "f16"),
            Self::I8 => write!(f, "i8"),
            Self::TopK(k) => write!(f, "top-{k}"),
        }
    }
}

impl Encoding {
    /// Bytes of an output of `shape`; `None` where that overflows.
    pub(crate) fn bytes(self, shape: &[usize]) -> Option<usize> {
        let product = |sides: &[usize]| {
            let mut sides = sides.iter();
            sides.try_fold(1_usize, |product, &side| product.checked_mul(side))
        };
        let numbers = product(shape)?;
        match self {
            Self::F32 => numbers.checked_mul(4),
            Self::F16 => numbers.checked_mul(2),
            Self::I8 => numbers.checked_add(4),
            Self::TopK(k) => {
                let (&classes, positions) = shape.split_first()?;
                let each = k.checked_mul(sparse::entry_bytes(sparse::is_wide(classes)))?;
                each.checked_mul(product(positions)?)
            }
        }
    }

    /// Whether an output of this shape can be stored so.
    pub(crate) fn check(self, shape: &[usize]) -> Result<(), String> {
        let Self::TopK(k) = self else { return Ok(()) };
        let (&[classes] | &[classes, _, _]) = shape else {
            return Err(format!(
                "only logits, of shape [classes] or [classes, height, width], can be stored as \
                 top-{k}, not {shape:?}"
            ));
        };
        if k == 0 || k >= classes {
            return Err(format!(
                "top-{k} of {classes} classes; expected at least 1 and fewer than there are"
            ));
        }
        Ok(())
    }

    /// Appends `numbers`, an output of `shape`. The first number that cannot be stored is given
    /// back, and what was appended is then worth nothing.
    pub(crate) fn encode(
        self,
        shape: &[usize],
        numbers: &[f32],
        room: &mut sparse::Room,
        into: &mut Vec<u8>,
    ) -> Result<(), f32> {
        /// Numbers that are rounded at once.
        const PIECE: usize = 64;
        if !all_finite(numbers)
            && let Some(&broken) = numbers.iter().find(|number| !number.is_finite())
        {
            return Err(broken);
        }
        match self {
            Self::F32 => into.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
            Self::F16 => {
                let mut rounded = [f16::ZERO; PIECE];
                for numbers in numbers.chunks(PIECE) {
                    let rounded = &mut rounded[..numbers.len()];
                    rounded.convert_from_f32_slice(numbers);
                    if let Some(large) = rounded.iter().position(|number| !number.is_finite()) {
                        return Err(numbers[large]);
                    }
                    into.extend(rounded.iter().flat_map(|number| number.to_le_bytes()));
                }
            }
            Self::I8 => {
                let largest = numbers.iter().fold(0.0_f32, |max, n| max.max(n.abs()));
                let scale = largest / 127.0;
                into.extend(scale.to_le_bytes());
                // Smaller than the smallest normal number times 127 there is no scale to divide by.
                let inverse = if scale.is_normal() { 1.0 / scale } else { 0.0 };
                into.extend((numbers.iter()).map(|number| (number * inverse).round() as i8 as u8));
            }
            Self::TopK(k) => match *shape {
                [classes, _, _] => sparse::encode_map(numbers, classes, k, room, into),
                _ => sparse::encode(numbers, k, sparse::is_wide(numbers.len()), room, into),
            },
        }
        Ok(())
    }

    /// Decodes what [`Encoding::encode`] wrote for an output of `shape`, which has `into.len()`
    /// numbers; `None` for bytes that it cannot have written.
    pub(crate) fn decode(
        self,
        shape: &[usize],
        bytes: &[u8],
        minor: Minor,
        into: &mut [f32],
    ) -> Option<()> {
        match self {
            Self::F32 => {
                for (number, bytes) in into.iter_mut().zip(bytes.as_chunks().0) {
                    *number = f32::from_le_bytes(*bytes);
                }
            }
            Self::F16 => decode_f16(bytes, into),
            Self::I8 => {
                let (scale, bytes) = bytes.split_first_chunk()?;
                let scale = f32::from_le_bytes(*scale);
                for (number, &byte) in into.iter_mut().zip(bytes) {
                    *number = f32::from(byte as i8) * scale;
                }
            }
            Self::TopK(k) => {
                return match *shape {
                    [classes, _, _] => sparse::decode_map(bytes, classes, k, minor, into),
                    _ => Entries::new(bytes, k, sparse::is_wide(into.len()))
                        .and_then(|entries| entries.decode(minor, into)),
                };
            }
        }
        Some(())
    }
}
