//! Gated fusion against the operations that it is made of, in `f32` (the kernels) and in `f64`
//! (burn's own operations with gradients written by hand).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor, activation::sigmoid};
use limbeck_kernels::{Conv2dOptions, FusionInput, Interpolation, conv2d, gated_fusion, resize};
use support::{assert_close, assert_within, bits, noise, plain, tracked, values, with_threads};

/// Batch, input and output channels, height and width, those of the coarser map.
const CASES: [[usize; 7]; 11] = [
    [2, 1, 1, 1, 1, 1, 1],
    [1, 3, 2, 4, 4, 2, 2],
    [3, 5, 7, 3, 5, 2, 3],
    [2, 17, 9, 16, 16, 8, 8],
    [9, 4, 13, 7, 9, 9, 7],
    [2, 6, 70, 32, 32, 16, 16],
    [4, 70, 33, 9, 18, 3, 9],
    [1, 33, 65, 3, 150, 2, 75],
    [17, 8, 8, 8, 8, 1, 1],
    [5, 64, 40, 16, 16, 8, 8],
    [2, 3, 4, 5, 64, 5, 64],
];

const PLAIN: Conv2dOptions = Conv2dOptions {
    stride: [1; 2],
    padding: [0; 2],
    dilation: [1; 2],
    groups: 1,
};

const NAMES: [&str; 10] = [
    "output",
    "mean",
    "variance",
    "of x",
    "of kernel",
    "of scale",
    "of shift",
    "of running",
    "of gates' kernel",
    "of gates' bias",
];

struct Leaves {
    x: Tensor<4>,
    weight: Tensor<4>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    running: Tensor<4>,
    gate_weight: Tensor<4>,
    gate_bias: Tensor<1>,
}

fn leaves(
    [batch, inputs, outputs, height, width, rows, columns]: [usize; 7],
    dtype: DType,
) -> Leaves {
    // All maps lie off zero, as behind a rectifier.
    let above = |count, seed| -> Vec<f64> { noise(count, seed).iter().map(|v| v + 0.5).collect() };
    Leaves {
        x: tracked(
            &above(batch * inputs * height * width, 1),
            [batch, inputs, height, width],
            dtype,
        ),
        weight: tracked(&noise(outputs * inputs, 2), [outputs, inputs, 1, 1], dtype),
        scale: tracked(&above(outputs, 3), [outputs], dtype),
        shift: tracked(&noise(outputs, 4), [outputs], dtype),
        running: tracked(
            &noise(batch * outputs * rows * columns, 5),
            [batch, outputs, rows, columns],
            dtype,
        ),
        gate_weight: tracked(&noise(4 * outputs, 6), [2, 2 * outputs, 1, 1], dtype),
        gate_bias: tracked(&noise(2, 7), [2], dtype),
    }
}

/// What the operation gives, and its gradients.
fn run(case: [usize; 7], dtype: DType) -> Vec<Tensor<1>> {
    let leaves = leaves(case, dtype);
    let input = FusionInput {
        x: leaves.x.clone(),
        weight: leaves.weight.clone(),
        scale: leaves.scale.clone(),
        shift: leaves.shift.clone(),
        epsilon: 1e-5,
    };
    let fused = gated_fusion(
        input,
        leaves.running.clone(),
        leaves.gate_weight.clone(),
        leaves.gate_bias.clone(),
    );
    finish(&leaves, fused.output, [fused.mean, fused.variance], dtype)
}

/// The same by its definition.
fn definition(case: [usize; 7]) -> Vec<Tensor<1>> {
    let leaves = leaves(case, DType::F64);
    let [_, _, outputs, height, width, ..] = case;
    let plain = |x, weight, bias| conv2d(x, weight, bias, PLAIN);
    let convolved = plain(leaves.x.clone(), leaves.weight.clone(), None);
    let mean_of = |map: Tensor<4>| map.mean_dim(0).mean_dim(2).mean_dim(3);
    let mean = mean_of(convolved.clone());
    let centred = convolved - mean.clone();
    let variance = mean_of(centred.clone().powf_scalar(2.0));
    let scale = leaves.scale.clone().reshape([1, outputs, 1, 1]);
    let shift = leaves.shift.clone().reshape([1, outputs, 1, 1]);
    let y = centred / variance.clone().add_scalar(1e-5).sqrt() * scale + shift;
    let wide = resize(
        leaves.running.clone(),
        [height, width],
        Interpolation::Nearest,
    );
    let both = Tensor::cat(vec![y.clone(), wide.clone()], 1);
    let gates = sigmoid(plain(
        both,
        leaves.gate_weight.clone(),
        Some(leaves.gate_bias.clone()),
    ));
    let output = y * gates.clone().narrow(1, 0, 1) + wide * gates.narrow(1, 1, 1);
    let statistics = [mean, variance].map(|of| of.inner().reshape([outputs]));
    finish(&leaves, output, statistics, DType::F64)
}

