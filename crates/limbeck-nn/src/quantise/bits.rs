//! A number of bits.

use std::fmt;

use super::QuantiseError;

/// Bits of a weight or an activation: 1 to 8, or 32, which leaves numbers as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits(u8);

impl Bits {
    /// Single precision: nothing is quantised.
    pub const FULL: Self = Self(32);
    /// What images have, and what integer kernels read.
    pub const BYTE: Self = Self(8);

    /// This many.
    ///
    /// # Errors
    /// [`QuantiseError::Bits`] of any but 1 to 8 and 32.
    pub fn new(bits: u32) -> Result<Self, QuantiseError> {
        match bits {
            1..=8 | 32 => Ok(Self(bits as u8)),
            found => Err(QuantiseError::Bits { found }),
        }
    }

    /// How many.
    pub fn count(self) -> u32 {
        u32::from(self.0)
    }

    /// Whether numbers stay as they are.
    pub fn is_full(self) -> bool {
        self == Self::FULL
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_eight_and_thirty_two_bits_there_are() {
        let known: Vec<u32> = (0..100).filter(|&bits| Bits::new(bits).is_ok()).collect();
        assert_eq!(known, [1, 2, 3, 4, 5, 6, 7, 8, 32]);
        let error = Bits::new(16).unwrap_err().to_string();
        assert!(error.starts_with("16 bits: "), "{error}");
    }
}
