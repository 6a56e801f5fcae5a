//! Every instruction set computes the same.

mod gates;
mod pairs;
mod windows;

use std::sync::PoisonError;

use crate::{
    Activation, AdamWStep, Conv2dOptions, Largest, Levels, Pool2dOptions, SgdStep, all_finite,
    attention::{self, Sizes},
    convolution::{Finish, Geometry, forward, input_gradient, weight_gradient},
    divergence, exponentials, gelu, layer_norm,
    likelihood::maps,
    normalisation::{
        Maps, Operand, Output, Read, affine, backward as norm_gradients, forward as norm,
        pair::{self, ReadPair},
    },
    optimizer::span::{AdamW, MovingAverage, Pass, Sgd, sum_of_squares},
    perceptron,
    pooling::{
        adaptive::{self, Parts},
        average, maximum,
        window::Windows,
    },
    product::{Matrix, Onto, Shares, product, product_onto, transposed_product},
    quantise::span,
    rectifier,
    resize::{bilinear::Bilinear, nearest::Nearest},
    silu,
    simd::{LEVELS, Level, WIDEST},
    sum_of_exponentials,
    tokens::{depthwise, transpose::transposed},
};

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 9) as f32 / (1 << 23) as f32 - 0.5
        })
        .collect()
}

/// Batch, channels, outputs, size, kernel, stride, groups.
const CONVOLUTIONS: [[usize; 7]; 28] = [
    [3, 5, 13, 16, 3, 1, 1],
    [5, 4, 8, 8, 3, 1, 1],
    [2, 17, 13, 10, 3, 1, 1],
    [1, 12, 70, 5, 3, 1, 1],
    [3, 33, 24, 8, 3, 1, 1],
    [9, 3, 7, 4, 3, 2, 1],
    [3, 14, 37, 15, 3, 2, 1],
    [2, 33, 13, 8, 3, 2, 1],
    [2, 14, 20, 9, 5, 1, 1],
    [19, 13, 30, 11, 3, 3, 1],
    [2, 6, 6, 15, 5, 2, 2],
    [17, 2, 3, 7, 2, 1, 1],
    [3, 8, 9, 8, 1, 1, 1],
    [3, 12, 12, 32, 3, 1, 12],
    [7, 10, 10, 8, 3, 2, 10],
    [18, 10, 10, 3, 3, 1, 10],
    [19, 17, 17, 8, 3, 2, 17],
    [16, 5, 5, 7, 5, 3, 5],
    [18, 21, 11, 1, 1, 1, 1],
    [17, 9, 22, 3, 1, 1, 1],
    [3, 34, 14, 4, 1, 1, 2],
    [2, 7, 19, 19, 1, 1, 1],
    [33, 6, 5, 5, 1, 2, 1],
    [5, 300, 321, 8, 3, 1, 1],
    [2, 3, 3, 41, 3, 2, 3],
    [3, 5, 22, 35, 4, 4, 1],
    [19, 6, 34, 7, 2, 2, 2],
    [2, 3, 17, 33, 8, 8, 1],
];

fn results() -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    for case in CONVOLUTIONS {
        let [batch, channels, outputs, size, kernel, stride, groups] = case;
        let geometry = Geometry::new(
            [batch, channels, size, size],
            [outputs, channels / groups, kernel, kernel],
            Conv2dOptions {
                stride: [stride; 2],
                // Those with as large a stride lie side by side.
                padding: if stride == kernel {
                    [0; 2]
                } else {
                    [kernel / 2; 2]
                },
                dilation: [1; 2],
                groups,
            },
        );
        let x = noise(batch * channels * size * size, 1);
        let weight = noise(outputs * channels / groups * kernel * kernel, 2);
        let bias = noise(outputs, 3);
        let gradient = noise(batch * outputs * geometry.output_size(), 4);
        let mut add = |name: &str, values| results.push((format!("{name} {case:?}"), values));
        let residual = noise(batch * outputs * geometry.output_size(), 10);
        let finish = Finish {
            bias: Some(&bias),
            residual: Some(&residual),
            activation: Activation::Relu,
        };
        add("output", forward(&x, &weight, finish, &geometry));
        add("dx", input_gradient(&gradient, &weight, &geometry));
        add("dw", weight_gradient(&x, &gradient, &geometry));
    }
    for size in [64, 5, 333] {
        results.extend(of_maps(size));
    }
    transformers(&mut results);
    for case in POOLINGS {
        results.extend(of_poolings(case));
    }
    results.extend(of_steps());
    for width in [1, 13, 16, 200] {
        let [x, target] = [1, 2].map(|seed| noise(7 * width, seed));
        let (sum, slopes) = divergence::rows::divergence(&x, &target, width, 3.0);
        results.push((format!("divergence, {width}"), vec![sum as f32]));
        results.push((format!("slopes, {width}"), slopes));
    }
    for case in RESIZINGS {
        results.extend(of_resizing(case));
    }
    results.extend(pairs::results());
    results.extend(windows::of_attention());
    results.extend(gates::results());
    results
}

