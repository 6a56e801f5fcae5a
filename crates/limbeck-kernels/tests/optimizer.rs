//! Steps of optimisers against their definition, in `f32` (the kernels) and `f64` (burn's own
//! operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{
    AdamWStep, AdamWTensors, SgdStep, adamw_step, moving_average, sgd_step, sum_of_squares,
};
use proptest::prelude::*;
use support::{assert_within, bits, noise, plain, values, with_threads};

/// The largest error of a number after three steps: values, gradients and what is added to them are
/// of the order of 1, however small their sum is.
const TYPES: [(DType, f64); 2] = [(DType::F32, 1e-6), (DType::F64, 1e-14)];

const SGD: SgdStep = SgdStep {
    learning_rate: 0.1,
    weight_decay: 0.05,
    momentum: 0.9,
    dampening: 0.25,
    nesterov: false,
};

const ADAMW: AdamWStep = AdamWStep {
    learning_rate: 0.01,
    weight_decay: 0.5,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-3,
    step: 1,
};

/// Parameter and momentum after three steps.
fn sgd_by_definition(count: usize, step: SgdStep) -> [Vec<f64>; 2] {
    let mut value = noise(count, 1);
    let mut momentum = vec![0.0; count];
    for number in 0..3 {
        for (i, gradient) in noise(count, 2 + number).into_iter().enumerate() {
            let gradient = gradient + step.weight_decay * value[i];
            momentum[i] = match number {
                0 => gradient,
                _ => step.momentum * momentum[i] + (1.0 - step.dampening) * gradient,
            };
            let direction = match (step.momentum == 0.0, step.nesterov) {
                (true, _) => gradient,
                (false, true) => gradient + step.momentum * momentum[i],
                (false, false) => momentum[i],
            };
            value[i] -= step.learning_rate * direction;
        }
    }
    [value, momentum]
}

fn sgd(count: usize, step: SgdStep, dtype: DType) -> (Tensor<1>, Option<Tensor<1>>) {
    let mut value = plain(&noise(count, 1), [count], dtype);
    let mut momentum = None;
    for number in 0..3 {
        let gradient = plain(&noise(count, 2 + number), [count], dtype);
        (value, momentum) = sgd_step(value, gradient, momentum, step);
    }
    (value, momentum)
}

fn check_sgd(count: usize, step: SgdStep) {
    let [expected, expected_momentum] = sgd_by_definition(count, step);
    for (dtype, tolerance) in TYPES {
        let (value, momentum) = sgd(count, step, dtype);
        let what = format!("{dtype:?} {step:?} of {count}");
        assert_within(&what, &values(value), &expected, tolerance);
        assert_eq!(momentum.is_some(), step.momentum != 0.0);
        if let Some(momentum) = momentum {
            assert_within(&what, &values(momentum), &expected_momentum, tolerance);
        }
    }
}

/// Parameter, mean and squared mean after three steps.
fn adamw_by_definition(count: usize, step: AdamWStep) -> [Vec<f64>; 3] {
    let mut value = noise(count, 1);
    let [mut mean, mut square] = [vec![0.0; count], vec![0.0; count]];
    for number in 0..3 {
        for (i, g) in noise(count, 2 + number).into_iter().enumerate() {
            mean[i] = step.beta1 * mean[i] + (1.0 - step.beta1) * g;
            square[i] = step.beta2 * square[i] + (1.0 - step.beta2) * g * g;
            let time = number as i32 + 1;
            let mean = mean[i] / (1.0 - step.beta1.powi(time));
            let square = square[i] / (1.0 - step.beta2.powi(time));
            value[i] *= 1.0 - step.learning_rate * step.weight_decay;
            value[i] -= step.learning_rate * mean / (square.sqrt() + step.epsilon);
        }
    }
    [value, mean, square]
}

fn adamw(count: usize, step: AdamWStep, dtype: DType) -> AdamWTensors {
    let zeros = || plain(&vec![0.0; count], [count], dtype);
    let mut tensors = AdamWTensors {
        value: plain(&noise(count, 1), [count], dtype),
        mean: zeros(),
        square: zeros(),
    };
    for number in 0..3 {
        let gradient = plain(&noise(count, 2 + number), [count], dtype);
        let step = AdamWStep {
            step: number as u32 + 1,
            ..step
        };
        tensors = adamw_step(tensors, gradient, step);
    }
    tensors
}

fn check_adamw(count: usize, step: AdamWStep) {
    let [value, mean, square] = adamw_by_definition(count, step);
    for (dtype, tolerance) in TYPES {
        let found = adamw(count, step, dtype);
        let what = |part: &str| format!("{dtype:?} {part} of {step:?} of {count}");
        assert_within(&what("value"), &values(found.value), &value, tolerance);
        assert_within(&what("mean"), &values(found.mean), &mean, tolerance);
        assert_within(&what("square"), &values(found.square), &square, tolerance);
    }
}

