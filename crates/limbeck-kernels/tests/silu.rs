//! The sigmoid-weighted unit, in `f32` (the kernel) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

#[path = "support/difference.rs"]
mod difference;
mod support;

use burn::tensor::DType;
use difference::differences;
use limbeck_kernels::silu;
use proptest::prelude::*;
use support::{assert_close, noise, plain, tracked, values, with_threads};

/// Output and gradient.
fn run(x: &[f64], gradient: &[f64], dtype: DType) -> [Vec<f64>; 2] {
    let x = tracked(x, [x.len()], dtype);
    let y = silu(x.clone());
    let gradient = plain(gradient, [gradient.len()], dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    [values(y), values(x.grad(&gradients).expect("x is tracked"))]
}

#[test]
fn known_values() {
    // x/(1 + e⁻ˣ) with e = 2.718281828459045, e² = 7.389056098930650.
    let x = [0.0, 1.0, -1.0, 2.0, -2.0, 40.0, -40.0];
    let expected = [
        0.0,
        0.731_058_578_630_005,
        -0.268_941_421_369_995,
        1.761_594_155_955_765,
        -0.238_405_844_044_235,
        40.0,
        0.0,
    ];
    for (dtype, tolerance) in [(DType::F32, 1e-7), (DType::F64, 1e-14)] {
        let [y, _] = run(&x, &[1.0; 7], dtype);
        for (found, expected) in y.iter().zip(expected) {
            let scale = f64::max(1.0, f64::abs(expected));
            assert!(
                (found - expected).abs() <= tolerance * scale,
                "{found} {expected}"
            );
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let x = [f64::INFINITY, f64::NAN, f64::NEG_INFINITY];
    let y = values(silu(plain(&x, [3], DType::F32)));
    assert_eq!(y[0], f64::INFINITY);
    assert!(y[1].is_nan() && (y[2].is_nan() || y[2] <= 0.0));
}

#[test]
fn single_precision_is_double_precision_rounded() {
    let x: Vec<f64> = (-40_000..40_000)
        .map(|i| f64::from(i as f32 * 3e-4))
        .collect();
    let ones = vec![1.0; x.len()];
    let [y, dx] = run(&x, &ones, DType::F32);
    let [expected_y, expected_dx] = run(&x, &ones, DType::F64);
    for i in 0..x.len() {
        let bound = 2e-7 * x[i].abs().max(1.0);
        assert!(
            (y[i] - expected_y[i]).abs() < bound,
            "at {}: {}",
            x[i],
            y[i]
        );
        assert!(
            (dx[i] - expected_dx[i]).abs() < 5e-7,
            "slope at {}: {}",
            x[i],
            dx[i]
        );
    }
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let x: Vec<f64> = noise(33, 1).iter().map(|x| 8.0 * x).collect();
    let gradient = noise(33, 2);
    let function = |x: &[f64]| values(silu(plain(x, [x.len()], DType::F64)));
    let expected = differences(function, &x, &gradient);
    let [_, dx] = run(&x, &gradient, DType::F64);
    assert_close("f64", &dx, &expected, 1e-8);
    let [_, dx] = run(&x, &gradient, DType::F32);
    assert_close("f32", &dx, &expected, 2e-6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_count_follows_double_precision(count in 1usize..200, seed in 1u64..1 << 32) {
        let x: Vec<f64> = noise(count, seed).iter().map(|x| 12.0 * x).collect();
        let x: Vec<f64> = x.into_iter().map(|x| f64::from(x as f32)).collect();
        let gradient = noise(count, seed + 1);
        let single = run(&x, &gradient, DType::F32);
        for (found, expected) in single.iter().zip(run(&x, &gradient, DType::F64)) {
            for (found, expected) in found.iter().zip(expected) {
                prop_assert!((found - expected).abs() < 1.5e-6);
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (x, gradient) = (noise(40_001, 1), noise(40_001, 2));
    let one = with_threads(1, || run(&x, &gradient, DType::F32));
    let many = with_threads(5, || run(&x, &gradient, DType::F32));
    assert!(one == many);
}
