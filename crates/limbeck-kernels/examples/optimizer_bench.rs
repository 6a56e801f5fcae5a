//! Times the steps of optimisers over 11 million numbers in 62 parameters, ours next to the same
//! made of burn's operations, in one run.
//!
//! Usage: `cargo run --release --workspace --example optimizer_bench`
//! Prints medians in milliseconds.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use limbeck_kernels::{
    AdamWStep, AdamWTensors, SgdStep, adamw_step, moving_average, sgd_step, sum_of_squares,
};

const WARM_UP: usize = 2;
const RUNS: usize = 9;
const SGD: SgdStep = SgdStep {
    learning_rate: 0.1,
    weight_decay: 5e-4,
    momentum: 0.9,
    dampening: 0.0,
    nesterov: false,
};
const ADAMW: AdamWStep = AdamWStep {
    learning_rate: 1e-3,
    weight_decay: 0.05,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    step: 10,
};

/// A parameter, its gradient, and two things that are remembered of it.
type Parameter = [Tensor<1>; 4];

fn parameters() -> Vec<Parameter> {
    // Like ResNet-18: few large weights, many small vectors.
    let sizes = [512, 256, 128, 64]
        .into_iter()
        .flat_map(|width| [9 * width * width; 4].into_iter().chain([width; 11]))
        .chain([512 * 1000, 1000]);
    sizes
        .map(|size| {
            [(); 4].map(|()| Tensor::random([size], Distribution::Default, &Device::flex()))
        })
        .collect()
}

fn time(name: &str, mut work: impl FnMut(Parameter) -> Parameter) {
    let mut parameters = parameters();
    let mut times = Vec::new();
    for _ in 0..WARM_UP + RUNS {
        let start = Instant::now();
        parameters = parameters.into_iter().map(&mut work).collect();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let mut times = times.split_off(WARM_UP);
    times.sort_by(f64::total_cmp);
    println!("{name:24} {:8.2}", times[RUNS / 2]);
}

fn main() {
    limbeck_kernels::keep_freed_memory();
    time("sgd", |[value, gradient, momentum, other]| {
        let (value, momentum) = sgd_step(value, gradient.clone(), Some(momentum), SGD);
        [value, gradient, momentum.unwrap_or(other.clone()), other]
    });
    time("sgd of burn's", |[value, gradient, momentum, other]| {
        let decayed = gradient.clone() + value.clone().mul_scalar(SGD.weight_decay);
        let momentum = momentum.mul_scalar(SGD.momentum) + decayed;
        let value = value - momentum.clone().mul_scalar(SGD.learning_rate);
        [value, gradient, momentum, other]
    });
    time("adamw", |[value, gradient, mean, square]| {
        let tensors = AdamWTensors {
            value,
            mean,
            square,
        };
        let after = adamw_step(tensors, gradient.clone(), ADAMW);
        [after.value, gradient, after.mean, after.square]
    });
    time("adamw of burn's", |[value, gradient, mean, square]| {
        let value = value.mul_scalar(1.0 - ADAMW.learning_rate * ADAMW.weight_decay);
        let squared = gradient.clone().square().mul_scalar(1.0 - ADAMW.beta2);
        let share = gradient.clone().mul_scalar(1.0 - ADAMW.beta1);
        let mean = mean.mul_scalar(ADAMW.beta1) + share;
        let square = square.mul_scalar(ADAMW.beta2) + squared;
        let spread = square.clone().sqrt().add_scalar(ADAMW.epsilon);
        let way = (mean.clone() / spread).mul_scalar(ADAMW.learning_rate);
        [value - way, gradient, mean, square]
    });
    time("average", |[value, gradient, average, other]| {
        let average = moving_average(average, value.clone(), 0.99);
        [value, gradient, average, other]
    });
    time("average of burn's", |[value, gradient, average, other]| {
        let average = average.mul_scalar(0.99) + value.clone().mul_scalar(0.01);
        [value, gradient, average, other]
    });
    time("squares", |parameter| {
        std::hint::black_box(sum_of_squares(parameter[1].clone()));
        parameter
    });
}
