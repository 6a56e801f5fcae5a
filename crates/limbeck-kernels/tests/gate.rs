//! Gates against the definition, in `f32` (the kernels) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::gated;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

const COUNTS: [usize; 6] = [1, 7, 16, 333, 16_384, 50_001];

/// Gated numbers, and the gradients of both sides.
fn definition(count: usize) -> [Vec<f64>; 3] {
    let [x, logits, gradient] = inputs(count);
    let mut found = [const { Vec::new() }; 3];
    for i in 0..count {
        let share = 1.0 / (1.0 + (-logits[i]).exp());
        found[0].push(x[i] * share);
        found[1].push(gradient[i] * share);
        found[2].push(gradient[i] * x[i] * share * (1.0 - share));
    }
    found
}

/// Logits from −20 to 20.
fn inputs(count: usize) -> [Vec<f64>; 3] {
    let logits = noise(count, 2).into_iter().map(|v| 40.0 * v).collect();
    [noise(count, 1), logits, noise(count, 3)]
}

fn run(count: usize, dtype: DType) -> [Tensor<1>; 3] {
    let [x, logits, gradient] = inputs(count);
    let x = tracked(&x, [count], dtype);
    let logits = tracked(&logits, [count], dtype);
    let output = gated(x.clone(), logits.clone());
    let gradient = plain(&gradient, [count], dtype).autodiff();
    let gradients = (output.clone() * gradient).sum().backward();
    let [of_x, of_logits] = [x, logits].map(|leaf| leaf.grad(&gradients).unwrap());
    [output.inner(), of_x, of_logits]
}

#[test]
fn gated_numbers_and_gradients_are_those_of_the_definition() {
    for count in COUNTS {
        let expected = definition(count);
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-13)] {
            for (index, found) in run(count, dtype).into_iter().enumerate() {
                let what = format!("{dtype:?} {index} of {count}");
                assert_close(&what, &values(found), &expected[index], tolerance);
            }
        }
    }
}

#[test]
fn gates_that_are_wide_open_or_shut_stay_numbers() {
    let x = tracked(&[1.0; 4], [4], DType::F32);
    let logits = tracked(&[-1e30, -200.0, 200.0, 1e30], [4], DType::F32);
    let output = gated(x.clone(), logits.clone());
    let gradients = output.clone().sum().backward();
    assert_close("output", &values(output), &[0.0, 0.0, 1.0, 1.0], 1e-6);
    let of_logits = values(logits.grad(&gradients).unwrap());
    assert_close("gradient", &of_logits, &[0.0; 4], 1e-6);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for count in COUNTS {
        let on = |threads| with_threads(threads, || run(count, DType::F32).map(bits));
        let one = on(1);
        for threads in [2, 5] {
            assert!(one == on(threads), "{count} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "have no gates")]
fn gates_of_another_shape_are_refused() {
    gated(
        plain(&[0.0; 2], [2], DType::F32),
        plain(&[0.0; 3], [3], DType::F32),
    );
}
