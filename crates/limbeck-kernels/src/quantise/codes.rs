//! The whole numbers that quantised weights are stored as.

use super::span;

/// A row of weights as codes: see [`crate::quantise_rows`].
#[derive(Clone, Debug, PartialEq)]
pub struct RowCodes {
    /// Distance of two levels; with 1 bit, the size of both.
    pub step: f32,
    /// A whole number for each weight; with 1 bit, −1 or 1.
    pub codes: Vec<i8>,
}

impl RowCodes {
    /// Codes of `row`, of `bits` bits (1 to 8).
    ///
    /// # Panics
    /// Where there are no bits, or more than 8.
    pub fn new(row: &[f32], bits: u32) -> Self {
        assert!((1..=8).contains(&bits), "weights of {bits} bits");
        let step = span::step(row, bits);
        let codes = row.iter().map(|&x| span::code(x, step, bits) as i8);
        Self {
            step,
            codes: codes.collect(),
        }
    }

    /// The weights, to the bit what [`crate::quantise_rows`] makes of the row.
    pub fn values(&self) -> impl Iterator<Item = f32> + '_ {
        self.codes.iter().map(|&code| f32::from(code) * self.step)
    }
}