/// Input and output, height and width each.
const RESIZINGS: [[[usize; 2]; 2]; 4] = [
    [[8, 9], [16, 35]],
    [[33, 20], [7, 5]],
    [[1, 1], [3, 40]],
    [[4, 21], [8, 42]],
];

fn of_resizing(case: [[usize; 2]; 2]) -> Vec<(String, Vec<f32>)> {
    let [input, output] = case;
    let x = noise(3 * input[0] * input[1], 1);
    let gradient = noise(3 * output[0] * output[1], 2);
    let mut results = Vec::new();
    for align_corners in [false, true] {
        let resize = Bilinear::new(input, output, align_corners);
        results.push((format!("resized {case:?}"), resize.forward(&x)));
        results.push((format!("dx {case:?}"), resize.backward(&gradient)));
    }
    let resize = Nearest::new(input, output);
    results.push((format!("nearest {case:?}"), resize.forward(&x)));
    results.push((format!("dx {case:?}"), resize.backward(&gradient)));
    results
}

fn of_steps() -> Vec<(String, Vec<f32>)> {
    let count = 101;
    let gradient = noise(count, 1);
    let [mut value, mut momentum] = [noise(count, 2), noise(count, 3)];
    let step = SgdStep {
        learning_rate: 0.1,
        weight_decay: 0.05,
        momentum: 0.9,
        dampening: 0.25,
        nesterov: true,
    };
    Sgd {
        value: &mut value,
        gradient: &gradient,
        momentum: Some(&mut momentum),
        first: false,
        step,
    }
    .make();
    let [mut weight, mut mean] = [noise(count, 4), noise(count, 5)];
    let mut square: Vec<f32> = noise(count, 6).iter().map(|x| x * x).collect();
    let step = AdamWStep {
        learning_rate: 0.01,
        weight_decay: 0.5,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-3,
        step: 3,
    };
    AdamW {
        value: &mut weight,
        gradient: &gradient,
        mean: &mut mean,
        square: &mut square,
        step,
    }
    .make();
    let mut average = noise(count, 7);
    MovingAverage {
        average: &mut average,
        value: &gradient,
        decay: 0.9,
    }
    .make();
    let squares = vec![sum_of_squares(&gradient) as f32];
    let names = [
        "sgd", "momentum", "adamw", "mean", "square", "average", "Σ x²",
    ];
    let values = [value, momentum, weight, mean, square, average, squares];
    names.map(str::to_owned).into_iter().zip(values).collect()
}

