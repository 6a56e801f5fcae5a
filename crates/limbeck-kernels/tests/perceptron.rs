//! Perceptrons, and linear maps that are added to something, against the definition, in `f32` (the kernels)
//! and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

#[path = "support/difference.rs"]
mod difference;
mod support;

use burn::tensor::{DType, Tensor};
use difference::differences;
use limbeck_kernels::{PerceptronWeights, linear_onto, perceptron};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

/// Images, tokens of each, and numbers of a token: read, in between, given out.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    tokens: usize,
    inputs: usize,
    inner: usize,
    outputs: usize,
}

/// x, first weight and bias, second weight and bias, residual, gradient of the output.
type Inputs = [Vec<f64>; 7];

impl Sizes {
    fn of(self, width: usize) -> [usize; 3] {
        [self.batch, self.tokens, width]
    }

    fn inputs(self, seed: u64) -> Inputs {
        let rows = self.batch * self.tokens;
        let scaled = |count: usize, most: f64, seed| -> Vec<f64> {
            noise(count, seed).iter().map(|x| 2.0 * most * x).collect()
        };
        [
            scaled(rows * self.inputs, 1.0, seed),
            scaled(self.inner * self.inputs, 1.5, seed + 1),
            scaled(self.inner, 1.0, seed + 2),
            scaled(self.outputs * self.inner, 1.0, seed + 3),
            scaled(self.outputs, 1.0, seed + 4),
            scaled(rows * self.outputs, 1.0, seed + 5),
            scaled(rows * self.outputs, 1.0, seed + 6),
        ]
    }

    /// Shares as drop path draws them.
    fn shares(self) -> Vec<f64> {
        (0..self.batch)
            .map(|image| [1.25, 0.0, 1.25][image % 3])
            .collect()
    }
}

/// Rows of `x` times the transpose of `weight`, plus `bias`.
fn map(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let (outputs, width) = (bias.len(), weight.len() / bias.len());
    let mut y = Vec::new();
    for row in x.chunks(width) {
        for output in 0..outputs {
            let weight = &weight[output * width..][..width];
            let product: f64 = row.iter().zip(weight).map(|(x, w)| x * w).sum();
            y.push(bias[output] + product);
        }
    }
    y
}

/// x·Φ(x), Φ(x) = 1/2 + φ(x)·(x + x³/3 + x⁵/(3·5) + …) (Abramowitz and Stegun, 26.2.11).
fn unit(x: f64) -> f64 {
    if x.abs() > 9.0 {
        return x.max(0.0);
    }
    let (mut term, mut sum) = (x, x);
    for i in 1..300 {
        term *= x * x / f64::from(2 * i + 1);
        sum += term;
    }
    x * (0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt())
}

fn onto(residual: &[f64], branch: &[f64], shares: Option<&[f64]>) -> Vec<f64> {
    let of_image = residual.len() / shares.map_or(1, <[f64]>::len);
    let pairs = residual.iter().zip(branch).enumerate();
    let share = |i: usize| shares.map_or(1.0, |shares| shares[i / of_image]);
    pairs.map(|(i, (x, y))| x + share(i) * y).collect()
}

fn definition(inputs: &Inputs, shares: Option<&[f64]>) -> Vec<f64> {
    let [x, first, first_bias, second, second_bias, residual, _] = inputs;
    let inner: Vec<f64> = map(x, first, first_bias).into_iter().map(unit).collect();
    onto(residual, &map(&inner, second, second_bias), shares)
}

