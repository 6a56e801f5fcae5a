//! Errors of angles against their definition, in `f32` (the kernels) and in `f64` (burn's own
//! operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::angle_error;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

/// Vectors, and numbers of each on both sides.
const SIZES: [[usize; 3]; 7] = [
    [1, 3, 2],
    [2, 1, 1],
    [3, 2, 5],
    [5, 17, 16],
    [9, 7, 40],
    [20, 65, 33],
    [64, 256, 128],
];

/// Cosines of the angles at `i` between `j` and `k`.
fn cosines(x: &[f64], count: usize, width: usize) -> Vec<f64> {
    let unit = |i: usize, j: usize| -> Vec<f64> {
        let difference = |at: usize| x[j * width + at] - x[i * width + at];
        let length = (0..width)
            .map(|at| difference(at).powi(2))
            .sum::<f64>()
            .sqrt();
        let inverse = if length > 1e-12 { 1.0 / length } else { 0.0 };
        (0..width).map(|at| difference(at) * inverse).collect()
    };
    let mut found = Vec::new();
    for i in 0..count {
        let units: Vec<Vec<f64>> = (0..count).map(|j| unit(i, j)).collect();
        for j in 0..count {
            for k in 0..count {
                found.push(units[j].iter().zip(&units[k]).map(|(a, b)| a * b).sum());
            }
        }
    }
    found
}

fn error(x: &[f64], target: &[f64], [count, own, other]: [usize; 3]) -> f64 {
    let pairs = cosines(x, count, own)
        .into_iter()
        .zip(cosines(target, count, other));
    let costs = pairs.map(|(a, b): (f64, f64)| match (a - b).abs() {
        size if size < 1.0 => size * size / 2.0,
        size => size - 0.5,
    });
    costs.sum::<f64>() / (count * count * count) as f64
}

fn run(sizes: [usize; 3], dtype: DType) -> [Tensor<1>; 2] {
    let [count, own, other] = sizes;
    let x = tracked(&noise(count * own, 1), [count, own], dtype);
    let target = plain(&noise(count * other, 2), [count, other], dtype);
    let error = angle_error(x.clone(), target);
    let slopes = x.grad(&error.clone().mul_scalar(3.0).backward()).unwrap();
    [error.inner(), slopes.reshape([count * own])]
}

#[test]
fn errors_are_those_of_the_definition_and_gradients_their_slopes() {
    for sizes in SIZES {
        let [count, own, other] = sizes;
        let [x, target] = [noise(count * own, 1), noise(count * other, 2)];
        let expected = error(&x, &target, sizes);
        let [exact, exact_slopes] = run(sizes, DType::F64).map(values);
        assert_close(&format!("f64 {sizes:?}"), &exact, &[expected], 1e-12);
        let [single, single_slopes] = run(sizes, DType::F32).map(values);
        assert_close(&format!("f32 {sizes:?}"), &single, &[expected], 3e-6);
        assert_close(
            &format!("slopes of {sizes:?}"),
            &single_slopes,
            &exact_slopes,
            1e-4,
        );
        // A few of them by differences.
        for at in [0, count * own / 2, count * own - 1] {
            let moved = |step: f64| {
                let mut x = x.clone();
                x[at] += step;
                error(&x, &target, sizes)
            };
            let slope = 3.0 * (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let found = exact_slopes[at];
            assert!(
                (found - slope).abs() < 1e-7,
                "{found} and {slope} at {at} of {sizes:?}"
            );
        }
    }
}

#[test]
fn vectors_in_one_place_have_no_direction_and_no_gradient() {
    let same = [0.25, -0.5, 1.0].repeat(4);
    for dtype in [DType::F32, DType::F64] {
        let x = tracked(&same, [4, 3], dtype);
        let target = plain(&noise(8, 1), [4, 2], dtype);
        let error = angle_error(x.clone(), target.clone());
        let slopes = values(x.grad(&error.clone().backward()).unwrap());
        assert_close("slopes", &slopes, &[0.0; 12], 1e-9);
        let other = angle_error(target.clone(), x.inner());
        assert_close("both sides", &values(error), &values(other), 1e-6);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for sizes in SIZES {
        let on = |threads| with_threads(threads, || run(sizes, DType::F32).map(bits));
        let one = on(1);
        for threads in [2, 5] {
            assert!(one == on(threads), "{sizes:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "cannot be compared")]
fn other_numbers_of_vectors_are_refused() {
    angle_error(
        plain(&[0.0; 4], [2, 2], DType::F32),
        plain(&[0.0; 6], [3, 2], DType::F32),
    );
}