fn of_maps(size: usize) -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    let maps = Maps {
        batch: 3,
        channels: 7,
        size,
    };
    let count = 21 * size;
    let x: Vec<f32> = noise(count, 5).iter().map(|x| 20.0 * x).collect();
    let (gradient, residual) = (noise(count, 6), noise(count, 9));
    let (weight, bias) = (noise(7, 7), noise(7, 8));
    let mut add = |name: &str, values| results.push((format!("{name}, {size}"), values));
    for activation in [Activation::Relu, Activation::Relu6] {
        let numbers = [&x[..], &weight, &bias];
        let normed = norm::forward(maps, numbers, Some(&residual), 1e-5, activation);
        let read = Read {
            x: &x,
            centre: &normed.mean,
            output: Output::Stored(&normed.output),
            activation,
        };
        let (variance, output) = (&normed.variance, &normed.output);
        let kept = || Operand::Kept(&gradient);
        let of_norm =
            norm_gradients::batch_norm(maps, &read, kept(), &weight, variance, 1e-5, true);
        let of_affine = norm_gradients::channel_affine(maps, &read, kept(), &weight, true);
        for gradients in [of_norm, of_affine] {
            add("dx of norm", gradients.x.unwrap());
            add("dw of norm", gradients.weight);
            add("db of norm", gradients.bias);
            add("mask of norm", gradients.residual.unwrap());
        }
        let alone = norm::forward(maps, numbers, None, 1e-5, activation);
        let scaling = [&alone.scale[..], &bias].concat();
        let read = Read {
            output: Output::Computed(&scaling),
            ..read
        };
        let mut room = gradient.clone();
        let given = Operand::Given(&mut room);
        let gradients =
            norm_gradients::batch_norm(maps, &read, given, &weight, variance, 1e-5, false);
        assert!(gradients.x.is_none(), "dx is in the gradient's room");
        add("dx of norm alone", room);
        add("dw of norm alone", gradients.weight);
        add("db of norm alone", gradients.bias);
        let two = pair::forward(
            maps,
            [&x, &residual],
            [&weight, &bias],
            [&bias, &weight],
            1e-5,
            activation,
        );
        let read = ReadPair {
            beside: &residual,
            weights: [&weight, &bias],
            means: two.means.each_ref().map(Vec::as_slice),
            variances: two.variances.each_ref().map(Vec::as_slice),
            output: Some(&two.output),
            epsilon: 1e-5,
            activation,
        };
        let (mut room, mut own_room) = (gradient.clone(), x.clone());
        let operands = [&mut own_room, &mut room].map(|room| Operand::Given(room));
        let [own, given] = operands;
        let gradients = pair::gradients(maps, &read, own, given);
        add("dx of two norms", own_room);
        add("dx beside", room);
        let [dw, dw_beside] = gradients.weights;
        add("dw of two norms", dw);
        add("dw beside", dw_beside);
        add("two norms", two.output);
        add("norm", output.clone());
        add("mean", normed.mean);
        add("variance", normed.variance);
        add("affine", affine::forward(maps, numbers, None, activation));
    }
    let silu = Activation::Silu;
    let normed = norm::forward(maps, [&x, &weight, &bias], None, 1e-5, silu);
    let scaling = [&normed.scale[..], &bias].concat();
    let read = Read {
        x: &x,
        centre: &normed.mean,
        output: Output::Computed(&scaling),
        activation: silu,
    };
    let (kept, variance) = (Operand::Kept(&gradient), &normed.variance);
    let gradients = norm_gradients::batch_norm(maps, &read, kept, &weight, variance, 1e-5, false);
    add("norm with SiLU", normed.output);
    add("its dx", gradients.x.unwrap());
    add("its dw", gradients.weight);
    add("rectified", rectifier::forward(&x));
    add("passed", rectifier::backward(&x, &gradient));
    results
}

/// Height, width, kernel, stride, padding.
const POOLINGS: [[usize; 5]; 7] = [
    [33, 70, 3, 2, 1],
    [8, 8, 2, 2, 0],
    [9, 40, 3, 1, 1],
    [19, 23, 5, 3, 2],
    [7, 7, 7, 7, 0],
    [33, 40, 16, 16, 0],
    [9, 13, 3, 3, 0],
];

fn of_poolings(case: [usize; 5]) -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    let [height, width, kernel, stride, padding] = case;
    let options = Pool2dOptions {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    };
    let shape = [2, 3, height, width];
    let windows = Windows::new(shape, options);
    let parts = Parts::new(shape, [1, 1]);
    let x = noise(6 * height * width, 11);
    let gradient = noise(6 * windows.output_size(), 12);
    let mut add = |name: &str, values| results.push((format!("{name} {case:?}"), values));
    let (largest, places) = maximum::forward_with_places(&windows, &x);
    add("largest", largest);
    add("largest alone", maximum::forward(&windows, &x));
    add(
        "dx of largest",
        maximum::backward(&windows, &places, &gradient),
    );
    add("places", places.into_iter().map(f32::from).collect());
    add("mean", average::forward(&windows, &x));
    add("dx of mean", average::backward(&windows, &gradient));
    add("mean of all", adaptive::forward(&parts, &x));
    results
}

