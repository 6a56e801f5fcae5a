//! Softmax of rows that are stored: the same numbers give the same bits on every processor.
//!
//! Layers take the faster [`crate::elementary::exponential`], whose last bit depends on whether the
//! processor fuses a product with a sum. Here they are fused everywhere, by a function where there
//! is no instruction: every operation is one that IEEE 754 rounds, in an order that the row alone
//! decides.

use crate::simd::{Kernel, Simd, dispatch};

/// Σ exp(number − largest) over a row, with `largest` the largest of its numbers.
#[must_use]
pub fn sum_of_exponentials(numbers: &[f32], largest: f32) -> f64 {
    dispatch(Sum { numbers, largest })
}

/// Turns each number to exp(number − largest), with `largest` no smaller than any of them.
pub fn exponentials(numbers: &mut [f32], largest: f32) {
    dispatch(Each { numbers, largest });
}

struct Sum<'a> {
    numbers: &'a [f32],
    largest: f32,
}

impl Kernel for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        /// Sums side by side, as many as the widest vector has.
        const SUMS: usize = crate::simd::MOST_LANES;
        /// Numbers after which they are added up in double precision.
        const BLOCK: usize = 16 * SUMS;
        let mut totals = [0.0; SUMS];
        for block in self.numbers.chunks(BLOCK) {
            let mut sums = [0.0_f32; SUMS];
            let (whole, rest) = block.as_chunks::<SUMS>();
            for numbers in whole {
                for i in 0..SUMS {
                    sums[i] += exponential(numbers[i] - self.largest);
                }
            }
            for (sum, number) in sums.iter_mut().zip(rest) {
                *sum += exponential(number - self.largest);
            }
            for i in 0..SUMS {
                totals[i] += f64::from(sums[i]);
            }
        }
        totals.into_iter().sum()
    }
}

struct Each<'a> {
    numbers: &'a mut [f32],
    largest: f32,
}

impl Kernel for Each<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for number in self.numbers {
            *number = exponential(*number - self.largest);
        }
    }
}

/// eˣ for x from -∞ to 0, to 2 units in the last place; 0 below −87. No branches, and fused where it
/// says so alone, so that a compiler makes vectors of it that have the bits of single numbers.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    /// Added to a number of less than 23 bits and taken off again, it leaves the nearest whole
    /// number, which is in the sum's lowest bits meanwhile.
    const ROUNDING: f32 = 12_582_912.0;
    /// ln 2 = HIGH + LOW; HIGH has so few digits that its small multiples are exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUNDING);
    let whole = shifted - ROUNDING;
    let rest = whole.mul_add(-LOW, whole.mul_add(-HIGH, x));
    // Taylor's series up to the seventh power: the rest is at most ln 2 / 2.
    let mut sum: f32 = 1.0 / 5040.0;
    for term in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum.mul_add(rest, term);
    }
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUNDING.to_bits())
        .wrapping_add(127);
    let found = sum * f32::from_bits(exponent << 23);
    // Whatever has become of smaller ones, whose power of two does not exist.
    if x > -87.0 { found } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_two_units_in_the_last_place() {
        let x: Vec<f32> = (0..870_000).map(|i| -(i as f32) * 1e-4).collect();
        let mut found = x.clone();
        exponentials(&mut found, 0.0);
        for (&x, &found) in x.iter().zip(&found) {
            let exact = f64::from(x).exp();
            let error = (f64::from(found) - exact).abs() / exact;
            assert!(error <= 2.0 * f64::from(f32::EPSILON), "{x}: {error}");
        }
        let mut ends = [0.0, -88.0, f32::MIN];
        exponentials(&mut ends, 0.0);
        assert_eq!(ends, [1.0, 0.0, 0.0]);
    }

    #[test]
    fn the_sum_is_that_of_its_definition() {
        for count in [0, 1, 15, 16, 17, 255, 256, 257, 1000, 21_841] {
            let numbers: Vec<f32> = (0..count)
                .map(|i| (i * 7919 % 1009) as f32 * 0.02 - 12.0)
                .collect();
            let largest = numbers.iter().copied().fold(f32::MIN, f32::max);
            let exact: f64 = (numbers.iter())
                .map(|&number| f64::from(number - largest).exp())
                .sum();
            let found = sum_of_exponentials(&numbers, largest);
            assert!((found - exact).abs() <= 1e-6 * exact, "{count}: {found}");
        }
    }
}
