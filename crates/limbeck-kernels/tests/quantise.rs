//! Quantisation, in `f32` (the kernels) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::DType;
use limbeck_kernels::{Levels, RowCodes, quantise, quantise_rows, value_range};
use proptest::prelude::*;
use support::{noise, plain, tracked, values, with_threads};

/// Output and gradient.
fn run(x: &[f64], gradient: &[f64], levels: Levels, dtype: DType) -> [Vec<f64>; 2] {
    let x = tracked(x, [x.len()], dtype);
    let y = quantise(x.clone(), levels);
    let gradient = plain(gradient, [gradient.len()], dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    [values(y), values(x.grad(&gradients).expect("x is tracked"))]
}

#[test]
fn halves_go_to_the_even_level_and_what_is_beyond_to_the_last() {
    let levels = Levels {
        per_unit: 2.0,
        first: -1,
        last: 6,
        passes: [-0.5, 3.0],
    };
    // Codes −3, −1, −0.5, 0.5, 1.5, 2.5, 6, 7.
    let x = [-1.5, -0.5, -0.25, 0.25, 0.75, 1.25, 3.0, 3.5];
    for dtype in [DType::F32, DType::F64] {
        let [y, dx] = run(&x, &[2.0; 8], levels, dtype);
        assert_eq!(y, [-0.5, -0.5, 0.0, 0.0, 1.0, 1.0, 3.0, 3.0], "{dtype:?}");
        assert_eq!(dx, [0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0], "{dtype:?}");
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let levels = Levels::covering([-1.0, 1.0], 8).unwrap();
    let y = values(quantise(plain(&[f64::NAN], [1], DType::F32), levels));
    assert!(y[0].is_nan());
}

#[test]
fn rows_have_levels_of_their_own_and_keep_zeros_and_their_largest_number() {
    // Steps of 4 bits: 7/7, 0, 0.7/7.
    let weight = [7.0, -3.4, 0.0, 0.0, 0.0, 0.0, -0.7, 0.34, 0.0];
    for dtype in [DType::F32, DType::F64] {
        let found = values(quantise_rows(plain(&weight, [3, 3], dtype), 4));
        let expected = [7.0, -3.0, 0.0, 0.0, 0.0, 0.0, -0.7, 0.3, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
        let signs = values(quantise_rows(plain(&weight, [3, 3], dtype), 1));
        let mean = 10.4 / 3.0;
        for (found, expected) in signs.iter().zip([mean, -mean, mean]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}

#[test]
fn the_gradient_of_rows_passes_as_it_is() {
    let weight = tracked(&noise(12, 1), [3, 2, 2], DType::F32);
    let gradient = noise(12, 2);
    let y = quantise_rows(weight.clone(), 2);
    let by = plain(&gradient, [3, 2, 2], DType::F32).autodiff();
    let gradients = (y * by).sum().backward();
    assert_eq!(values(weight.grad(&gradients).unwrap()), gradient);
}

#[test]
fn codes_give_back_the_weights_to_the_bit() {
    for bits in 1..=8 {
        let row: Vec<f32> = noise(101, u64::from(bits))
            .iter()
            .map(|&x| x as f32)
            .collect();
        let codes = RowCodes::new(&row, bits);
        let wide: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        let expected = values(quantise_rows(plain(&wide, [1, 101], DType::F32), bits));
        let found: Vec<f64> = codes.values().map(f64::from).collect();
        assert_eq!(found, expected, "{bits} bits");
    }
}

#[test]
fn the_range_is_that_of_all_numbers() {
    for count in [1, 7, 33, 40_001] {
        let x: Vec<f64> = noise(count, 3);
        let fold = |start, choose: fn(f64, f64) -> f64| x.iter().copied().fold(start, choose);
        let expected = [
            fold(f64::INFINITY, f64::min),
            fold(f64::NEG_INFINITY, f64::max),
        ];
        for dtype in [DType::F32, DType::F64] {
            assert_eq!(
                value_range(&plain(&x, [count], dtype)),
                expected,
                "{count} {dtype:?}"
            );
        }
    }
    assert_eq!(
        value_range(&plain(&[-3.0, -2.0], [2], DType::F32)),
        [-3.0, -2.0]
    );
    assert_eq!(value_range(&plain(&[], [0], DType::F32)), [0.0, 0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_count_follows_double_precision(
        count in 1usize..200, seed in 1u64..1 << 32, bits in 1u32..9, low in -1.0..0.0, high in 0.01..1.0
    ) {
        let x: Vec<f64> = noise(count, seed).iter().map(|x| 2.5 * x).collect();
        let gradient = noise(count, seed + 1);
        let levels = Levels::covering([low, high], bits).unwrap();
        let [y, dx] = run(&x, &gradient, levels, DType::F32);
        let [expected_y, expected_dx] = run(&x, &gradient, levels, DType::F64);
        let step = 1.0 / levels.per_unit;
        for i in 0..count {
            // A number between two levels may fall to either, one at the end to either side.
            let fraction = (x[i] * levels.per_unit).rem_euclid(1.0);
            if (fraction - 0.5).abs() > 1e-3 {
                prop_assert!((y[i] - expected_y[i]).abs() < 1e-5 * (1.0 + step));
                prop_assert!((dx[i] - expected_dx[i]).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn rows_of_any_length_follow_double_precision(
        rows in 1usize..20, columns in 1usize..40, seed in 1u64..1 << 32, bits in 1u32..9
    ) {
        let x = noise(rows * columns, seed);
        let one = |dtype| values(quantise_rows(plain(&x, [rows, columns], dtype), bits));
        for ((found, expected), x) in one(DType::F32).into_iter().zip(one(DType::F64)).zip(&x) {
            let step = 0.5 / f64::from((1u32 << (bits.max(2) - 1)) - 1);
            prop_assert!((found - expected).abs() < 1.01 * step + 1e-6, "{found} {expected} {x}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (x, gradient) = (noise(70_000, 1), noise(70_000, 2));
    let levels = Levels::covering([-0.3, 0.4], 4).unwrap();
    let all = || {
        let wide = plain(&x, [7, 10_000], DType::F32);
        (
            run(&x, &gradient, levels, DType::F32),
            value_range(&wide),
            values(quantise_rows(wide, 3)),
        )
    };
    let (one, many) = (with_threads(1, all), with_threads(5, all));
    assert!(one == many);
}