/// What vision transformers are made of.
fn transformers(results: &mut Vec<(String, Vec<f32>)>) {
    for [rows, inputs, outputs] in [
        [1, 1, 1],
        [7, 17, 65],
        [200, 385, 70],
        [50, 16, 9],
        [800, 30, 200],
    ] {
        let mut add = |name: &str, values| {
            results.push((format!("{name}, {rows} by {inputs} by {outputs}"), values));
        };
        let (x, weight) = (noise(rows * inputs, 1), noise(outputs * inputs, 2));
        let (bias, gradient) = (noise(outputs, 3), noise(rows * outputs, 4));
        let x = Matrix::new(&x, rows, inputs);
        let weight = Matrix::new(&weight, outputs, inputs);
        let gradient = Matrix::new(&gradient, rows, outputs);
        add("product", product(x, weight.transposed(), Some(&bias)));
        let onto = Onto {
            residual: gradient.numbers,
            shares: Some(Shares {
                factors: &[0.5, 2.0],
                rows: rows.div_ceil(2),
            }),
            first: 0,
        };
        let sum = product_onto(x, weight.transposed(), Some(&bias), Some(onto));
        add("product onto another", sum);
        let maps = perceptron::rows::Maps {
            first: weight.transposed(),
            first_bias: &bias,
            second: weight,
            second_bias: &noise(inputs, 5),
        };
        let onto = Onto {
            residual: x.numbers,
            ..onto
        };
        let (output, given) = perceptron::rows::forward(x, maps, onto, true);
        let (slopes, activated) = perceptron::rows::backward(x, weight.transposed(), &given);
        add("perceptron", output);
        add("what its unit was given", given);
        add("slopes of that", slopes);
        add("what its unit gave", activated);
        add("dx of product", product(gradient, weight, None));
        let (weight, bias) = transposed_product(gradient, x);
        add("dw of product", weight);
        add("db of product", bias);
    }
    for [batch, tokens, heads, per_head] in [[1, 1, 1, 1], [2, 19, 3, 5], [1, 130, 1, 17]] {
        let sizes = Sizes {
            batch,
            tokens,
            keys: tokens,
            heads,
            per_head,
        };
        let count = batch * tokens * heads * per_head;
        let (qkv, gradient) = (noise(3 * count, 1), noise(count, 2));
        let read = attention::Read::joined(&qkv, sizes);
        let (output, logarithms) = attention::forward::forward(sizes, read);
        let saved = attention::backward::Saved {
            read,
            output: &output,
            logarithms: &logarithms,
            gradient: &gradient,
        };
        let backward = attention::backward::backward_joined(sizes, saved);
        let apart = Sizes {
            keys: tokens.div_ceil(3),
            ..sizes
        };
        let keys = noise(2 * batch * apart.keys * apart.width(), 3);
        let read = attention::Read::apart(&gradient, &keys, apart);
        let (reduced, reduced_logarithms) = attention::forward::forward(apart, read);
        let saved = attention::backward::Saved {
            read,
            output: &reduced,
            logarithms: &reduced_logarithms,
            gradient: &gradient,
        };
        let [of_queries, of_keys] = attention::backward::backward_apart(apart, saved);
        let mut add = |name: &str, values| results.push((format!("{name} {sizes:?}"), values));
        add("gradient", backward);
        add("output of fewer keys", reduced);
        add("gradient of queries", of_queries);
        add("gradient of keys", of_keys);
        add("output", output);
        add("logarithms", logarithms);
    }
    for [rows, columns, channels] in [[1, 1, 1], [9, 5, 16], [17, 8, 37]] {
        let sizes = depthwise::Sizes {
            batch: 2,
            grid: [rows, columns],
            channels,
        };
        let count = 2 * rows * columns * channels;
        let (x, gradient) = (noise(count, 1), noise(count, 2));
        let (weight, bias) = (noise(9 * channels, 3), noise(channels, 4));
        let mut add = |name: &str, values| {
            results.push((format!("{name} {rows} by {columns} by {channels}"), values));
        };
        for activation in [Activation::Identity, Activation::Gelu] {
            let y = depthwise::forward(&x, &weight, &bias, sizes, activation);
            add("depthwise", y);
        }
        add("dx", depthwise::input_gradient(&gradient, &weight, sizes));
        let [weight, bias] = depthwise::weight_gradient(&x, &gradient, sizes);
        add("dw", weight);
        add("db", bias);
        add("transposed", transposed(&x, [rows * columns, channels]));
    }
    for [classes, pixels] in [[1, 1], [5, 37], [19, 64]] {
        let sizes = maps::Sizes {
            batch: 2,
            classes,
            pixels,
        };
        let logits = noise(2 * classes * pixels, 1);
        let gradient = noise(2 * pixels, 2);
        let ids: Vec<u16> = (0..2 * pixels).map(|i| (i % classes) as u16).collect();
        let mut add = |name: &str, values| {
            results.push((format!("{name} of {classes} by {pixels}"), values));
        };
        let [likelihoods, logarithms] = maps::forward(&logits, &ids, sizes);
        add(
            "slope of likelihoods",
            maps::backward(&logits, &ids, &logarithms, &gradient, sizes),
        );
        add("likelihoods", likelihoods);
    }
    for [rows, width] in [[1, 3], [5, 16], [70, 37]] {
        let (x, gradient) = (noise(rows * width, 1), noise(rows * width, 2));
        let (weight, bias) = (noise(width, 3), noise(width, 4));
        let forward = layer_norm::rows::forward(&x, &weight, &bias, 1e-6);
        let (mean, scale) = (&forward.mean, &forward.scale);
        let (dx, dw, db) = layer_norm::rows::backward(&x, &weight, mean, scale, &gradient);
        let mut add = |name: &str, values| {
            results.push((format!("{name} of layer norm, {rows} by {width}"), values));
        };
        add("dx", dx);
        add("dw", dw);
        add("db", db);
        add("output", forward.output);
        add("Gaussian unit", gelu::forward(&x));
        add("its gradient", gelu::backward(&x, &gradient));
        add("sigmoid-weighted unit", silu::forward(&x));
        add("gradient of that", silu::backward(&x, &gradient));
        for bits in [1, 4, 8] {
            let levels = Levels::covering([-0.3, 0.4], bits).unwrap_or(Levels::unit(bits));
            add("levels", span::forward(&x, levels));
            add("their gradient", span::backward(&x, &gradient, levels));
            add("rows of levels", span::rows(&x, width, bits));
        }
        add("range", span::range(&x).to_vec());
    }
}

