//! Log-probabilities of pixels against the definition, in `f32` (the kernels) and in `f64` (burn's
//! own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

#[path = "support/difference.rs"]
mod difference;
mod support;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use difference::differences;
use limbeck_kernels::pixel_log_likelihood;
use proptest::prelude::*;
use support::{assert_close, assert_within, noise, plain, tracked, values, with_threads};

/// Batch, classes, height, width.
type Sizes = [usize; 4];

fn ids([batch, classes, height, width]: Sizes) -> Vec<i64> {
    let count = batch * height * width;
    (0..count).map(|i| (i * 7 % 11 % classes) as i64).collect()
}

fn definition([batch, classes, height, width]: Sizes, logits: &[f64], ids: &[i64]) -> Vec<f64> {
    let pixels = height * width;
    (0..batch * pixels)
        .map(|i| {
            let (image, pixel) = (i / pixels, i % pixels);
            let logit = |class: usize| logits[(image * classes + class) * pixels + pixel];
            let sum: f64 = (0..classes).map(|class| logit(class).exp()).sum();
            logit(ids[i] as usize) - sum.ln()
        })
        .collect()
}

/// Output and gradient.
fn run(sizes: Sizes, logits: &[f64], gradient: &[f64], dtype: DType) -> [Vec<f64>; 2] {
    let [batch, _, height, width] = sizes;
    let logits = tracked(logits, sizes, dtype);
    let shape = [batch, height, width];
    let ids = TensorData::new(ids(sizes), shape);
    let ids = Tensor::<3, Int>::from_data(ids, &Device::flex());
    let y = pixel_log_likelihood(logits.clone(), ids);
    let gradients = (y.clone() * plain(gradient, shape, dtype).autodiff())
        .sum()
        .backward();
    [values(y), values(logits.grad(&gradients).expect("tracked"))]
}

/// Logits from −`most` to `most`, and a gradient.
fn inputs([batch, classes, height, width]: Sizes, most: f64, seed: u64) -> [Vec<f64>; 2] {
    let pixels = batch * height * width;
    let logits = noise(classes * pixels, seed).into_iter();
    [
        logits.map(|x| 2.0 * most * x).collect(),
        noise(pixels, seed + 1),
    ]
}

fn check(sizes: Sizes, most: f64, seed: u64) {
    let [logits, gradient] = inputs(sizes, most, seed);
    let single = run(sizes, &logits, &gradient, DType::F32);
    let double = run(sizes, &logits, &gradient, DType::F64);
    let expected = definition(sizes, &logits, &ids(sizes));
    // A difference of terms as large as the logits.
    assert_within("f64 output", &double[0], &expected, 1e-12 * most);
    for (name, single, double) in [
        ("output", &single[0], &double[0]),
        ("gradient", &single[1], &double[1]),
    ] {
        assert_close(&format!("{name} at {sizes:?}"), single, double, 2e-6);
    }
}

#[test]
fn a_pixel_is_as_worked_by_hand() {
    // Logits 0 and ln 3: probabilities 1/4 and 3/4.
    let [y, dx] = run([1, 2, 1, 1], &[0.0, 3.0f64.ln()], &[2.0], DType::F32);
    assert_close("output", &y, &[-(4.0f64.ln())], 1e-6);
    assert_close("gradient", &dx, &[1.5, -1.5], 1e-6);
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    for sizes in [[1, 2, 1, 3], [2, 5, 2, 2]] {
        let [logits, gradient] = inputs(sizes, 1.0, 3);
        let function = |logits: &[f64]| definition(sizes, logits, &ids(sizes));
        let expected = differences(function, &logits, &gradient);
        let [_, found] = run(sizes, &logits, &gradient, DType::F64);
        assert_close(&format!("gradient at {sizes:?}"), &found, &expected, 1e-7);
    }
}

#[test]
fn usual_sizes_follow_the_definition() {
    for sizes in [
        [2, 19, 64, 80],
        [1, 150, 33, 17],
        [3, 2, 1, 1],
        [1, 255, 7, 9],
    ] {
        check(sizes, 5.0, 1);
    }
}

#[test]
fn large_logits_stay_finite() {
    let sizes = [1, 4, 5, 5];
    let [logits, gradient] = inputs(sizes, 200.0, 3);
    let single = run(sizes, &logits, &gradient, DType::F32);
    let double = run(sizes, &logits, &gradient, DType::F64);
    assert_close("output", &single[0], &double[0], 1e-5);
    assert_close("gradient", &single[1], &double[1], 1e-4);
}

#[test]
fn what_is_not_a_number_stays_so() {
    let [y, _] = run([1, 3, 1, 1], &[0.0, f64::NAN, 1.0], &[1.0], DType::F32);
    assert!(y[0].is_nan());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_follows_the_definition(
        batch in 1usize..=3,
        classes in 1usize..=40,
        height in 1usize..=12,
        width in 1usize..=40,
        seed in 1u64..1 << 32,
    ) {
        check([batch, classes, height, width], 5.0, seed);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let sizes = [3, 19, 70, 70];
    let [logits, gradient] = inputs(sizes, 3.0, 5);
    let one = with_threads(1, || run(sizes, &logits, &gradient, DType::F32));
    for threads in [2, 5] {
        let many = with_threads(threads, || run(sizes, &logits, &gradient, DType::F32));
        assert!(one == many, "{threads} threads");
    }
}

#[test]
#[should_panic(expected = "do not fit logits")]
fn classes_of_another_size_are_refused() {
    let ids = Tensor::<3, Int>::zeros([1, 2, 2], &Device::flex());
    pixel_log_likelihood(plain(&[0.0; 6], [1, 2, 1, 3], DType::F32), ids);
}
