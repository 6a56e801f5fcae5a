//! Times the 3×3 convolutions of the CIFAR ResNets, ours next to burn's own, in one run.
//!
//! Usage: `cargo run --release -p limbeck-kernels --example conv_bench [batch]`
//! Prints medians in milliseconds and billions of multiply-add operations per second, counted as
//! two each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, module, ops::ConvOptions};
use limbeck_kernels::{Conv2dOptions, conv2d};

const WARM_UP: usize = 2;
const RUNS: usize = 9;

fn median_ms(mut work: impl FnMut()) -> f64 {
    for _ in 0..WARM_UP {
        work();
    }
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// Milliseconds of the forward pass and of forward and backward with the gradients asked for.
fn times(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    convolution: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> [f64; 3] {
    let forward = median_ms(|| {
        convolution(x.clone(), weight.clone());
    });
    let gradient = |of_x: bool| {
        let (mut x, mut weight) = (x.clone().autodiff(), weight.clone().autodiff());
        if of_x {
            x = x.require_grad();
        } else {
            weight = weight.require_grad();
        }
        // The gradient of the output is a tensor of its own, so that its layout is the usual one.
        let factor = convolution(x.clone(), weight.clone()).detach();
        let mut spent = Vec::new();
        for _ in 0..WARM_UP + RUNS {
            let loss = (convolution(x.clone(), weight.clone()) * factor.clone()).sum();
            let start = Instant::now();
            let _ = loss.backward();
            spent.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let mut spent = spent.split_off(WARM_UP);
        spent.sort_by(f64::total_cmp);
        spent[RUNS / 2]
    };
    [forward, gradient(true), gradient(false)]
}

fn main() {
    let batch = std::env::args()
        .nth(1)
        .and_then(|a| a.parse().ok())
        .unwrap_or(64);
    let device = Device::flex();
    println!("batch {batch}; ms ours / burn (times faster, ours in Gflop/s)");
    println!("the gradients include the product with the output's gradient");
    for (input, output, size, kernel, stride) in [
        (16, 16, 32, 3, 1),
        (3, 32, 32, 3, 1),
        (32, 32, 32, 3, 1),
        (64, 64, 32, 3, 1),
        (64, 128, 32, 3, 2),
        (128, 128, 16, 3, 1),
        (256, 256, 8, 3, 1),
        (64, 256, 16, 1, 1),
    ] {
        let x = Tensor::<4>::random([batch, input, size, size], Distribution::Default, &device);
        let weight = Tensor::<4>::random(
            [output, input, kernel, kernel],
            Distribution::Default,
            &device,
        );
        let padding = kernel / 2;
        let ours = times(&x, &weight, |x, weight| {
            conv2d(
                x,
                weight,
                None,
                Conv2dOptions {
                    stride: [stride; 2],
                    padding: [padding; 2],
                    dilation: [1; 2],
                    groups: 1,
                },
            )
        });
        let burns = times(&x, &weight, |x, weight| {
            let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
            module::conv2d(x, weight, None, options)
        });
        let outputs = size.div_ceil(stride);
        let flops =
            2.0 * (batch * output * outputs * outputs) as f64 * (input * kernel * kernel) as f64;
        println!("{kernel}×{kernel}/{stride} {input}→{output} {size}×{size}");
        for (name, (ours, burns)) in ["forward", "input gradient", "weight gradient"]
            .iter()
            .zip(ours.into_iter().zip(burns))
        {
            println!(
                "  {name:16} {ours:8.2} / {burns:8.2}  ({:.2}×, {:.0})",
                burns / ours,
                flops / ours / 1e6
            );
        }
    }
}