/// What is stored, in bits that must not depend on the processor.
fn stored() -> Vec<u64> {
    let mut bits = Vec::new();
    for count in [1, 9, 100, 1000] {
        let numbers: Vec<f32> = noise(count, 1).iter().map(|x| 30.0 * x).collect();
        let largest = numbers.iter().copied().fold(f32::MIN, f32::max);
        bits.push(sum_of_exponentials(&numbers, largest).to_bits());
        for wanted in [10, 100, 300] {
            for &(place, number) in Largest::default().find(&numbers, wanted) {
                bits.extend([u64::from(place), u64::from(number.to_bits())]);
            }
        }
        bits.push(u64::from(all_finite(&numbers)));
        let mut numbers = numbers;
        exponentials(&mut numbers, largest);
        bits.extend(numbers.iter().map(|number| u64::from(number.to_bits())));
    }
    bits
}

#[test]
fn every_instruction_set_computes_the_same() {
    let _alone = LEVELS.write().unwrap_or_else(PoisonError::into_inner);
    let with = |level| {
        *WIDEST.lock().unwrap() = Some(level);
        let results = (results(), stored());
        *WIDEST.lock().unwrap() = None;
        results
    };
    let (baseline, bits) = with(Level::Baseline);
    #[cfg(target_arch = "x86_64")]
    for level in [Level::Avx2, Level::Avx512] {
        let (results, found) = with(level);
        assert_eq!(found, bits, "{level:?}");
        for ((name, found), (_, expected)) in results.into_iter().zip(&baseline) {
            assert_eq!(found.len(), expected.len(), "{level:?} {name}");
            let scale = expected.iter().fold(1e-3f32, |most, v| most.max(v.abs()));
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert!(
                    (found - expected).abs() <= 2e-5 * scale,
                    "{level:?} {name}: {found} instead of {expected} at {i}"
                );
            }
        }
    }
    assert!(!baseline.is_empty() && !bits.is_empty());
}
