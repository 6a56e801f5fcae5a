//! Batch norms and what is fused with them against the definition, in `f32` (the kernels) and in
//! `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{
    Activation, BatchNormOutput, BatchNormPairOutput, batch_norm_pair_train, batch_norm_train,
    channel_affine, relu,
};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

const EPSILON: f64 = 1e-5;

/// What is normalised with, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variant {
    /// The statistics of the batch, or mean 0 and variance 1 − ε.
    batch: bool,
    residual: bool,
    activation: Activation,
}

const PLAIN: Variant = Variant {
    batch: true,
    residual: false,
    activation: Activation::Identity,
};

fn variants() -> Vec<Variant> {
    let mut variants = Vec::new();
    for batch in [true, false] {
        for residual in [false, true] {
            for activation in [
                Activation::Identity,
                Activation::Relu,
                Activation::Relu6,
                Activation::Silu,
                Activation::Gelu,
            ] {
                variants.push(Variant {
                    batch,
                    residual,
                    activation,
                });
            }
        }
    }
    variants
}

/// `x` and the residual `[B, C, H, W]`, weight and bias `[C]`, gradient of the output.
#[derive(Clone, Debug)]
struct Inputs {
    shape: [usize; 4],
    x: Vec<f64>,
    residual: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    gradient: Vec<f64>,
}

impl Inputs {
    fn new(shape: [usize; 4], seed: u64) -> Self {
        let count = shape.iter().product();
        Self {
            shape,
            x: noise(count, seed).iter().map(|x| 3.0 * x + 0.7).collect(),
            residual: noise(count, seed + 1),
            // Large enough for some numbers to reach the upper bound of ReLU6.
            weight: noise(shape[1], seed + 2).iter().map(|w| 12.0 * w).collect(),
            bias: noise(shape[1], seed + 3),
            gradient: noise(count, seed + 4),
        }
    }
}

/// Output, mean, variance, and the gradients with respect to x, residual, weight and bias.
type Results = [Vec<f64>; 7];
const NAMES: [&str; 7] = [
    "output",
    "mean",
    "variance",
    "gradient of x",
    "gradient of the residual",
    "gradient of the weight",
    "gradient of the bias",
];

/// The definition, with the gradient written out through mean and variance.
fn definition(inputs: &Inputs, variant: Variant) -> Results {
    let [batch, channels, height, width] = inputs.shape;
    let size = height * width;
    let samples = (batch * size) as f64;
    let mut results: Results = [
        vec![0.0; inputs.x.len()],
        vec![0.0; channels],
        vec![0.0; channels],
        vec![0.0; inputs.x.len()],
        vec![0.0; inputs.x.len()],
        vec![0.0; channels],
        vec![0.0; channels],
    ];
    for channel in 0..channels {
        let positions: Vec<usize> = (0..batch)
            .flat_map(|image| (0..size).map(move |i| (image * channels + channel) * size + i))
            .collect();
        let of_batch = |f: &dyn Fn(f64) -> f64| {
            positions.iter().map(|&i| f(inputs.x[i])).sum::<f64>() / samples
        };
        let (mean, variance) = if variant.batch {
            let mean = of_batch(&|x| x);
            (mean, of_batch(&|x| (x - mean).powi(2)))
        } else {
            (0.0, 1.0 - EPSILON)
        };
        let deviation = (variance + EPSILON).sqrt();
        let normal = |i: usize| (inputs.x[i] - mean) / deviation;
        let mut passed = vec![0.0; inputs.x.len()];
        for &i in &positions {
            let mut y = normal(i) * inputs.weight[channel] + inputs.bias[channel];
            if variant.residual {
                y += inputs.residual[i];
            }
            let share = 1.0 / (1.0 + (-y).exp());
            let within = |low: f64, high: f64| {
                (y.clamp(low, high), f64::from(u8::from(y > low && y < high)))
            };
            let (output, slope) = match variant.activation {
                Activation::Identity => (y, 1.0),
                Activation::Relu => within(0.0, f64::INFINITY),
                Activation::Relu6 => within(0.0, 6.0),
                Activation::Silu => (y * share, share * (1.0 + y * (1.0 - share))),
                Activation::Gelu => {
                    let density = (-0.5 * y * y).exp() / std::f64::consts::TAU.sqrt();
                    (
                        y * normal_distribution(y),
                        normal_distribution(y) + y * density,
                    )
                }
            };
            results[0][i] = output;
            passed[i] = slope * inputs.gradient[i];
            if variant.residual {
                results[4][i] = passed[i];
            }
        }
        let sum: f64 = positions.iter().map(|&i| passed[i]).sum();
        let product: f64 = positions.iter().map(|&i| passed[i] * normal(i)).sum();
        for &i in &positions {
            let through_statistics = match variant.batch {
                true => sum / samples + normal(i) * product / samples,
                false => 0.0,
            };
            let centred = passed[i] - through_statistics;
            results[3][i] = inputs.weight[channel] / deviation * centred;
        }
        results[1][channel] = mean;
        results[2][channel] = variance;
        results[5][channel] = product;
        results[6][channel] = sum;
    }
    results
}

