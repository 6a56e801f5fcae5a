//! Summaries of maps against their definition, in `f32` (the kernels) and in `f64` (burn's own
//! operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::energy_and_mean;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

const SHAPES: [[usize; 4]; 6] = [
    [1, 1, 1, 1],
    [2, 3, 4, 4],
    [3, 2, 5, 7],
    [5, 33, 3, 9],
    [17, 8, 1, 1],
    [4, 64, 32, 32],
];

/// Energies, means, and the gradient with respect to the maps.
fn definition([batch, channels, height, width]: [usize; 4]) -> [Vec<f64>; 3] {
    let size = height * width;
    let x = noise(batch * channels * size, 1);
    let [of_energy, of_mean] = [noise(batch * size, 2), noise(batch * channels, 3)];
    let at =
        |image: usize, channel: usize, place: usize| (image * channels + channel) * size + place;
    let mut energies = vec![0.0; batch * size];
    let mut means = vec![0.0; batch * channels];
    let mut dx = vec![0.0; x.len()];
    for image in 0..batch {
        for channel in 0..channels {
            for place in 0..size {
                let value = x[at(image, channel, place)];
                energies[image * size + place] += value * value / channels as f64;
                means[image * channels + channel] += value / size as f64;
                dx[at(image, channel, place)] = 2.0 * value / channels as f64
                    * of_energy[image * size + place]
                    + of_mean[image * channels + channel] / size as f64;
            }
        }
    }
    [energies, means, dx]
}

fn run(shape: [usize; 4], dtype: DType) -> [Tensor<1>; 3] {
    let [batch, channels, height, width] = shape;
    let size = height * width;
    let x = tracked(&noise(batch * channels * size, 1), shape, dtype);
    let summary = energy_and_mean(x.clone());
    let of_energy = plain(&noise(batch * size, 2), [batch, size], dtype).autodiff();
    let of_mean = plain(&noise(batch * channels, 3), [batch, channels], dtype).autodiff();
    let total = (summary.energy.clone() * of_energy).sum() + (summary.mean.clone() * of_mean).sum();
    let dx = x.grad(&total.backward()).unwrap();
    [
        summary.energy.inner().reshape([batch * size]),
        summary.mean.inner().reshape([batch * channels]),
        dx.reshape([batch * channels * size]),
    ]
}

#[test]
fn means_and_gradients_are_those_of_the_definition() {
    for shape in SHAPES {
        let expected = definition(shape);
        for (dtype, tolerance) in [(DType::F32, 3e-6), (DType::F64, 1e-13)] {
            for (index, found) in run(shape, dtype).into_iter().enumerate() {
                let what = format!("{dtype:?} {index} of {shape:?}");
                assert_close(&what, &values(found), &expected[index], tolerance);
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for shape in SHAPES {
        let on = |threads| with_threads(threads, || run(shape, DType::F32).map(bits));
        let one = on(1);
        for threads in [2, 5] {
            assert!(one == on(threads), "{shape:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "have no means")]
fn maps_without_positions_are_refused() {
    energy_and_mean(plain(&[], [1, 2, 0, 3], DType::F32));
}
