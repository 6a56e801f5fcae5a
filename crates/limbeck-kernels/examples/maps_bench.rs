//! Times what is done to feature maps beside convolutions, ours next to burn's own, in one run.
//!
//! Usage: `cargo run --release --workspace --example maps_bench [PART OF A NAME]`
//! Prints medians in milliseconds: forward, and forward with backward.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an example ends by panicking"
)]

use std::time::Instant;

use burn::tensor::{
    Device, Distribution, Int, Tensor, TensorData, module,
    ops::{AvgPoolOptions, MaxPoolOptions},
};
use limbeck_kernels::{
    Activation, Interpolation, Pool2dOptions, avg_pool2d, batch_norm_train, channel_affine,
    global_avg_pool2d, max_pool2d, resize,
};

const WARM_UP: usize = 2;
const RUNS: usize = 9;

type Work<'a> = &'a dyn Fn(Tensor<4>) -> Tensor<4>;

fn median(mut times: Vec<f64>) -> f64 {
    let mut times = times.split_off(WARM_UP);
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn times(shape: [usize; 4], work: Work<'_>) -> [f64; 2] {
    let device = Device::flex();
    let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let gradient = Tensor::<4>::random(
        work(x.clone()).dims(),
        Distribution::Normal(0.0, 1.0),
        &device,
    );
    let (mut forward, mut both) = (Vec::new(), Vec::new());
    for _ in 0..WARM_UP + RUNS {
        let start = Instant::now();
        let _ = work(x.clone());
        forward.push(start.elapsed().as_secs_f64() * 1e3);
        let x = x.clone().autodiff().require_grad();
        let start = Instant::now();
        let y = work(x.clone());
        let spent = start.elapsed();
        // The product hands the gradient over; its time is not that of the work.
        let loss = (y * gradient.clone().autodiff()).sum();
        let start = Instant::now();
        let _ = loss.backward();
        both.push((spent + start.elapsed()).as_secs_f64() * 1e3);
    }
    [median(forward), median(both)]
}

fn main() {
    limbeck_kernels::keep_freed_memory();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let pool = |kernel: usize, stride: usize, padding: usize| Pool2dOptions {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    };
    let burns_maximum = |kernel: usize, stride: usize, padding: usize| {
        move |x| {
            let options = MaxPoolOptions::new([kernel; 2])
                .with_stride([stride; 2])
                .with_padding([padding; 2]);
            module::max_pool2d(x, options)
        }
    };
    let burns_average = |kernel: usize, stride: usize, padding: usize| {
        move |x| {
            let options = AvgPoolOptions::new([kernel; 2])
                .with_stride([stride; 2])
                .with_padding([padding; 2]);
            module::avg_pool2d(x, options)
        }
    };
    let channel =
        |channels: usize, value: f64| Tensor::<1>::full([channels], value, &Device::flex());
    let normed = |x: Tensor<4>, residual, activation| {
        let (weight, bias) = (channel(x.dims()[1], 1.0), channel(x.dims()[1], 0.0));
        batch_norm_train(x, residual, weight, bias, 1e-5, activation).output
    };
    let norm = |x| normed(x, None, Activation::Identity);
    let norm_relu = |x| normed(x, None, Activation::Relu);
    let norm_relu6 = |x| normed(x, None, Activation::Relu6);
    let norm_add_relu = |x: Tensor<4>| normed(x.clone(), Some(x), Activation::Relu);
    let affine_relu = |x: Tensor<4>| {
        let (scale, shift) = (channel(x.dims()[1], 1.5), channel(x.dims()[1], 0.1));
        channel_affine(x, None, scale, shift, Activation::Relu)
    };
    let burns_affine_relu = |x: Tensor<4>| {
        let channels = x.dims()[1];
        let scale = channel(channels, 1.5).reshape([1, channels, 1, 1]);
        let shift = channel(channels, 0.1).reshape([1, channels, 1, 1]);
        limbeck_kernels::relu(x * scale + shift)
    };
    let mean = |x: Tensor<4>| {
        let [batch, channels, _, _] = x.dims();
        global_avg_pool2d(x).reshape([batch, channels, 1, 1])
    };
    let burns_mean = |x: Tensor<4>| {
        let [batch, channels, height, width] = x.dims();
        x.reshape([batch, channels, height * width])
            .mean_dim(2)
            .reshape([batch, channels, 1, 1])
    };
    let bilinear =
        |x, size, align_corners| resize(x, size, Interpolation::Bilinear { align_corners });
    // As costly as burn's way of resizing, whatever the weights.
    let products = |x: Tensor<4>, [rows, columns]: [usize; 2]| {
        let [batch, channels, height, width] = x.dims();
        let maps = batch * channels;
        let wide = x
            .reshape([maps * height, width])
            .matmul(Tensor::ones([width, columns], &Device::flex()));
        Tensor::<3>::ones([1, rows, height], &Device::flex())
            .expand([maps, rows, height])
            .matmul(wide.reshape([maps, height, columns]))
            .reshape([batch, channels, rows, columns])
    };
    let selections = |x: Tensor<4>, [rows, columns]: [usize; 2]| {
        let [_, _, height, width] = x.dims();
        let sources = |input: usize, output: usize| {
            let sources: Vec<i64> = (0..output).map(|i| (i * input / output) as i64).collect();
            Tensor::<1, Int>::from_data(TensorData::new(sources, [output]), &Device::flex())
        };
        x.select(2, sources(height, rows))
            .select(3, sources(width, columns))
    };
    let cases: [(&str, [usize; 4], Work<'_>, Option<Work<'_>>); 18] = [
        (
            "maximum 3x3/2",
            [64, 64, 112, 112],
            &|x| max_pool2d(x, pool(3, 2, 1)),
            Some(&burns_maximum(3, 2, 1)),
        ),
        (
            "maximum 2x2/2",
            [64, 128, 32, 32],
            &|x| max_pool2d(x, pool(2, 2, 0)),
            Some(&burns_maximum(2, 2, 0)),
        ),
        (
            "maximum 2x2/2",
            [64, 512, 8, 8],
            &|x| max_pool2d(x, pool(2, 2, 0)),
            Some(&burns_maximum(2, 2, 0)),
        ),
        (
            "average 3x3/2",
            [64, 240, 16, 16],
            &|x| avg_pool2d(x, pool(3, 2, 1)),
            Some(&burns_average(3, 2, 1)),
        ),
        (
            "average 2x2/2",
            [64, 256, 16, 16],
            &|x| avg_pool2d(x, pool(2, 2, 0)),
            Some(&burns_average(2, 2, 0)),
        ),
        ("mean", [64, 256, 8, 8], &mean, Some(&burns_mean)),
        ("mean", [64, 512, 7, 7], &mean, Some(&burns_mean)),
        (
            "bilinear",
            [64, 256, 8, 8],
            &|x| bilinear(x, [16, 16], false),
            Some(&|x| products(x, [16, 16])),
        ),
        (
            "bilinear",
            [64, 128, 32, 32],
            &|x| bilinear(x, [16, 16], true),
            Some(&|x| products(x, [16, 16])),
        ),
        (
            "bilinear",
            [64, 3, 32, 32],
            &|x| bilinear(x, [224, 224], false),
            Some(&|x| products(x, [224, 224])),
        ),
        (
            "nearest",
            [64, 256, 8, 8],
            &|x| resize(x, [16, 16], Interpolation::Nearest),
            Some(&|x| selections(x, [16, 16])),
        ),
        ("norm", [64, 64, 32, 32], &norm, None),
        ("norm", [64, 256, 8, 8], &norm, None),
        ("norm relu", [64, 64, 32, 32], &norm_relu, None),
        ("norm relu", [64, 256, 8, 8], &norm_relu, None),
        ("norm relu6", [64, 64, 32, 32], &norm_relu6, None),
        (
            "known relu",
            [64, 64, 32, 32],
            &affine_relu,
            Some(&burns_affine_relu),
        ),
        ("norm add relu", [64, 64, 32, 32], &norm_add_relu, None),
    ];
    for (name, shape, ours, burns) in cases {
        if !name.contains(&wanted) {
            continue;
        }
        let [forward, both] = times(shape, ours);
        print!("{name:16} {shape:?}: {forward:.2} {both:.2}");
        if let Some(burns) = burns {
            let [forward, both] = times(shape, burns);
            print!("   burn {forward:.2} {both:.2}");
        }
        println!();
    }
}
