//! Squared errors against the definition, in `f32` (the kernel) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{PyramidLevel, mean_squared_error, pyramid_squared_error};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

fn levels(sides: &[usize]) -> Vec<PyramidLevel> {
    let weights = [0.5, 2.0, -0.25].into_iter().cycle();
    let both = sides.iter().zip(weights);
    both.map(|(&side, weight)| PyramidLevel { side, weight })
        .collect()
}

/// Error, and its gradient with respect to the first side.
fn definition(shape: [usize; 4], a: &[f64], b: &[f64], levels: &[PyramidLevel]) -> (f64, Vec<f64>) {
    let [batch, channels, height, width] = shape;
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let count = differences.len() as f64;
    let mut error = differences.iter().map(|d| d * d).sum::<f64>() / count;
    let mut slopes: Vec<f64> = differences.iter().map(|d| 2.0 * d / count).collect();
    for &PyramidLevel { side, weight } in levels {
        let means = (batch * channels * side * side) as f64;
        let part = |size: usize, i: usize| i * size / side..((i + 1) * size).div_ceil(side);
        for map in 0..batch * channels {
            for (row, column) in (0..side).flat_map(|row| (0..side).map(move |c| (row, c))) {
                let places: Vec<usize> = part(height, row)
                    .flat_map(|y| part(width, column).map(move |x| (map * height + y) * width + x))
                    .collect();
                let area = places.len() as f64;
                let mean = places.iter().map(|&i| differences[i]).sum::<f64>() / area;
                error += weight * mean * mean / means;
                for place in places {
                    slopes[place] += weight * 2.0 * mean / (means * area);
                }
            }
        }
    }
    (error, slopes)
}

/// The error of whichever function there is for these levels.
fn error(a: Tensor<4>, b: Tensor<4>, levels: &[PyramidLevel]) -> Tensor<1> {
    match levels.is_empty() {
        true => mean_squared_error(a, b),
        false => pyramid_squared_error(a, b, levels),
    }
}

fn check(shape: [usize; 4], sides: &[usize], seed: u64) {
    let count = shape.iter().product();
    let [a, b] = [seed, seed + 1].map(|seed| noise(count, seed));
    let levels = levels(sides);
    let (expected, slopes) = definition(shape, &a, &b, &levels);
    let opposite: Vec<f64> = slopes.iter().map(|slope| -3.0 * slope).collect();
    let slopes: Vec<f64> = slopes.iter().map(|slope| 3.0 * slope).collect();
    for (dtype, tolerance) in [(DType::F32, 4e-6), (DType::F64, 1e-12)] {
        let what = |part: &str| format!("{dtype:?} {part} of {shape:?} at {sides:?}");
        let leaves = || [&a, &b].map(|side| tracked(side, shape, dtype));
        let constants = || [&a, &b].map(|side| plain(side, shape, dtype));

        let [first, second] = leaves();
        let found = error(first.clone(), second.clone(), &levels);
        assert_close(
            &what("error"),
            &values(found.clone()),
            &[expected],
            tolerance,
        );
        let gradients = (found.clone() * 3.0).backward();
        let of_first = values(first.grad(&gradients).unwrap());
        let of_second = values(second.grad(&gradients).unwrap());
        assert_close(&what("slopes"), &of_first, &slopes, tolerance);
        assert_close(&what("opposite slopes"), &of_second, &opposite, tolerance);

        // One side that learns has the same gradients, none at all the same error.
        let ([first, second], [a, b]) = (leaves(), constants());
        let gradients = (error(first.clone(), b.clone(), &levels) * 3.0).backward();
        assert_eq!(values(first.grad(&gradients).unwrap()), of_first);
        let gradients = (error(a.clone(), second.clone(), &levels) * 3.0).backward();
        assert_eq!(values(second.grad(&gradients).unwrap()), of_second);
        assert_eq!(values(error(a, b, &levels)), values(found));
    }
}

#[test]
fn errors_and_gradients_are_those_of_the_definition() {
    for shape in [
        [2, 3, 8, 8],
        [1, 2, 64, 64],
        [1, 2, 7, 13],
        [2, 1, 5, 1],
        [1, 1, 1, 1],
        [1, 1, 70, 90],
        [2, 2, 130, 131],
    ] {
        for sides in [&[][..], &[1], &[4, 2, 1], &[3, 5], &[7]] {
            check(shape, sides, 3);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_maps_follow_the_definition(
        shape in (1usize..=3, 1usize..=3, 1usize..=37, 1usize..=41),
        sides in prop::collection::vec(1usize..=6, 0..=3),
        seed in 1u64..1 << 32,
    ) {
        check([shape.0, shape.1, shape.2, shape.3], &sides, seed);
    }
}

#[test]
fn tensors_of_any_rank_and_order_are_compared() {
    let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let row = plain(&numbers, [6], DType::F32);
    let found = mean_squared_error(row.clone(), row.zeros_like());
    assert_close("row", &values(found), &[91.0 / 6.0], 1e-6);
    let turned = plain(&numbers, [3, 2], DType::F32).transpose();
    let other = plain(&[1.0, 3.0, 5.0, 2.0, 4.0, 9.0], [2, 3], DType::F32);
    assert_eq!(values(mean_squared_error(turned, other)), [1.5]);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (shape, sides) in [
        ([5, 7, 33, 29], &[4, 2, 1][..]),
        ([5, 7, 33, 29], &[]),
        ([3, 200, 8, 8], &[4]),
    ] {
        let [a, b] = [1, 2].map(|seed| noise(shape.iter().product(), seed));
        let on = |threads| {
            with_threads(threads, || {
                let leaf = tracked(&a, shape, DType::F32);
                let constant = plain(&b, shape, DType::F32);
                let found = error(leaf.clone(), constant, &levels(sides));
                let gradients = found.clone().backward();
                (bits(found), bits(leaf.grad(&gradients).unwrap()))
            })
        };
        let one = on(1);
        for threads in [2, 5] {
            assert!(one == on(threads), "{shape:?} on {threads} threads");
        }
    }
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    let mut numbers = noise(64, 1);
    numbers[63] = f64::NAN;
    let a = plain(&numbers, [1, 1, 8, 8], DType::F32);
    let b = a.zeros_like();
    for sides in [&[][..], &[2]] {
        assert!(values(error(a.clone(), b.clone(), &levels(sides)))[0].is_nan());
    }
}

#[test]
#[should_panic(expected = "cannot be compared number by number")]
fn tensors_of_other_shapes_are_refused() {
    let [a, b] = [[2, 3], [1, 3]].map(|shape| plain(&vec![0.0; shape[0] * 3], shape, DType::F32));
    mean_squared_error(a, b);
}

#[test]
#[should_panic(expected = "cannot be compared at")]
fn a_side_of_zero_is_refused() {
    let x = plain(&[1.0], [1, 1, 1, 1], DType::F32);
    pyramid_squared_error(x.clone(), x, &levels(&[0]));
}
