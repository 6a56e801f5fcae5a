//! Operations on tokens against their definitions, in `f32` (the kernels) and in `f64` (burn's own
//! operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{
    Activation, depthwise_tokens, depthwise_tokens_with, gelu, map_to_tokens, token_patches,
    tokens_to_map,
};
use proptest::prelude::*;
use support::{assert_close, noise, plain, tracked, values, with_threads};

/// Batch, rows, columns, channels.
type Sizes = [usize; 4];

fn shape([batch, rows, columns, channels]: Sizes) -> [usize; 3] {
    [batch, rows * columns, channels]
}

fn count(sizes: Sizes) -> usize {
    sizes.iter().product()
}

/// The depthwise convolution, written out.
fn definition(sizes: Sizes, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let [batch, rows, columns, channels] = sizes;
    let mut y = Vec::with_capacity(x.len());
    for image in 0..batch {
        for row in 0..rows {
            for column in 0..columns {
                for channel in 0..channels {
                    let mut sum = bias[channel];
                    for (down, right) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
                        let (i, j) = (row + down, column + right);
                        if (1..=rows).contains(&i) && (1..=columns).contains(&j) {
                            let at = (image * rows + i - 1) * columns + j - 1;
                            sum +=
                                weight[channel * 9 + 3 * down + right] * x[at * channels + channel];
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

/// Output, and gradients of tokens, weight and bias.
fn depthwise(sizes: Sizes, seed: u64, dtype: DType) -> [Vec<f64>; 4] {
    let [_, rows, columns, channels] = sizes;
    let x = tracked(&noise(count(sizes), seed), shape(sizes), dtype);
    let weight = tracked(&noise(9 * channels, seed + 1), [channels, 1, 3, 3], dtype);
    let bias = tracked(&noise(channels, seed + 2), [channels], dtype);
    let y = depthwise_tokens(x.clone(), [rows, columns], weight.clone(), bias.clone());
    let gradient = plain(&noise(count(sizes), seed + 3), shape(sizes), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    [
        values(y),
        values(x.grad(&gradients).expect("tracked")),
        values(weight.grad(&gradients).expect("tracked")),
        values(bias.grad(&gradients).expect("tracked")),
    ]
}

fn check_depthwise(sizes: Sizes, seed: u64) {
    let single = depthwise(sizes, seed, DType::F32);
    let double = depthwise(sizes, seed, DType::F64);
    let expected = definition(
        sizes,
        &noise(count(sizes), seed),
        &noise(9 * sizes[3], seed + 1),
        &noise(sizes[3], seed + 2),
    );
    assert_close("f64 output", &double[0], &expected, 1e-12);
    let names = ["output", "of tokens", "of weight", "of bias"];
    for ((name, single), double) in names.into_iter().zip(&single).zip(&double) {
        assert_close(&format!("{name} at {sizes:?}"), single, double, 1e-5);
    }
}

#[test]
fn a_small_depthwise_convolution_is_as_worked_by_hand() {
    // Two tokens beside each other: the left one meets the kernel's middle and right column.
    let x = plain(&[2.0, 3.0], [1, 2, 1], DType::F32);
    let weight: Vec<f64> = (1..=9).map(f64::from).collect();
    let weight = plain(&weight, [1, 1, 3, 3], DType::F32);
    let y = depthwise_tokens(x, [1, 2], weight, plain(&[0.5], [1], DType::F32));
    assert_close("output", &values(y), &[28.5, 23.5], 1e-7);
}

#[test]
fn usual_depthwise_sizes_follow_the_definition() {
    for sizes in [
        [2, 16, 16, 128],
        [1, 9, 33, 40],
        [1, 1, 1, 17],
        [3, 8, 1, 16],
    ] {
        check_depthwise(sizes, 3);
    }
}

/// What `run` gives of tracked tokens, and the gradient for a random one of its output.
fn run<const D: usize>(
    sizes: Sizes,
    seed: u64,
    dtype: DType,
    run: impl Fn(Tensor<3>) -> Tensor<D>,
) -> [Vec<f64>; 2] {
    let x = tracked(&noise(count(sizes), seed), shape(sizes), dtype);
    let y = run(x.clone());
    let shape = y.dims();
    let gradient = noise(shape.iter().product(), seed + 1);
    let gradients = (y.clone() * plain(&gradient, shape, dtype).autodiff())
        .sum()
        .backward();
    [values(y), values(x.grad(&gradients).expect("tracked"))]
}

fn check_moves(sizes: Sizes, side: usize, seed: u64) {
    let [batch, rows, columns, channels] = sizes;
    let grid = [rows, columns];
    let x = noise(count(sizes), seed);
    let token = |image: usize, row: usize, column: usize| {
        let at = ((image * rows + row) * columns + column) * channels;
        at..at + channels
    };
    for dtype in [DType::F32, DType::F64] {
        let [map, of_map] = run(sizes, seed, dtype, |x| tokens_to_map(x, grid));
        let gradient = noise(count(sizes), seed + 1);
        for image in 0..batch {
            for (row, column) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                for (channel, at) in token(image, row, column).enumerate() {
                    let place = ((image * channels + channel) * rows + row) * columns + column;
                    assert_eq!(map[place], x[at]);
                    assert_eq!(of_map[at], gradient[place]);
                }
            }
        }
        let [back, of_back] = run(sizes, seed, dtype, |x| {
            map_to_tokens(tokens_to_map(x, grid))
        });
        assert_eq!(back, x);
        assert_eq!(of_back, gradient);

        let [cut, of_cut] = run(sizes, seed, dtype, |x| token_patches(x, grid, side));
        let gradient = noise(cut.len(), seed + 1);
        let mut expected: Vec<f64> = Vec::new();
        let mut expected_gradient = vec![0.0; count(sizes)];
        for image in 0..batch {
            for (top, left) in
                (0..rows / side).flat_map(|i| (0..columns / side).map(move |j| (i, j)))
            {
                for (row, column) in (0..side).flat_map(|i| (0..side).map(move |j| (i, j))) {
                    let from = token(image, top * side + row, left * side + column);
                    let place = expected.len();
                    expected_gradient[from.clone()]
                        .copy_from_slice(&gradient[place..place + channels]);
                    expected.extend(&x[from]);
                }
            }
        }
        assert_eq!(cut, expected, "{sizes:?} in squares of {side}");
        assert_eq!(of_cut, expected_gradient, "{sizes:?} in squares of {side}");
    }
}

#[test]
fn usual_moves_follow_the_definition() {
    for (sizes, side) in [
        ([2, 16, 24, 32], 8),
        ([1, 65, 9, 64], 4),
        ([3, 5, 7, 20], 2),
    ] {
        check_moves(sizes, side, 5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_follows_the_definition(
        batch in 1usize..=3,
        rows in 1usize..=20,
        columns in 1usize..=20,
        channels in 1usize..=40,
        side in 1usize..=5,
        seed in 1u64..1 << 32,
    ) {
        let sizes = [batch, rows, columns, channels];
        check_depthwise(sizes, seed);
        check_moves(sizes, side.min(rows).min(columns), seed);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for sizes in [[1, 37, 21, 19], [5, 9, 9, 64]] {
        let one = with_threads(1, || depthwise(sizes, 1, DType::F32));
        for threads in [2, 5] {
            let many = with_threads(threads, || depthwise(sizes, 1, DType::F32));
            assert!(one == many, "{sizes:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "are no grid of")]
fn another_grid_is_refused() {
    tokens_to_map(plain(&[0.0; 12], [1, 6, 2], DType::F32), [2, 4]);
}

#[test]
#[should_panic(expected = "has no squares of 3 by 3")]
fn squares_larger_than_the_grid_are_refused() {
    token_patches(plain(&[0.0; 12], [1, 6, 2], DType::F32), [2, 3], 3);
}

#[test]
#[should_panic(expected = "do not fit tokens")]
fn a_weight_of_other_channels_is_refused() {
    let weight = plain(&[0.0; 27], [3, 1, 3, 3], DType::F32);
    let bias = plain(&[0.0; 3], [3], DType::F32);
    depthwise_tokens(
        plain(&[0.0; 12], [1, 6, 2], DType::F32),
        [2, 3],
        weight,
        bias,
    );
}

#[test]
fn an_activation_in_the_write_out_is_one_after_it() {
    for dtype in [DType::F32, DType::F64] {
        let [x, weight, bias] = [3 * 35 * 18, 18 * 9, 18].map(|count| noise(count, count as u64));
        let x = plain(&x, [3, 35, 18], dtype);
        let weight = plain(&weight, [18, 1, 3, 3], dtype);
        let bias = plain(&bias, [18], dtype);
        let after = gelu(depthwise_tokens(
            x.clone(),
            [5, 7],
            weight.clone(),
            bias.clone(),
        ));
        let within = depthwise_tokens_with(x, [5, 7], weight, bias, Activation::Gelu);
        assert_eq!(values(after), values(within));
    }
}