/// Φ(x) = 1/2 + φ(x)·(x + x³/3 + x⁵/(3·5) + …) (Abramowitz and Stegun, 26.2.11).
fn normal_distribution(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for i in 1..200 {
        term *= x * x / f64::from(2 * i + 1);
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

fn apply(
    variant: Variant,
    x: Tensor<4>,
    residual: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
) -> BatchNormOutput {
    let residual = variant.residual.then_some(residual);
    if variant.batch {
        return batch_norm_train(x, residual, weight, bias, EPSILON, variant.activation);
    }
    let mean = weight.zeros_like().inner();
    BatchNormOutput {
        variance: mean.clone().add_scalar(1.0 - EPSILON),
        mean,
        output: channel_affine(x, residual, weight, bias, variant.activation),
    }
}

fn run(inputs: &Inputs, variant: Variant, dtype: DType) -> Results {
    let x = tracked(&inputs.x, inputs.shape, dtype);
    let residual = tracked(&inputs.residual, inputs.shape, dtype);
    let channels = [inputs.shape[1]];
    let weight = tracked(&inputs.weight, channels, dtype);
    let bias = tracked(&inputs.bias, channels, dtype);
    let result = apply(
        variant,
        x.clone(),
        residual.clone(),
        weight.clone(),
        bias.clone(),
    );
    let gradient = plain(&inputs.gradient, inputs.shape, dtype).autodiff();
    let gradients = (result.output.clone() * gradient).sum().backward();
    [
        values(result.output),
        values(result.mean),
        values(result.variance),
        values(x.grad(&gradients).expect("x is tracked")),
        residual
            .grad(&gradients)
            .map_or_else(|| vec![0.0; inputs.x.len()], values),
        values(weight.grad(&gradients).expect("weight is tracked")),
        values(bias.grad(&gradients).expect("bias is tracked")),
    ]
}

fn check(inputs: &Inputs, variant: Variant) {
    let expected = definition(inputs, variant);
    for (dtype, tolerance) in [(DType::F32, 5e-5), (DType::F64, 1e-11)] {
        let found = run(inputs, variant, dtype);
        for (name, (found, expected)) in NAMES.iter().zip(found.iter().zip(&expected)) {
            let what = format!("{dtype:?} {variant:?} {name} at {:?}", inputs.shape);
            assert_close(&what, found, expected, tolerance);
        }
    }
}

#[test]
fn a_small_batch_norm_is_as_worked_by_hand() {
    let inputs = Inputs {
        shape: [2, 1, 1, 2],
        x: vec![1.0, 3.0, 5.0, 7.0],
        residual: vec![0.0; 4],
        weight: vec![2.0],
        bias: vec![1.0],
        gradient: vec![1.0, 0.0, 0.0, 0.0],
    };
    for activation in [Activation::Identity, Activation::Relu] {
        let variant = Variant {
            activation,
            ..PLAIN
        };
        let [y, mean, variance, ..] = run(&inputs, variant, DType::F32);
        assert_eq!((mean[0], variance[0]), (4.0, 5.0));
        // ±3 and ±1 over √5, doubled and raised by 1.
        let expected: Vec<f64> = [-3.0f64, -1.0, 1.0, 3.0]
            .iter()
            .map(|d| 2.0 * d / 5.00001f64.sqrt() + 1.0)
            .map(|y| if variant == PLAIN { y } else { y.max(0.0) })
            .collect();
        assert_close("output", &y, &expected, 1e-6);
    }
}

#[test]
fn every_variant_follows_the_definition_on_usual_maps() {
    for (seed, shape) in [[4, 16, 8, 8], [3, 5, 16, 16], [2, 3, 33, 35], [9, 40, 1, 1]]
        .into_iter()
        .enumerate()
    {
        for variant in variants() {
            check(&Inputs::new(shape, seed as u64), variant);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape_follows_the_definition(
        // Two samples of a channel at least, and not few enough for x̂ to be ±1 everywhere, where
        // the gradient is what rounding leaves of nothing.
        shape in (4usize..=9, 1usize..=37, 1usize..=9, 1usize..=9),
        variant in prop::sample::select(variants()),
        seed in 1u64..1 << 32,
    ) {
        let (batch, channels, height, width) = shape;
        check(&Inputs::new([batch, channels, height, width], seed), variant);
    }
}

#[test]
fn the_statistics_of_a_far_off_mean_stay_exact() {
    let shape = [64, 2, 16, 16];
    let mut inputs = Inputs::new(shape, 1);
    for x in &mut inputs.x {
        *x = f64::from((*x + 1000.0) as f32);
    }
    let [_, mean, variance, ..] = run(&inputs, PLAIN, DType::F32);
    let [_, expected_mean, expected_variance, ..] = definition(&inputs, PLAIN);
    assert_close("mean", &mean, &expected_mean, 1e-7);
    assert_close("variance", &variance, &expected_variance, 1e-5);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for shape in [[7, 19, 8, 8], [3, 6, 20, 20]] {
        let inputs = Inputs::new(shape, 5);
        for variant in variants() {
            let one = with_threads(1, || run(&inputs, variant, DType::F32));
            for threads in [2, 5] {
                let many = with_threads(threads, || run(&inputs, variant, DType::F32));
                assert!(one == many, "{variant:?} on {threads} threads");
            }
        }
    }
}

#[test]
fn the_statistics_are_detached() {
    let inputs = Inputs::new([4, 3, 2, 2], 1);
    let x = tracked(&inputs.x, inputs.shape, DType::F32);
    let weight = tracked(&inputs.weight, [3], DType::F32);
    let bias = tracked(&inputs.bias, [3], DType::F32);
    let result = batch_norm_train(x, None, weight, bias, EPSILON, Activation::Identity);
    assert!(result.output.is_tracked());
    assert!(!result.mean.is_tracked());
    assert!(!result.variance.is_tracked());
}

#[test]
fn the_rectifier_keeps_what_is_positive_and_what_is_no_number() {
    let x = plain(&[-1.0, 0.0, 2.0, f64::NAN], [4], DType::F32);
    let y = values(relu(x));
    assert_eq!(y[..3], [0.0, 0.0, 2.0]);
    assert!(y[3].is_nan());
}

#[test]
fn the_rectifier_passes_gradients_where_its_output_is_positive() {
    for count in [1, 5, 16, 17, 40_000] {
        let (x, gradient) = (noise(count, 1), noise(count, 2));
        for dtype in [DType::F32, DType::F64] {
            let x = tracked(&x, [count], dtype);
            let y = relu(x.clone());
            let loss = (y.clone() * plain(&gradient, [count], dtype).autodiff()).sum();
            let dx = values(x.grad(&loss.backward()).expect("x is tracked"));
            let positive = values(x);
            for (i, (y, dx)) in values(y).into_iter().zip(dx).enumerate() {
                let open = positive[i] > 0.0;
                assert_eq!(y, if open { positive[i] } else { 0.0 });
                assert_eq!(dx, if open { gradient[i] } else { 0.0 });
            }
        }
    }
}

#[test]
fn bits_of_a_fused_norm_are_those_of_its_parts() {
    let inputs = Inputs::new([5, 7, 6, 6], 3);
    let x = || plain(&inputs.x, inputs.shape, DType::F32);
    let channels = |values: &[f64]| plain(values, [7], DType::F32);
    let (weight, bias) = (channels(&inputs.weight), channels(&inputs.bias));
    let norm = |residual, activation| {
        let (weight, bias) = (weight.clone(), bias.clone());
        batch_norm_train(x(), residual, weight, bias, EPSILON, activation).output
    };
    let alone = norm(None, Activation::Identity);
    assert_eq!(
        bits(relu(alone.clone())),
        bits(norm(None, Activation::Relu))
    );
    assert_eq!(
        bits(Activation::Relu6.apply(alone.clone())),
        bits(norm(None, Activation::Relu6))
    );
    let residual = || plain(&inputs.residual, inputs.shape, DType::F32);
    assert_eq!(
        bits(relu(alone + residual())),
        bits(norm(Some(residual()), Activation::Relu))
    );
}

/// Bits of the gradients with respect to x, weight and bias that are left of `gradient` behind
/// `follow` of the norm.
fn bits_of_gradients(
    inputs: &Inputs,
    residual: Option<Tensor<4>>,
    activation: Activation,
    follow: impl Fn(Tensor<4>) -> Tensor<4>,
) -> [Vec<u32>; 3] {
    let channels = [inputs.shape[1]];
    let x = tracked(&inputs.x, inputs.shape, DType::F32);
    let weight = tracked(&inputs.weight, channels, DType::F32);
    let bias = tracked(&inputs.bias, channels, DType::F32);
    let (scale, shift) = (weight.clone(), bias.clone());
    let y = batch_norm_train(x.clone(), residual, scale, shift, EPSILON, activation).output;
    let gradient = plain(&inputs.gradient, inputs.shape, DType::F32).autodiff();
    let gradients = (follow(y) * gradient).sum().backward();
    [
        bits(x.grad(&gradients).expect("x is tracked")),
        bits(weight.grad(&gradients).expect("weight is tracked")),
        bits(bias.grad(&gradients).expect("bias is tracked")),
    ]
}

#[test]
fn bits_of_gradients_do_not_depend_on_where_the_output_comes_from() {
    for (seed, shape) in [[5, 7, 6, 6], [3, 18, 5, 7], [2, 3, 33, 35], [9, 33, 1, 1]]
        .into_iter()
        .enumerate()
    {
        let mut inputs = Inputs::new(shape, seed as u64);
        // A channel of one number: what is left of it is the shift, to the bit at the bounds of
        // the activations.
        let size = shape[2] * shape[3];
        for (channel, shift) in [(0, 0.0), (1, -0.0), (2, 6.0)] {
            inputs.bias[channel] = shift;
            for image in 0..shape[0] {
                let start = (image * shape[1] + channel) * size;
                inputs.x[start..start + size].fill(0.25);
            }
        }
        let same = |y: Tensor<4>| y;
        let alone = |activation| bits_of_gradients(&inputs, None, activation, same);
        let fused = alone(Activation::Relu);
        assert_eq!(
            fused,
            bits_of_gradients(&inputs, None, Activation::Identity, relu)
        );
        for channel in [0, 1] {
            assert_eq!(fused[2][channel], 0, "nothing passes at a bound");
        }
        // Behind a sum the output is read from memory.
        let nothing = || plain(&vec![0.0; inputs.x.len()], shape, DType::F32).autodiff();
        for activation in [Activation::Relu, Activation::Relu6] {
            let summed = bits_of_gradients(&inputs, Some(nothing()), activation, same);
            assert_eq!(alone(activation), summed, "{activation:?} {shape:?}");
        }
        assert_eq!(alone(Activation::Relu6)[2][2], 0, "nothing passes at six");
    }
}

#[test]
fn a_gradient_with_two_readers_is_not_overwritten() {
    let inputs = Inputs::new([3, 5, 7, 3], 8);
    let x = || tracked(&inputs.x, inputs.shape, DType::F32);
    let channels = |values: &[f64]| plain(values, [5], DType::F32).autodiff();
    let norm = |x: Tensor<4>| {
        let (weight, bias) = (channels(&inputs.weight), channels(&inputs.bias));
        batch_norm_train(x, None, weight, bias, EPSILON, Activation::Relu).output
    };
    let gradient = || plain(&inputs.gradient, inputs.shape, DType::F32).autodiff();
    let of = |x: &Tensor<4>, y: Tensor<4>| {
        let gradients = (y * gradient()).sum().backward();
        bits(x.grad(&gradients).expect("x is tracked"))
    };
    let (first, second) = (x(), x());
    let alone = [of(&first, norm(first.clone())), of(&second, second.clone())];
    // A sum hands one gradient on to both of its terms.
    let (first, second) = (x(), x());
    let y = norm(first.clone()) + second.clone();
    let gradients = (y * gradient()).sum().backward();
    let both = [first, second].map(|x| bits(x.grad(&gradients).expect("both are tracked")));
    assert_eq!(both, alone);
}

#[test]
fn what_is_not_a_number_stays_so_under_every_activation() {
    let one = plain(&[1.0], [1], DType::F32);
    for activation in [Activation::Identity, Activation::Relu, Activation::Relu6] {
        let x = plain(&[f64::NAN, -1.0, 7.0], [1, 1, 1, 3], DType::F32);
        let y = values(channel_affine(
            x,
            None,
            one.clone(),
            one.clone(),
            activation,
        ));
        assert!(y[0].is_nan());
        assert_eq!(y[1], 0.0);
    }
}

#[test]
#[should_panic(expected = "have no statistics")]
fn an_empty_batch_is_refused() {
    let one = plain(&[1.0], [1], DType::F32);
    let x = plain(&[], [0, 1, 2, 2], DType::F32);
    batch_norm_train(x, None, one.clone(), one, EPSILON, Activation::Identity);
}

#[test]
#[should_panic(expected = "a residual of shape")]
fn a_residual_of_another_shape_is_refused() {
    let one = plain(&[1.0], [1], DType::F32);
    let x = plain(&[1.0, 2.0], [1, 1, 1, 2], DType::F32);
    let residual = plain(&[1.0, 2.0], [1, 1, 2, 1], DType::F32);
    batch_norm_train(
        x,
        Some(residual),
        one.clone(),
        one,
        EPSILON,
        Activation::Relu,
    );
}

#[test]
#[should_panic(expected = "a weight of [2] and a bias of [1] do not fit")]
fn a_scale_for_other_channels_is_refused() {
    let x = plain(&[1.0, 2.0], [1, 1, 1, 2], DType::F32);
    let (two, one) = (
        plain(&[1.0; 2], [2], DType::F32),
        plain(&[1.0], [1], DType::F32),
    );
    channel_affine(x, None, two, one, Activation::Identity);
}

/// Output, both means and variances, and the gradients with respect to both x, weights and biases,
/// of two batch norms that are added: at once, or one after the other.
fn of_two(
    inputs: &[Inputs; 2],
    activation: Activation,
    dtype: DType,
    at_once: bool,
) -> Vec<Vec<f64>> {
    let channels = [inputs[0].shape[1]];
    let x = inputs.each_ref().map(|of| tracked(&of.x, of.shape, dtype));
    let weights = inputs
        .each_ref()
        .map(|of| tracked(&of.weight, channels, dtype));
    let biases = inputs
        .each_ref()
        .map(|of| tracked(&of.bias, channels, dtype));
    // What an operation gives belongs to nobody else, as in a network.
    let given = x.clone().map(|x| x.mul_scalar(2.0));
    let result = if at_once {
        batch_norm_pair_train(given, weights.clone(), biases.clone(), EPSILON, activation)
    } else {
        let [first, second] = given;
        let [[weight, weight_beside], [bias, bias_beside]] = [weights.clone(), biases.clone()];
        let identity = Activation::Identity;
        let beside = batch_norm_train(second, None, weight_beside, bias_beside, EPSILON, identity);
        let residual = Some(beside.output);
        let result = batch_norm_train(first, residual, weight, bias, EPSILON, activation);
        BatchNormPairOutput {
            output: result.output,
            means: [result.mean, beside.mean],
            variances: [result.variance, beside.variance],
        }
    };
    assert!(
        result
            .means
            .iter()
            .chain(&result.variances)
            .all(|of| !of.is_tracked())
    );
    let gradient = plain(&inputs[0].gradient, inputs[0].shape, dtype).autodiff();
    let gradients = (result.output.clone() * gradient).sum().backward();
    let mut found = vec![values(result.output)];
    found.extend(result.means.into_iter().chain(result.variances).map(values));
    found.extend(x.map(|of| values(of.grad(&gradients).expect("x is tracked"))));
    let of_channels = weights.into_iter().chain(biases);
    found.extend(of_channels.map(|of| values(of.grad(&gradients).expect("both are tracked"))));
    found
}

#[test]
fn two_norms_at_once_are_one_after_the_other() {
    for (seed, shape) in [[5, 7, 6, 6], [3, 18, 5, 7], [2, 3, 33, 35], [9, 33, 1, 1]]
        .into_iter()
        .enumerate()
    {
        let inputs = [seed, seed + 10].map(|seed| Inputs::new(shape, seed as u64));
        for activation in [Activation::Identity, Activation::Relu, Activation::Relu6] {
            for (dtype, tolerance) in [(DType::F32, 0.0), (DType::F64, 1e-12)] {
                let found = of_two(&inputs, activation, dtype, true);
                let expected = of_two(&inputs, activation, dtype, false);
                assert_eq!(found.len(), 11);
                for (found, expected) in found.iter().zip(&expected) {
                    let what = format!("{shape:?} {activation:?} {dtype:?}");
                    assert_close(&what, found, expected, tolerance);
                }
            }
        }
    }
}

#[test]
fn one_of_two_norms_may_be_frozen() {
    let inputs = [1, 2].map(|seed| Inputs::new([4, 3, 5, 5], seed));
    let x = tracked(&inputs[0].x, inputs[0].shape, DType::F32);
    let beside = plain(&inputs[1].x, inputs[1].shape, DType::F32).autodiff();
    let of_channels = |numbers: &[f64]| plain(numbers, [3], DType::F32).autodiff();
    let weights = inputs.each_ref().map(|of| of_channels(&of.weight));
    let biases = inputs.each_ref().map(|of| of_channels(&of.bias));
    let maps = [x.clone(), beside.clone()];
    let result = batch_norm_pair_train(maps, weights.clone(), biases, EPSILON, Activation::Relu);
    let gradients = result.output.sum().backward();
    assert!(x.grad(&gradients).is_some());
    assert!(beside.grad(&gradients).is_none() && weights[1].grad(&gradients).is_none());
}