#[test]
fn every_kind_of_descent_follows_the_definition() {
    for count in [1, 5, 16, 17, 40_001] {
        for nesterov in [false, true] {
            check_sgd(count, SgdStep { nesterov, ..SGD });
            for momentum in [0.0, 0.5] {
                let step = SgdStep {
                    momentum,
                    nesterov,
                    weight_decay: 0.0,
                    dampening: 0.0,
                    ..SGD
                };
                check_sgd(count, step);
            }
        }
    }
}

#[test]
fn adamw_follows_the_definition() {
    for count in [1, 5, 16, 17, 40_001] {
        for weight_decay in [0.0, 0.5] {
            check_adamw(
                count,
                AdamWStep {
                    weight_decay,
                    ..ADAMW
                },
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_settings_follow_the_definition(
        count in 1usize..=70,
        factors in prop::array::uniform4(0.0f64..=0.95),
        nesterov in any::<bool>(),
    ) {
        let [learning_rate, weight_decay, momentum, dampening] = factors;
        check_sgd(count, SgdStep { learning_rate, weight_decay, momentum, dampening, nesterov });
        let [beta1, beta2] = [momentum, dampening];
        check_adamw(count, AdamWStep { learning_rate, weight_decay, beta1, beta2, ..ADAMW });
    }
}

#[test]
fn a_step_by_hand() {
    // g = 1 + ½ · 2 = 2; b = ½ · 4 + 2 = 4; d = 2 + ½ · 4 = 4; p = 2 − ¼ · 4 = 1.
    let one = |value| plain(&[value], [1], DType::F32);
    let step = SgdStep {
        learning_rate: 0.25,
        weight_decay: 0.5,
        momentum: 0.5,
        dampening: 0.0,
        nesterov: true,
    };
    let (value, momentum) = sgd_step(one(2.0), one(1.0), Some(one(4.0)), step);
    assert_eq!(values(value), [1.0]);
    assert_eq!(values(momentum.unwrap()), [4.0]);
}

#[test]
fn averages_and_squares_by_hand() {
    for (dtype, _) in TYPES {
        let average = plain(&[8.0, -8.0, 4.0], [3], dtype);
        let value = plain(&[16.0, -16.0, 0.0], [3], dtype);
        let moved = moving_average(average, value.clone(), 0.75);
        assert_eq!(values(moved), [10.0, -10.0, 3.0]);
        assert_eq!(sum_of_squares(value), 512.0);
    }
}

#[test]
fn squares_are_summed_in_double_precision() {
    // 1 + 2²⁴ summed in f32 would lose the 1.
    let x = plain(&[4096.0, 1.0], [2], DType::F32);
    assert_eq!(sum_of_squares(x), 16_777_217.0);
    let x = noise(100_003, 4);
    let expected: f64 = x.iter().map(|x| x * x).sum();
    let found = sum_of_squares(plain(&x, [x.len()], DType::F32));
    assert!(
        (found - expected).abs() < 1e-11 * expected,
        "{found} {expected}"
    );
}

#[test]
fn numbers_that_somebody_else_holds_stay() {
    let value = plain(&noise(20, 1), [20], DType::F32);
    let gradient = plain(&noise(20, 2), [20], DType::F32);
    let momentum = plain(&noise(20, 3), [20], DType::F32);
    let held = [value.clone(), gradient.clone(), momentum.clone()];
    let before = held.clone().map(bits);
    let (changed, _) = sgd_step(value.clone(), gradient.clone(), Some(momentum.clone()), SGD);
    assert_ne!(bits(changed), before[0]);
    let tensors = AdamWTensors {
        value: value.clone(),
        mean: momentum.clone(),
        square: momentum.clone().square(),
    };
    adamw_step(tensors, gradient.clone(), ADAMW);
    moving_average(value, gradient, 0.5);
    assert_eq!(held.map(bits), before);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let count = 70_001;
    let on = |threads| {
        with_threads(threads, || {
            let (value, momentum) = sgd(count, SGD, DType::F32);
            let adamw = adamw(count, ADAMW, DType::F32);
            let squares = sum_of_squares(value.clone());
            let average = moving_average(value.clone(), adamw.value.clone(), 0.9);
            let all = [
                value,
                momentum.unwrap(),
                adamw.value,
                adamw.mean,
                adamw.square,
                average,
            ];
            (all.map(bits), squares.to_bits())
        })
    };
    let one = on(1);
    for threads in [2, 5] {
        assert!(one == on(threads), "{threads} threads");
    }
}

#[test]
#[should_panic(expected = "2 numbers do not belong to a parameter of 1")]
fn a_gradient_of_another_length_is_refused() {
    let gradient = plain(&[1.0; 2], [2], DType::F32);
    sgd_step(plain(&[1.0], [1], DType::F32), gradient, None, SGD);
}

#[test]
#[should_panic(expected = "3 numbers do not belong to a parameter of 1")]
fn an_average_of_another_length_is_refused() {
    let value = plain(&[1.0; 3], [3], DType::F32);
    moving_average(plain(&[1.0], [1], DType::F32), value, 0.5);
}