/// Output, and gradients of all but the last of the inputs.
fn run(sizes: Sizes, inputs: &Inputs, shares: Option<&[f64]>, dtype: DType) -> Vec<Vec<f64>> {
    let [
        x,
        first,
        first_bias,
        second,
        second_bias,
        residual,
        gradient,
    ] = inputs;
    let x = tracked(x, sizes.of(sizes.inputs), dtype);
    let weights = PerceptronWeights {
        first: tracked(first, [sizes.inner, sizes.inputs], dtype),
        first_bias: tracked(first_bias, [sizes.inner], dtype),
        second: tracked(second, [sizes.outputs, sizes.inner], dtype),
        second_bias: tracked(second_bias, [sizes.outputs], dtype),
    };
    let residual = tracked(residual, sizes.of(sizes.outputs), dtype);
    let shares = shares.map(|shares| plain(shares, [sizes.batch], dtype).autodiff());
    let y = perceptron(x.clone(), weights.clone(), residual.clone(), shares);
    let gradient = plain(gradient, sizes.of(sizes.outputs), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    vec![
        values(y),
        values(x.grad(&gradients).unwrap()),
        values(weights.first.grad(&gradients).unwrap()),
        values(weights.first_bias.grad(&gradients).unwrap()),
        values(weights.second.grad(&gradients).unwrap()),
        values(weights.second_bias.grad(&gradients).unwrap()),
        values(residual.grad(&gradients).unwrap()),
    ]
}

fn check(sizes: Sizes, with_shares: bool, seed: u64) {
    let inputs = sizes.inputs(seed);
    let shares = sizes.shares();
    let shares = with_shares.then_some(&shares[..]);
    let single = run(sizes, &inputs, shares, DType::F32);
    let double = run(sizes, &inputs, shares, DType::F64);
    assert_close(
        "f64 output",
        &double[0],
        &definition(&inputs, shares),
        1e-12,
    );
    for (index, (single, double)) in single.iter().zip(&double).enumerate() {
        assert_close(&format!("{index} at {sizes:?}"), single, double, 2e-5);
    }
}

#[test]
fn usual_sizes_follow_the_definition() {
    for (index, [batch, tokens, inputs, inner, outputs]) in [
        [2, 196, 96, 384, 96],
        [3, 49, 160, 640, 160],
        [1, 7, 400, 800, 24],
        [4, 64, 16, 64, 16],
    ]
    .into_iter()
    .enumerate()
    {
        let sizes = Sizes {
            batch,
            tokens,
            inputs,
            inner,
            outputs,
        };
        check(sizes, index % 2 == 0, index as u64 + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_size_follows_the_definition(
        batch in 1usize..=4,
        tokens in 1usize..=40,
        inputs in 1usize..=40,
        inner in 1usize..=70,
        outputs in 1usize..=40,
        with_shares: bool,
        seed in 1u64..1 << 32,
    ) {
        check(Sizes { batch, tokens, inputs, inner, outputs }, with_shares, seed);
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let sizes = Sizes {
        batch: 3,
        tokens: 2,
        inputs: 2,
        inner: 3,
        outputs: 2,
    };
    let inputs = sizes.inputs(7);
    for shares in [None, Some(sizes.shares())] {
        let shares = shares.as_deref();
        let found = run(sizes, &inputs, shares, DType::F64);
        for index in 0..6 {
            let of = |values: &[f64]| {
                let mut inputs = inputs.clone();
                inputs[index] = values.to_vec();
                definition(&inputs, shares)
            };
            let expected = differences(of, &inputs[index], &inputs[6]);
            assert_close(&format!("{index}"), &found[index + 1], &expected, 1e-7);
        }
    }
}

#[test]
fn nothing_changes_where_no_gradients_are_recorded() {
    let sizes = Sizes {
        batch: 3,
        tokens: 70,
        inputs: 24,
        inner: 1030,
        outputs: 24,
    };
    let inputs = sizes.inputs(2);
    let [x, first, first_bias, second, second_bias, residual, _] = &inputs;
    let dtype = DType::F32;
    let make = |of: fn(&[f64], DType, Sizes) -> Tensor<3>| of(x, dtype, sizes);
    let weights = PerceptronWeights {
        first: plain(first, [1030, 24], dtype),
        first_bias: plain(first_bias, [1030], dtype),
        second: plain(second, [24, 1030], dtype),
        second_bias: plain(second_bias, [24], dtype),
    };
    let residual = plain(residual, sizes.of(24), dtype);
    let alone = make(|x, dtype, sizes| plain(x, sizes.of(24), dtype));
    let recorded = make(|x, dtype, sizes| tracked(x, sizes.of(24), dtype));
    let alone = perceptron(alone, weights.clone(), residual.clone(), None);
    let recorded = perceptron(recorded, weights, residual, None);
    assert_eq!(bits(alone), bits(recorded.inner()));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (tokens, inner) in [(197, 130), (5, 3000)] {
        let sizes = Sizes {
            batch: 3,
            tokens,
            inputs: 33,
            inner,
            outputs: 20,
        };
        let inputs = sizes.inputs(5);
        let shares = sizes.shares();
        let one = with_threads(1, || run(sizes, &inputs, Some(&shares), DType::F32));
        for threads in [2, 5] {
            let many = with_threads(threads, || run(sizes, &inputs, Some(&shares), DType::F32));
            assert!(one == many, "{sizes:?} on {threads} threads");
        }
    }
}

#[test]
fn a_map_is_added_to_what_it_is_given() {
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-13)] {
        for (tokens, inputs, outputs) in [(50, 40, 70), (1, 1, 1), (200, 400, 16)] {
            let sizes = Sizes {
                batch: 3,
                tokens,
                inputs,
                inner: outputs,
                outputs,
            };
            let [x, weight, bias, _, _, residual, gradient] = &sizes.inputs(3);
            for shares in [None, Some(sizes.shares())] {
                let shares = shares.as_deref();
                let expected = onto(residual, &map(x, weight, bias), shares);
                let x = tracked(x, sizes.of(inputs), dtype);
                let weight_tensor = tracked(weight, [outputs, inputs], dtype);
                let bias = tracked(bias, [outputs], dtype);
                let residual = tracked(residual, sizes.of(outputs), dtype);
                let given = shares.map(|shares| plain(shares, [3], dtype).autodiff());
                let y = linear_onto(
                    x.clone(),
                    weight_tensor.clone(),
                    bias.clone(),
                    residual.clone(),
                    given,
                );
                assert_close("output", &values(y.clone()), &expected, tolerance);
                let slopes = plain(gradient, sizes.of(outputs), dtype).autodiff();
                let gradients = (y * slopes).sum().backward();
                // What comes to the map is what is given, by its share.
                let zero = vec![0.0; gradient.len()];
                let scaled = onto(&zero, gradient, shares);
                let by_input: Vec<f64> = (0..inputs * outputs)
                    .map(|i| weight[i % outputs * inputs + i / outputs])
                    .collect();
                let of_x = map(&scaled, &by_input, &vec![0.0; inputs]);
                let found = values(x.grad(&gradients).unwrap());
                assert_close("gradient of x", &found, &of_x, tolerance);
                let of_bias: Vec<f64> = (0..outputs)
                    .map(|o| scaled.iter().skip(o).step_by(outputs).sum())
                    .collect();
                let found = values(bias.grad(&gradients).unwrap());
                assert_close("gradient of the bias", &found, &of_bias, tolerance);
                let found = values(residual.grad(&gradients).unwrap());
                assert_close("gradient of the residual", &found, gradient, 1e-7);
                assert!(weight_tensor.grad(&gradients).is_some());
            }
        }
    }
}

#[test]
#[should_panic(expected = "do not fit tokens")]
fn weights_of_another_width_are_refused() {
    let dtype = DType::F32;
    let weights = PerceptronWeights {
        first: plain(&[0.0; 6], [3, 2], dtype),
        first_bias: plain(&[0.0; 3], [3], dtype),
        second: plain(&[0.0; 4], [2, 2], dtype),
        second_bias: plain(&[0.0; 2], [2], dtype),
    };
    let x = plain(&[0.0; 2], [1, 1, 2], dtype);
    perceptron(x.clone(), weights, x, None);
}

#[test]
#[should_panic(expected = "does not fit tokens")]
fn shares_of_another_number_of_images_are_refused() {
    let dtype = DType::F32;
    let x = plain(&[0.0; 4], [2, 1, 2], dtype);
    let weight = plain(&[0.0; 4], [2, 2], dtype);
    let bias = plain(&[0.0; 2], [2], dtype);
    let shares = plain(&[1.0; 3], [3], dtype);
    linear_onto(x.clone(), weight, bias, x, Some(shares));
}
