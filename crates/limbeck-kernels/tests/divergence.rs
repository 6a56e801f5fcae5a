//! Divergences against the definition, in `f32` (the kernel) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::DType;
use limbeck_kernels::{divergence, divergence_with_slopes};
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
