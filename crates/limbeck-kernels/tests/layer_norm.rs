//! Layer norms against the definition, in `f32` (the kernels) and in `f64` (burn's own operations).

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
use limbeck_kernels::layer_norm;
use proptest::prelude::*;
use support::{assert_close, noise, plain, tracked, values, with_threads};

const EPSILON: f64 = 1e-6;

/// `x` and gradient `[rows, D]`, weight and bias `[D]`.
#[derive(Clone, Debug)]
struct Inputs {
    rows: usize,
    width: usize,
    x: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    gradient: Vec<f64>,
}

impl Inputs {
    fn new(rows: usize, width: usize, seed: u64) -> Self {
        let x = noise(rows * width, seed);
        Self {
            rows,
            width,
            x: x.iter().map(|x| 3.0 * x + 0.75).collect(),
            weight: noise(width, seed + 1),
            bias: noise(width, seed + 2),
            gradient: noise(rows * width, seed + 3),
        }
    }

    fn output(&self) -> Vec<f64> {
        let mut y = Vec::new();
        for row in self.x.chunks(self.width) {
            let mean = row.iter().sum::<f64>() / self.width as f64;
            let squares: f64 = row.iter().map(|x| (x - mean).powi(2)).sum();
            let deviation = (squares / self.width as f64 + EPSILON).sqrt();
            for (i, x) in row.iter().enumerate() {
                y.push((x - mean) / deviation * self.weight[i] + self.bias[i]);
            }
        }
        y
    }

    /// Output, and the gradients with respect to x, weight and bias.
    fn run(&self, dtype: DType) -> [Vec<f64>; 4] {
        let shape = [1, self.rows, self.width];
        let x = tracked(&self.x, shape, dtype);
        let weight = tracked(&self.weight, [self.width], dtype);
        let bias = tracked(&self.bias, [self.width], dtype);
        let y = layer_norm(x.clone(), weight.clone(), bias.clone(), EPSILON);
        let gradient = plain(&self.gradient, shape, dtype).autodiff();
        let gradients = (y.clone() * gradient).sum().backward();
        [
            values(y),
            values(x.grad(&gradients).expect("x is tracked")),
            values(weight.grad(&gradients).expect("weight is tracked")),
            values(bias.grad(&gradients).expect("bias is tracked")),
        ]
    }
}

const NAMES: [&str; 4] = [
    "output",
    "gradient of x",
    "gradient of the weight",
    "gradient of the bias",
];

#[test]
fn a_small_norm_is_as_worked_by_hand() {
    let inputs = Inputs {
        rows: 1,
        width: 4,
        x: vec![1.0, 3.0, 5.0, 7.0],
        weight: vec![1.0, 2.0, 1.0, 0.0],
        bias: vec![0.0, 1.0, 0.0, 5.0],
        gradient: vec![1.0; 4],
    };
    // ±3 and ±1 over √5, the mean 4, the variance 5.
    let root = (5.0f64 + EPSILON).sqrt();
    let expected = [-3.0 / root, 1.0 - 2.0 / root, 1.0 / root, 5.0];
    let [y, _, dw, db] = inputs.run(DType::F32);
    assert_close("output", &y, &expected, 1e-6);
    assert_close(
        "weight",
        &dw,
        &[-3.0, -1.0, 1.0, 3.0].map(|d| d / root),
        1e-6,
    );
    assert_eq!(db, [1.0; 4]);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (rows, width) in [(1, 2), (3, 7), (2, 17)] {
        let inputs = Inputs::new(rows, width, 3);
        let with = |change: fn(&mut Inputs, &[f64])| {
            let inputs = inputs.clone();
            move |values: &[f64]| {
                let mut inputs = inputs.clone();
                change(&mut inputs, values);
                inputs.output()
            }
        };
        let gradient = &inputs.gradient;
        let expected = [
            inputs.output(),
            differences(with(|i, x| i.x = x.to_vec()), &inputs.x, gradient),
            differences(with(|i, w| i.weight = w.to_vec()), &inputs.weight, gradient),
            differences(with(|i, b| i.bias = b.to_vec()), &inputs.bias, gradient),
        ];
        for (name, (found, expected)) in NAMES
            .iter()
            .zip(inputs.run(DType::F64).iter().zip(&expected))
        {
            assert_close(
                &format!("{name}, {rows} rows of {width}"),
                found,
                expected,
                1e-7,
            );
        }
    }
}

/// Where a row has few numbers, the gradient is what rounding leaves of nearly nothing.
fn check(rows: usize, width: usize, seed: u64) {
    let inputs = Inputs::new(rows, width, seed);
    assert_close(
        "output",
        &inputs.run(DType::F64)[0],
        &inputs.output(),
        1e-11,
    );
    let single = inputs.run(DType::F32);
    for (name, (found, expected)) in NAMES.iter().zip(single.iter().zip(&inputs.run(DType::F64))) {
        assert_close(
            &format!("{name}, {rows} rows of {width}"),
            found,
            expected,
            5e-5,
        );
    }
}

#[test]
fn usual_sizes_follow_double_precision() {
    for (seed, (rows, width)) in [(197, 192), (64, 16), (65, 33), (1, 768), (130, 64)]
        .into_iter()
        .enumerate()
    {
        check(rows, width, seed as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_size_follows_double_precision(
        rows in 1usize..=140,
        width in 5usize..=70,
        seed in 1u64..1 << 32,
    ) {
        check(rows, width, seed);
    }
}

#[test]
fn a_row_of_one_number_is_the_bias() {
    let [y, dx, dw, _] = Inputs::new(3, 1, 1).run(DType::F32);
    let bias = Inputs::new(3, 1, 1).bias[0];
    assert_eq!(y, [bias; 3]);
    assert!(dx.iter().chain(&dw).all(|&g| g == 0.0));
}

#[test]
fn the_statistics_of_a_far_off_mean_stay_exact() {
    let mut inputs = Inputs::new(5, 192, 1);
    for x in &mut inputs.x {
        *x = f64::from((*x + 1000.0) as f32);
    }
    assert_close("output", &inputs.run(DType::F32)[0], &inputs.output(), 2e-4);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let inputs = Inputs::new(333, 50, 5);
    let one = with_threads(1, || inputs.run(DType::F32));
    for threads in [2, 5] {
        let many = with_threads(threads, || inputs.run(DType::F32));
        assert!(one == many, "{threads} threads");
    }
}

#[test]
#[should_panic(expected = "have no statistics")]
fn empty_rows_are_refused() {
    let nothing = plain(&[], [0], DType::F32);
    layer_norm(
        plain(&[], [2, 0], DType::F32),
        nothing.clone(),
        nothing,
        EPSILON,
    );
}

#[test]
#[should_panic(expected = "do not fit rows of shape")]
fn a_weight_of_another_size_is_refused() {
    let one = plain(&[1.0], [1], DType::F32);
    layer_norm(
        plain(&[1.0, 2.0], [1, 2], DType::F32),
        one.clone(),
        one,
        EPSILON,
    );
}
