//! Whether numbers are numbers.

use crate::simd::{Kernel, Simd, dispatch};

/// Whether all are finite.
#[must_use]
pub fn all_finite(numbers: &[f32]) -> bool {
    dispatch(Finite(numbers))
}

struct Finite<'a>(&'a [f32]);

impl Kernel for Finite<'_> {
    type Output = bool;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> bool {
        /// Added to a number's bits without its sign, it carries into the sign's place where the
        /// exponent has all bits set: an infinity, or no number.
        const LAST_OF_EXPONENT: u32 = 1 << 23;
        // All of them: stopping at the first would keep the compiler from testing several at once.
        let broken = (self.0.iter())
            .map(|number| number.abs().to_bits() + LAST_OF_EXPONENT)
            .fold(0, |broken, one| broken | one);
        broken >> 31 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_number_anywhere_is_found() {
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for count in [1, 4, 17, 100] {
                let mut numbers = vec![f32::MAX; count];
                assert!(all_finite(&numbers));
                for place in 0..count {
                    numbers[place] = broken;
                    assert!(!all_finite(&numbers), "{broken} at {place} of {count}");
                    numbers[place] = -0.0;
                }
            }
        }
        assert!(all_finite(&[]));
    }
}
