//! Divergences and cross entropies against the definition, in `f32` (the kernel) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::DType;
use limbeck_kernels::{
    cross_entropy_with_shares, divergence, divergence_with_slopes, soft_cross_entropy,
};
use support::{noise, plain, tracked, values, with_threads};

/// Rows, width, and how far apart numbers are.
const CASES: [(usize, usize, f64); 8] = [
    (1, 1, 1.0),
    (3, 2, 5.0),
    (7, 16, 1.0),
    (5, 17, 30.0),
    (40, 19, 3.0),
    (2, 1000, 2.0),
    (300, 150, 4.0),
    (3, 40_000, 1.0),
];

const SCALE: f64 = 0.7;

/// Value and gradient by the definition.
fn definition(x: &[f64], target: &[f64], width: usize) -> (f64, Vec<f64>) {
    let softmax = |row: &[f64]| {
        let largest = row.iter().copied().fold(f64::MIN, f64::max);
        let e: Vec<f64> = row.iter().map(|x| (SCALE * (x - largest)).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.into_iter().map(|e| e / sum).collect::<Vec<_>>()
    };
    let (mut value, mut gradient) = (0.0, Vec::new());
    for (x, target) in x.chunks(width).zip(target.chunks(width)) {
        for (p, q) in softmax(x).into_iter().zip(softmax(target)) {
            if q > 0.0 {
                value += q * (q / p).ln();
            }
            gradient.push(SCALE * (p - q));
        }
    }
    (value, gradient)
}

fn inputs(rows: usize, width: usize, spread: f64) -> [Vec<f64>; 2] {
    [1, 2].map(|seed| {
        let numbers = noise(rows * width, seed).into_iter();
        numbers.map(|x| spread * x - 3.0).collect()
    })
}

#[test]
fn value_and_gradient_are_those_of_the_definition() {
    for (rows, width, spread) in CASES {
        let [x, target] = inputs(rows, width, spread);
        let (expected, slopes) = definition(&x, &target, width);
        for (dtype, allowed) in [(DType::F64, 1e-11), (DType::F32, 2e-5)] {
            let leaf = tracked(&x, [rows, width], dtype);
            let constant = plain(&target, [rows, width], dtype);
            let found = divergence(leaf.clone(), constant.clone(), SCALE);
            let value = values(found.clone())[0];
            let size = rows as f64 + expected.abs();
            assert!(
                (value - expected).abs() <= allowed * size,
                "{rows} × {width}: {value} and {expected}"
            );
            let gradients = (found * 3.0).backward();
            let gradient = values(leaf.grad(&gradients).unwrap());
            for (found, expected) in gradient.iter().zip(&slopes) {
                assert!(
                    (found - 3.0 * expected).abs() <= allowed,
                    "{found} and {expected}"
                );
            }
            let (same, parts) = divergence_with_slopes(leaf, constant, SCALE);
            assert_eq!(values(same), [value]);
            for (found, expected) in values(parts).iter().zip(&slopes) {
                assert!(
                    (found - expected).abs() <= allowed,
                    "{found} and {expected}"
                );
            }
        }
    }
}

#[test]
fn the_target_gets_no_gradient() {
    let [x, target] = inputs(3, 5, 1.0);
    let x = tracked(&x, [3, 5], DType::F32);
    let target = tracked(&target, [3, 5], DType::F32);
    let gradients = divergence(x.clone(), target.clone(), 1.0).backward();
    assert!(x.grad(&gradients).is_some() && target.grad(&gradients).is_none());
}

#[test]
fn equal_rows_cost_nothing_and_great_numbers_stay_finite() {
    let [x, _] = inputs(4, 33, 1e4);
    let same = plain(&x, [4, 33], DType::F32);
    let value = values(divergence(same.clone(), same.clone(), 1.0))[0];
    assert_eq!(value, 0.0);
    let other = values(divergence(same.clone(), same.neg(), 1.0))[0];
    assert!(other.is_finite() && other > 0.0);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (rows, width, spread) in CASES {
        let [x, target] = inputs(rows, width, spread);
        let run = || {
            let x = plain(&x, [rows, width], DType::F32);
            let target = plain(&target, [rows, width], DType::F32);
            let (sum, slopes) = divergence_with_slopes(x, target, SCALE);
            (values(sum), values(slopes))
        };
        assert!(
            with_threads(1, run) == with_threads(3, run),
            "{rows} × {width}"
        );
    }
}

#[test]
fn rows_of_other_shapes_are_refused() {
    let [x, target] = [[2, 3], [3, 2]].map(|shape| plain(&[0.0; 6], shape, DType::F32));
    let refused = std::panic::catch_unwind(|| divergence(x, target, 1.0));
    assert!(refused.is_err());
}

/// Sizes of maps, and how far apart numbers are.
const MAPS: [([usize; 4], f64); 6] = [
    ([1, 1, 1, 1], 1.0),
    ([2, 3, 5, 7], 5.0),
    ([1, 19, 4, 4], 30.0),
    ([3, 2, 1, 17], 1.0),
    ([2, 21, 64, 64], 2.0),
    ([1, 5, 65, 67], 3.0),
];

fn maps(shape: [usize; 4], spread: f64) -> [Vec<f64>; 2] {
    inputs(shape.iter().product(), 1, spread)
}

/// Maps `[B, K, pixels]` as rows of K numbers, or rows as maps.
fn transposed(numbers: &[f64], lengths: [usize; 2]) -> Vec<f64> {
    let [rows, columns] = lengths;
    let images = numbers.chunks(rows * columns);
    let of = |image: &[f64]| -> Vec<f64> {
        (0..rows * columns)
            .map(|i| image[i % rows * columns + i / rows])
            .collect()
    };
    images.flat_map(of).collect()
}

#[test]
fn cross_entropies_of_maps_are_those_of_the_definition() {
    for (shape, spread) in MAPS {
        let [batch, classes, height, width] = shape;
        let pixels = height * width;
        let [x, target] = maps(shape, spread);
        let [rows, target_rows] = [&x, &target].map(|maps| transposed(maps, [classes, pixels]));
        let (mut expected, mut slopes) = (0.0, Vec::new());
        for (x, target) in rows.chunks(classes).zip(target_rows.chunks(classes)) {
            let log_sum = |row: &[f64]| row.iter().map(|x| x.exp()).sum::<f64>().ln();
            let (own, other) = (log_sum(x), log_sum(target));
            for (x, target) in x.iter().zip(target) {
                expected -= (target - other).exp() * (x - own);
                slopes.push((x - own).exp() - (target - other).exp());
            }
        }
        let slopes = transposed(&slopes, [pixels, classes]);
        for (dtype, allowed) in [(DType::F64, 1e-11), (DType::F32, 2e-5)] {
            let leaf = tracked(&x, shape, dtype);
            let constant = tracked(&target, shape, dtype);
            let found = soft_cross_entropy(leaf.clone(), constant.clone());
            let value = values(found.clone())[0];
            let size = (batch * pixels) as f64 + expected.abs();
            assert!(
                (value - expected).abs() <= allowed * size,
                "{shape:?}: {value} and {expected}"
            );
            let gradients = (found * 3.0).backward();
            assert!(constant.grad(&gradients).is_none());
            let gradient = values(leaf.grad(&gradients).unwrap());
            for (found, expected) in gradient.iter().zip(&slopes) {
                assert!(
                    (found - 3.0 * expected).abs() <= 2.0 * allowed,
                    "{found} and {expected}"
                );
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_of_maps() {
    for (shape, spread) in MAPS {
        let [x, target] = maps(shape, spread);
        let run = || {
            let leaf = tracked(&x, shape, DType::F32);
            let found = soft_cross_entropy(leaf.clone(), plain(&target, shape, DType::F32));
            let gradients = found.backward();
            (values(found), values(leaf.grad(&gradients).unwrap()))
        };
        assert!(with_threads(1, run) == with_threads(3, run), "{shape:?}");
    }
}

#[test]
fn maps_far_apart_stay_finite() {
    let [x, _] = maps([1, 3, 5, 5], 1e4);
    let x = plain(&x, [1, 3, 5, 5], DType::F32);
    let value = values(soft_cross_entropy(x.clone(), x.neg()))[0];
    assert!(value.is_finite() && value > 0.0);
}

#[test]
fn maps_of_other_shapes_are_refused() {
    let [x, target] = [[1, 2, 3, 1], [1, 3, 2, 1]].map(|shape| plain(&[0.0; 6], shape, DType::F32));
    let refused = std::panic::catch_unwind(|| soft_cross_entropy(x, target));
    assert!(refused.is_err());
}

#[test]
fn cross_entropies_with_shares_are_those_of_the_definition() {
    for (rows, width, spread) in CASES {
        let [x, shares] = inputs(rows, width, spread);
        // Of any sum, some of them below zero.
        let shares: Vec<f64> = shares
            .iter()
            .map(|s| (s + 3.0) / spread / 4.0 - 0.05)
            .collect();
        let (mut expected, mut slopes) = (0.0, Vec::new());
        for (x, shares) in x.chunks(width).zip(shares.chunks(width)) {
            let largest = x.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = x.iter().map(|x| (x - largest).exp()).sum();
            let all: f64 = shares.iter().sum();
            for (x, share) in x.iter().zip(shares) {
                let log = x - largest - sum.ln();
                expected -= share * log;
                slopes.push(all * log.exp() - share);
            }
        }
        let size: f64 = shares.iter().map(|share| share.abs()).sum::<f64>() * (1.0 + spread);
        for (dtype, allowed) in [(DType::F64, 1e-11), (DType::F32, 2e-5)] {
            let leaf = tracked(&x, [rows, width], dtype);
            let constant = tracked(&shares, [rows, width], dtype);
            let found = cross_entropy_with_shares(leaf.clone(), constant.clone());
            let value = values(found.clone())[0];
            assert!(
                (value - expected).abs() <= allowed * (1.0 + size),
                "{rows} × {width}: {value} and {expected}"
            );
            let gradients = (found * 3.0).backward();
            assert!(constant.grad(&gradients).is_none());
            let gradient = values(leaf.grad(&gradients).unwrap());
            let most = slopes
                .iter()
                .fold(1.0, |most: f64, slope| most.max(slope.abs()));
            for (found, expected) in gradient.iter().zip(&slopes) {
                assert!(
                    (found - 3.0 * expected).abs() <= 3.0 * allowed * most,
                    "{rows} × {width}: {found} and {expected}"
                );
            }
        }
        let run = || {
            let x = tracked(&x, [rows, width], DType::F32);
            let shares = plain(&shares, [rows, width], DType::F32);
            let found = cross_entropy_with_shares(x.clone(), shares);
            let gradients = found.backward();
            (values(found), values(x.grad(&gradients).unwrap()))
        };
        assert!(
            with_threads(1, run) == with_threads(3, run),
            "{rows} × {width}"
        );
    }
}
