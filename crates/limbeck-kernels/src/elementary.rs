//! Elementary functions of vectors.

use crate::simd::Simd;

/// ln 2 in two parts, the first with so few digits that small multiples of it are exact (Cody and
/// Waite, "Software Manual for the Elementary Functions", 1980, chapter 6).
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Below, eˣ is smaller than the smallest normal number.
const LOWEST_EXPONENT: f32 = -87.3;
/// Above, 2ⁿ is no number of `f32`.
const HIGHEST_EXPONENT: f32 = 88.3;
/// Added to a number below 2²² and taken off again, it leaves the nearest whole number.
const ROUNDING: f32 = 12_582_912.0;

/// eˣ to 2 units in the last place; at the least e to −87.3, at the most e to 88.3.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn exponential<S: Simd>(x: S::Vector) -> S::Vector {
    // SAFETY: as this function's own.
    unsafe {
        let x = S::maximum(S::splat(LOWEST_EXPONENT), x);
        let negative = S::subtract(S::splat(0.0), x);
        let negative = S::maximum(S::splat(-HIGHEST_EXPONENT), negative);
        let x = S::subtract(S::splat(0.0), negative);
        let shifted = S::multiply_add(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUNDING));
        let n = S::subtract(shifted, S::splat(ROUNDING));
        let r = S::multiply_add(n, S::splat(-LN_2[0]), x);
        let r = S::multiply_add(n, S::splat(-LN_2[1]), r);
        // Taylor's series: |r| is at most ln 2 / 2, the first term left out 5e-9.
        let mut sum = S::splat(1.0 / 5040.0);
        for factor in [
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ] {
            sum = S::multiply_add(sum, r, S::splat(factor));
        }
        S::multiply(sum, S::power_of_two(n))
    }
}

/// 1/√(2π).
pub(crate) const DENSITY_SCALE: f32 = 0.398_942_3;

/// Slope of the variable s = z/(z + 1/[`TAIL_SLOPE`]) in which the tail of the normal distribution
/// is a polynomial.
const TAIL_SLOPE: f32 = 0.35;
/// exp(z²)·erfc(z) as a polynomial in s, lowest power first, for z up to 9.5: its largest relative
/// error, 1.6e-8, is the smallest that a polynomial with this constant term and of this degree has
/// (found by reweighted least squares in `f64`).
const TAIL: [f32; 10] = [
    1.0,
    -3.223_938_7,
    4.939_260_5,
    -4.441_839,
    1.944_497,
    0.160_482_44,
    -0.474_018_87,
    -0.039_419_71,
    0.202_429_16,
    -0.067_510_22,
];
/// Farther from 0 the distribution is 0 or 1 to the last digit.
const FARTHEST: f32 = 13.0;

/// The standard normal distribution Φ(x), to 1e-7, and √(2π) times its density, exp(−x²/2).
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn normal_distribution<S: Simd>(x: S::Vector) -> [S::Vector; 2] {
    // SAFETY: as this function's own.
    unsafe {
        let zero = S::splat(0.0);
        let distance = S::maximum(x, S::subtract(zero, x));
        let distance = S::maximum(S::splat(-FARTHEST), S::subtract(zero, distance));
        let distance = S::subtract(zero, distance);
        let slope = TAIL_SLOPE * std::f32::consts::FRAC_1_SQRT_2;
        let z = S::multiply(distance, S::splat(slope));
        let s = S::divide(z, S::add(z, S::splat(1.0)));
        let mut tail = S::splat(TAIL[TAIL.len() - 1]);
        for i in (0..TAIL.len() - 1).rev() {
            tail = S::multiply_add(tail, s, S::splat(TAIL[i]));
        }
        let square = S::multiply(distance, distance);
        let density = exponential::<S>(S::multiply(square, S::splat(-0.5)));
        let tail = S::multiply(S::multiply(density, S::splat(0.5)), tail);
        // 1 − tail on the side where x is positive.
        let other = S::multiply_add(tail, S::splat(-2.0), S::splat(1.0));
        [S::add(tail, S::where_positive(x, other)), density]
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::simd::{Kernel, dispatch};

    /// The function that is tested, for each number of a slice.
    struct Each<'a> {
        x: &'a [f32],
        y: &'a mut [f32],
        normal: bool,
    }

    impl Kernel for Each<'_> {
        type Output = ();

        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            // SAFETY: as this function's own; `at` stays inside both, which are equally long.
            unsafe {
                for at in (0..self.x.len()).step_by(S::LANES) {
                    let x = S::load_part(self.x, at);
                    let y = if self.normal {
                        normal_distribution::<S>(x)[0]
                    } else {
                        exponential::<S>(x)
                    };
                    let mut vector = [MaybeUninit::new(0.0); crate::simd::MOST_LANES];
                    S::store_part(&mut vector, 0, y);
                    let count = S::LANES.min(self.x.len() - at);
                    for (to, from) in self.y[at..at + count].iter_mut().zip(vector) {
                        *to = from.assume_init();
                    }
                }
            }
        }
    }

    fn each(x: &[f32], normal: bool) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        dispatch(Each {
            x,
            y: &mut y,
            normal,
        });
        y
    }

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        let x: Vec<f32> = (-87_000..88_000).map(|i| i as f32 * 0.001).collect();
        for (x, y) in x.iter().zip(each(&x, false)) {
            let expected = f64::from(*x).exp();
            let error = (f64::from(y) / expected - 1.0).abs();
            assert!(error < 2.4e-7, "exp({x}) is {y}, off by {error}");
        }
    }

    #[test]
    fn the_exponential_of_what_is_far_off_is_an_end_of_its_range() {
        let y = each(&[0.0, -1e30, f32::NEG_INFINITY, 1e30, f32::NAN], false);
        assert_eq!(y[0], 1.0);
        assert!(y[1] > 0.0 && y[1] < 1.3e-38 && y[2] == y[1]);
        assert!(y[3] > 1e38 && y[3].is_finite());
        assert!(y[4].is_nan());
    }

    #[test]
    fn the_normal_distribution_has_its_known_values() {
        // Abramowitz and Stegun, "Handbook of Mathematical Functions", table 26.1.
        let known = [
            (0.0, 0.5),
            (0.5, 0.691_462_461_274_013),
            (1.0, 0.841_344_746_068_543),
            (1.5, 0.933_192_798_731_142),
            (2.0, 0.977_249_868_051_821),
            (3.0, 0.998_650_101_968_370),
            (4.0, 0.999_968_328_758_167),
        ];
        for (x, expected) in known {
            let y = each(&[x, -x], true);
            assert!((f64::from(y[0]) - expected).abs() < 1e-7, "{x}: {}", y[0]);
            let tail = 1.0 - expected;
            assert!((f64::from(y[1]) - tail).abs() < 1e-7, "-{x}: {}", y[1]);
        }
        // The far tail keeps its digits: Φ(−6) = 9.865876450377e-10 (table 26.2).
        assert!((f64::from(each(&[-6.0], true)[0]) / 9.865_876_450_377e-10 - 1.0).abs() < 3e-6);
        let y = each(&[1e30, -1e30, f32::INFINITY, f32::NAN], true);
        assert_eq!((y[0], y[2]), (1.0, 1.0));
        assert!(y[1] < 1e-37 && y[3].is_nan());
    }
}