fn finish(
    leaves: &Leaves,
    output: Tensor<4>,
    [mean, variance]: [Tensor<1>; 2],
    dtype: DType,
) -> Vec<Tensor<1>> {
    fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
        let count = tensor.shape().num_elements();
        tensor.inner().reshape([count])
    }
    let shape = output.dims();
    let weights = plain(&noise(shape.iter().product(), 8), shape, dtype).autodiff();
    let gradients = (output.clone() * weights).sum().backward();
    vec![
        flat(output),
        mean.inner(),
        variance.inner(),
        leaves.x.grad(&gradients).map(flat).unwrap(),
        leaves.weight.grad(&gradients).map(flat).unwrap(),
        leaves.scale.grad(&gradients).map(flat).unwrap(),
        leaves.shift.grad(&gradients).map(flat).unwrap(),
        leaves.running.grad(&gradients).map(flat).unwrap(),
        leaves.gate_weight.grad(&gradients).map(flat).unwrap(),
        leaves.gate_bias.grad(&gradients).map(flat).unwrap(),
    ]
}

#[test]
fn output_and_gradients_are_those_of_the_definition() {
    for case in CASES {
        let expected: Vec<_> = definition(case).into_iter().map(values).collect();
        let samples = case[0] * case[3] * case[4];
        // The normalised numbers of two samples are ±1 whatever they are: nothing but rounding is
        // behind their gradients.
        if samples <= 2 {
            continue;
        }
        for (dtype, tolerance, digit) in [(DType::F32, 2e-5, 6e-8), (DType::F64, 1e-11, 1e-16)] {
            for ((name, found), expected) in NAMES.iter().zip(run(case, dtype)).zip(&expected) {
                let what = format!("{dtype:?} {name} of {case:?}");
                let largest = expected.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
                // Sums over all samples may cancel.
                let most = tolerance * largest + digit * samples as f64;
                assert_within(&what, &values(found), expected, most);
            }
        }
    }
}

#[test]
fn a_map_that_is_constant_or_far_off_zero_keeps_its_digits() {
    let [batch, channels, side] = [3, 4, 6];
    let count = batch * channels * side * side;
    for (offset, tolerance) in [(0.0, 1e-6), (100.0, 1e-4)] {
        let numbers: Vec<f64> = noise(count, 1).iter().map(|v| v + offset).collect();
        let run = |dtype| {
            let shape = [batch, channels, side, side];
            let ones = vec![1.0; channels];
            let input = FusionInput {
                x: plain(&numbers, shape, dtype),
                weight: plain(
                    &noise(channels * channels, 2),
                    [channels, channels, 1, 1],
                    dtype,
                ),
                scale: plain(&ones, [channels], dtype),
                shift: plain(&ones, [channels], dtype),
                epsilon: 1e-5,
            };
            let running = plain(
                &vec![0.25; batch * channels],
                [batch, channels, 1, 1],
                dtype,
            );
            let gate_weight = plain(&noise(4 * channels, 3), [2, 2 * channels, 1, 1], dtype);
            let gate_bias = plain(&[0.1, -0.1], [2], dtype);
            let fused = gated_fusion(input, running, gate_weight, gate_bias);
            [values(fused.output), values(fused.variance)]
        };
        let expected = run(DType::F64);
        for (found, expected) in run(DType::F32).iter().zip(&expected) {
            assert_close(&format!("{offset}"), found, expected, tolerance);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in CASES {
        let on = |threads| {
            with_threads(threads, || {
                run(case, DType::F32)
                    .into_iter()
                    .map(bits)
                    .collect::<Vec<_>>()
            })
        };
        let one = on(1);
        for threads in [2, 5] {
            assert!(one == on(threads), "{case:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "cannot be fused")]
fn maps_of_other_channels_are_refused() {
    let input = FusionInput {
        x: plain(&[0.0; 8], [1, 2, 2, 2], DType::F32),
        weight: plain(&[0.0; 6], [3, 2, 1, 1], DType::F32),
        scale: plain(&[1.0; 3], [3], DType::F32),
        shift: plain(&[0.0; 3], [3], DType::F32),
        epsilon: 1e-5,
    };
    let running = plain(&[0.0; 2], [1, 2, 1, 1], DType::F32);
    let gate_weight = plain(&[0.0; 12], [2, 6, 1, 1], DType::F32);
    let gate_bias = plain(&[0.0; 2], [2], DType::F32);
    gated_fusion(input, running, gate_weight, gate_bias);
}
