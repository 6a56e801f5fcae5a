//! Feature maps of bytes.

use std::mem::MaybeUninit;

use super::IntegerError;
use crate::{Levels, profile::wrote};

/// Bytes behind the last one, so that vectors may be read from any place of a map.
pub(super) const SLACK: usize = 64;

/// What bytes stand for: `scale · (byte − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// Step between numbers, finite and above 0.
    pub scale: f32,
    /// The byte that stands for 0, not above `greatest`.
    pub zero_point: u8,
    /// The greatest byte: 255, or less of fewer than 8 bits.
    pub greatest: u8,
}

impl Quantisation {
    /// The steps of a range that has 0 in it after it is widened to it, where bytes reach from its least to
    /// its greatest number. A range without width has steps of 1.
    ///
    /// # Errors
    /// [`IntegerError::Scale`] where a bound is not finite.
    pub fn of_range(least: f32, greatest: f32) -> Result<Self, IntegerError> {
        let (least, greatest) = (least.min(0.0), greatest.max(0.0));
        // Halves first: the width itself may be more than a float holds.
        let scale = greatest / 255.0 - least / 255.0;
        let quantisation = Self {
            scale: if scale == 0.0 { 1.0 } else { scale },
            zero_point: 0,
            greatest: 255,
        };
        quantisation.check("a range")?;
        Ok(Self {
            zero_point: (-least / quantisation.scale)
                .round_ties_even()
                .clamp(0.0, 255.0) as u8,
            ..quantisation
        })
    }

    /// Bytes for `levels`, from the least of them on; `None` where there are more than bytes.
    pub fn of_levels(levels: Levels) -> Option<Self> {
        let quantisation = Self {
            scale: (1.0 / levels.per_unit) as f32,
            zero_point: u8::try_from(-levels.first).ok()?,
            greatest: u8::try_from(levels.last - levels.first).ok()?,
        };
        quantisation.check("levels").ok()?;
        Some(quantisation)
    }

    /// What `byte` stands for.
    pub fn number(&self, byte: u8) -> f32 {
        (i32::from(byte) - i32::from(self.zero_point)) as f32 * self.scale
    }

    /// The byte nearest to `number`, that with the even distance to the zero point of two.
    pub fn byte(&self, number: f32) -> u8 {
        let steps = (number / self.scale).round_ties_even();
        (steps + f32::from(self.zero_point)).clamp(0.0, f32::from(self.greatest)) as u8
    }

    pub(super) fn check(&self, what: &str) -> Result<(), IntegerError> {
        if self.scale.is_finite() && self.scale > 0.0 && self.zero_point <= self.greatest {
            return Ok(());
        }
        Err(IntegerError::Scale {
            what: what.to_owned(),
            found: self.scale,
        })
    }
}

/// Feature maps of unsigned bytes `[B, H, W, C]`, channels last.
#[derive(Clone, Debug)]
pub struct ByteMap {
    /// With the slack.
    bytes: Vec<u8>,
    shape: [usize; 4],
    quantisation: Quantisation,
}

impl ByteMap {
    /// Of bytes `[B, H, W, C]`.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where there are more or fewer, [`IntegerError::Scale`].
    pub fn new(
        bytes: &[u8],
        shape: [usize; 4],
        quantisation: Quantisation,
    ) -> Result<Self, IntegerError> {
        let count = shape
            .iter()
            .try_fold(1usize, |count, &n| count.checked_mul(n));
        if count != Some(bytes.len()) {
            return Err(IntegerError::Shape {
                what: "a map of bytes",
                expected: format!("as many as {shape:?} has"),
                found: format!("{} bytes", bytes.len()),
            });
        }
        quantisation.check("a map of bytes")?;
        // SAFETY: all of the room is written.
        Ok(unsafe {
            Self::filled(shape, quantisation, |room| {
                room.write_copy_of_slice(bytes);
            })
        })
    }

    /// A map whose bytes `work` writes.
    ///
    /// # Safety
    /// `work` must write all of the room.
    pub(super) unsafe fn filled(
        shape: [usize; 4],
        quantisation: Quantisation,
        work: impl FnOnce(&mut [MaybeUninit<u8>]),
    ) -> Self {
        let count: usize = shape.iter().product();
        let mut bytes = Vec::with_capacity(count + SLACK);
        wrote(count);
        let (room, slack) = bytes.spare_capacity_mut().split_at_mut(count);
        work(room);
        slack[..SLACK].fill(MaybeUninit::new(0));
        // SAFETY: the caller's `work` and the line before have written all of it.
        unsafe { bytes.set_len(count + SLACK) };
        Self {
            bytes,
            shape,
            quantisation,
        }
    }

    /// The bytes, `[B, H, W, C]`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - SLACK]
    }

    /// The bytes, and those behind them that may be read as well.
    pub(super) fn with_slack(&self) -> &[u8] {
        &self.bytes
    }

    /// `[B, H, W, C]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// What the bytes stand for.
    pub fn quantisation(&self) -> Quantisation {
        self.quantisation
    }

    /// The same bytes in another shape of as many, such as `[B, 1, 1, H · W · C]` for a linear layer.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where it has more or fewer.
    pub fn reshaped(self, shape: [usize; 4]) -> Result<Self, IntegerError> {
        let count = shape
            .iter()
            .try_fold(1usize, |count, &n| count.checked_mul(n));
        if count != Some(self.bytes().len()) {
            return Err(IntegerError::Shape {
                what: "another shape of a map of bytes",
                expected: format!("{} bytes", self.bytes().len()),
                found: format!("{shape:?}"),
            });
        }
        Ok(Self { shape, ..self })
    }
}
