//! Every instruction set computes the same.

use crate::{
    Conv2dOptions,
    attention::{self, Sizes},
    convolution::{Geometry, forward, input_gradient, weight_gradient},
    gelu, layer_norm,
    normalisation::{self, Maps, Saved},
    product::{Matrix, product, transposed_product},
    rectifier,
    simd::{Level, WIDEST},
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
const CONVOLUTIONS: [[usize; 7]; 9] = [
    [3, 5, 13, 16, 3, 1, 1],
    [5, 4, 8, 8, 3, 1, 1],
    [9, 3, 7, 4, 3, 2, 1],
    [2, 6, 6, 15, 5, 2, 2],
    [17, 2, 3, 7, 2, 1, 1],
    [3, 8, 9, 8, 1, 1, 1],
    [3, 12, 12, 32, 3, 1, 12],
    [7, 10, 10, 8, 3, 2, 10],
    [18, 10, 10, 3, 3, 1, 10],
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
                padding: [kernel / 2; 2],
                dilation: [1; 2],
                groups,
            },
        );
        let x = noise(batch * channels * size * size, 1);
        let weight = noise(outputs * channels / groups * kernel * kernel, 2);
        let bias = noise(outputs, 3);
        let gradient = noise(batch * outputs * geometry.output_size(), 4);
        let mut add = |name: &str, values| results.push((format!("{name} {case:?}"), values));
        add("output", forward(&x, &weight, Some(&bias), &geometry));
        add("dx", input_gradient(&gradient, &weight, &geometry));
        add("dw", weight_gradient(&x, &gradient, &geometry));
    }
    for size in [64, 5, 333] {
        let maps = Maps {
            batch: 3,
            channels: 7,
            size,
        };
        let count = 21 * size;
        let (x, gradient) = (noise(count, 5), noise(count, 6));
        let (weight, bias, residual) = (noise(7, 7), noise(7, 8), noise(count, 9));
        let forward = normalisation::forward(maps, &x, &weight, &bias, Some(&residual), 1e-5, true);
        let saved = Saved {
            x: &x,
            weight: &weight,
            mean: &forward.mean,
            variance: &forward.variance,
            output: Some(&forward.output),
            gradient: &gradient,
            epsilon: 1e-5,
        };
        let backward = normalisation::backward(maps, &saved, true);
        let mut add =
            |name: &str, values| results.push((format!("{name} of norm, {size}"), values));
        add("dx", backward.x);
        add("dw", backward.weight);
        add("db", backward.bias);
        add("mask", backward.residual.unwrap());
        add("output", forward.output);
        add("mean", forward.mean);
        add("variance", forward.variance);
        results.push(("rectified".to_owned(), rectifier::forward(&x)));
        results.push(("passed".to_owned(), rectifier::backward(&x, &gradient)));
    }
    transformers(&mut results);
    results
}

/// What vision transformers are made of.
fn transformers(results: &mut Vec<(String, Vec<f32>)>) {
    for [rows, inputs, outputs] in [[1, 1, 1], [7, 17, 65], [200, 385, 70], [50, 16, 9]] {
        let mut add = |name: &str, values| {
            results.push((format!("{name}, {rows} by {inputs} by {outputs}"), values));
        };
        let (x, weight) = (noise(rows * inputs, 1), noise(outputs * inputs, 2));
        let (bias, gradient) = (noise(outputs, 3), noise(rows * outputs, 4));
        let x = Matrix::new(&x, rows, inputs);
        let weight = Matrix::new(&weight, outputs, inputs);
        let gradient = Matrix::new(&gradient, rows, outputs);
        add("product", product(x, weight.transposed(), Some(&bias)));
        add("dx of product", product(gradient, weight, None));
        let (weight, bias) = transposed_product(gradient, x);
        add("dw of product", weight);
        add("db of product", bias);
    }
    for [batch, tokens, heads, per_head] in [[1, 1, 1, 1], [2, 19, 3, 5], [1, 130, 1, 17]] {
        let sizes = Sizes {
            batch,
            tokens,
            heads,
            per_head,
        };
        let count = batch * tokens * heads * per_head;
        let (qkv, gradient) = (noise(3 * count, 1), noise(count, 2));
        let (output, logarithms) = attention::forward::forward(sizes, &qkv);
        let saved = attention::backward::Saved {
            qkv: &qkv,
            output: &output,
            logarithms: &logarithms,
            gradient: &gradient,
        };
        let backward = attention::backward::backward(sizes, saved);
        let mut add = |name: &str, values| results.push((format!("{name} {sizes:?}"), values));
        add("gradient", backward);
        add("output", output);
        add("logarithms", logarithms);
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
    }
}

#[test]
fn every_instruction_set_computes_the_same() {
    let with = |level| {
        *WIDEST.lock().unwrap() = Some(level);
        let results = results();
        *WIDEST.lock().unwrap() = None;
        results
    };
    let baseline = with(Level::Baseline);
    #[cfg(target_arch = "x86_64")]
    for level in [Level::Avx2, Level::Avx512] {
        for ((name, found), (_, expected)) in with(level).into_iter().zip(&baseline) {
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
    assert!(!baseline.is_empty());
}
