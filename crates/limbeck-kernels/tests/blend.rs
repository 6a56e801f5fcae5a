//! Blending against the definition, in `f32` (the kernels) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::blend_channels;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

const SHAPES: [[usize; 4]; 5] = [
    [1, 1, 1, 1],
    [2, 3, 4, 4],
    [1, 2, 5, 7],
    [3, 5, 16, 33],
    [4, 64, 32, 32],
];

/// The blended maps, and the gradients of both and of the shares.
fn definition(
    size: usize,
    [first, second]: [&[f64]; 2],
    shares: &[f64],
    gradient: &[f64],
) -> [Vec<f64>; 4] {
    let mut found = [const { Vec::new() }; 4];
    for (map, share) in shares.iter().enumerate() {
        let mut of_share = 0.0;
        for i in map * size..(map + 1) * size {
            found[0].push(share * first[i] + (1.0 - share) * second[i]);
            found[1].push(share * gradient[i]);
            found[2].push((1.0 - share) * gradient[i]);
            of_share += gradient[i] * (first[i] - second[i]);
        }
        found[3].push(of_share);
    }
    found
}

fn run(shape: [usize; 4], dtype: DType) -> [Tensor<4>; 4] {
    let count = shape.iter().product();
    let [batch, channels, ..] = shape;
    let [first, second] = [1, 2].map(|seed| tracked(&noise(count, seed), shape, dtype));
    let shares = tracked(&noise(batch * channels, 3), [batch, channels, 1, 1], dtype);
    let blended = blend_channels(first.clone(), second.clone(), shares.clone());
    let gradient = plain(&noise(count, 4), shape, dtype).autodiff();
    let gradients = (blended.clone() * gradient).sum().backward();
    let [of_first, of_second, of_share] =
        [first, second, shares].map(|leaf| leaf.grad(&gradients).unwrap());
    [blended, of_first, of_second, of_share]
}

#[test]
fn maps_and_gradients_are_those_of_the_definition() {
    for shape in SHAPES {
        let count = shape.iter().product();
        let [first, second, gradient] = [1, 2, 4].map(|seed| noise(count, seed));
        let shares = noise(shape[0] * shape[1], 3);
        let size = shape[2] * shape[3];
        let expected = definition(size, [&first, &second], &shares, &gradient);
        for (dtype, tolerance) in [(DType::F32, 3e-6), (DType::F64, 1e-13)] {
            let names = ["maps", "of first", "of second", "of shares"];
            let found = names.into_iter().zip(run(shape, dtype)).zip(&expected);
            for ((name, found), expected) in found {
                let what = format!("{dtype:?} {name} of {shape:?}");
                assert_close(&what, &values(found), expected, tolerance);
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
#[should_panic(expected = "cannot be blended")]
fn shares_of_another_shape_are_refused() {
    let map = plain(&[0.0; 8], [1, 2, 2, 2], DType::F32);
    let share = plain(&[0.0], [1, 1, 1, 1], DType::F32);
    blend_channels(map.clone(), map, share);
}
