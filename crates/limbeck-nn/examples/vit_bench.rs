//! Times the training step (without an optimiser) and the evaluation of the tiny vision
//! transformer at 224×224.
//!
//! Usage: `cargo run --release --workspace --example vit_bench [batch] [runs]`
//! Prints medians in milliseconds.

#![allow(clippy::unwrap_used, reason = "a measurement ends by panicking")]

use std::time::Instant;

use burn::tensor::{DType, Device, Distribution, Int, Tensor, activation::log_softmax};
use limbeck_nn::{InputShape, Taps, model};

fn median_ms(runs: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

fn main() {
    limbeck_kernels::keep_freed_memory();
    let mut numbers = std::env::args().skip(1).map(|a| a.parse().unwrap());
    let batch = numbers.next().unwrap_or(16);
    let runs = numbers.next().unwrap_or(5);
    let device = Device::flex();
    let input = InputShape {
        channels: 3,
        height: 224,
        width: 224,
        classes: 1000,
    };
    let network = model::build("vit_tiny_patch16_224", input, 1, &device, DType::F32).unwrap();
    let images = Tensor::<4>::random([batch, 3, 224, 224], Distribution::Default, &device);
    let labels = Tensor::<1, Int>::arange(0..batch as i64, &device);
    let step = median_ms(runs, || {
        let tracked = network.store.tracked();
        let (outputs, _) = network.train(&tracked, images.clone(), &Taps::none(), 1);
        let loss = log_softmax(outputs.logits, 1)
            .gather(1, labels.clone().reshape([batch, 1]))
            .mean()
            .neg();
        let mut gradients = loss.backward();
        tracked.gradients(&mut gradients);
    });
    let evaluation = median_ms(runs, || {
        network.evaluate(images.clone(), &Taps::none());
    });
    println!("batch {batch}: step {step:.0} ms, evaluation {evaluation:.0} ms");
}
