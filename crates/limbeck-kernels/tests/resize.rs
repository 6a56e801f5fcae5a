//! Resizing against the definition, in `f32` (the kernels) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{Interpolation, resize};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

const WAYS: [Interpolation; 3] = [
    Interpolation::Nearest,
    Interpolation::Bilinear {
        align_corners: false,
    },
    Interpolation::Bilinear {
        align_corners: true,
    },
];

/// For each output position of an axis: the input positions that it comes from and their weights.
fn sources(way: Interpolation, input: usize, output: usize) -> Vec<Vec<(usize, f64)>> {
    let source = |i: usize| match way {
        Interpolation::Nearest => (i * input / output) as f64,
        Interpolation::Bilinear {
            align_corners: true,
        } => i as f64 * (input - 1) as f64 / (output.max(2) - 1) as f64,
        Interpolation::Bilinear {
            align_corners: false,
        } => ((i as f64 + 0.5) * input as f64 / output as f64 - 0.5).max(0.0),
    };
    (0..output)
        .map(|i| {
            let low = (source(i) as usize).min(input - 1);
            let share = source(i) - low as f64;
            vec![(low, 1.0 - share), ((low + 1).min(input - 1), share)]
        })
        .collect()
}

/// Output, and gradient with respect to the input for a gradient of the output.
fn definition(
    way: Interpolation,
    shape: [usize; 4],
    size: [usize; 2],
    x: &[f64],
    gradient: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let [batch, channels, height, width] = shape;
    let (rows, columns) = (sources(way, height, size[0]), sources(way, width, size[1]));
    let mut output = Vec::new();
    let mut dx = vec![0.0; x.len()];
    for map in 0..batch * channels {
        for row in &rows {
            for column in &columns {
                let gradient = gradient[output.len()];
                let mut sum = 0.0;
                for (row, row_weight) in row {
                    for (column, column_weight) in column {
                        let at = (map * height + row) * width + column;
                        sum += row_weight * column_weight * x[at];
                        dx[at] += row_weight * column_weight * gradient;
                    }
                }
                output.push(sum);
            }
        }
    }
    (output, dx)
}

fn run(
    way: Interpolation,
    shape: [usize; 4],
    size: [usize; 2],
    seed: u64,
    dtype: DType,
) -> (Tensor<4>, Tensor<4>) {
    let x = tracked(&noise(shape.iter().product(), seed), shape, dtype);
    let y = resize(x.clone(), size, way);
    assert_eq!(y.dims(), [shape[0], shape[1], size[0], size[1]]);
    let gradient = noise(y.shape().num_elements(), seed + 1);
    let gradient = plain(&gradient, y.dims(), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    (y, x.grad(&gradients).expect("x is tracked"))
}

fn check(way: Interpolation, shape: [usize; 4], size: [usize; 2], seed: u64) {
    let x = noise(shape.iter().product(), seed);
    let gradient = noise(shape[0] * shape[1] * size[0] * size[1], seed + 1);
    let (expected_y, expected_dx) = definition(way, shape, size, &x, &gradient);
    for (dtype, tolerance) in [(DType::F32, 3e-6), (DType::F64, 1e-13)] {
        let (y, dx) = run(way, shape, size, seed, dtype);
        let what = |part: &str| format!("{dtype:?} {part} of {way:?}, {shape:?} to {size:?}");
        assert_close(&what("output"), &values(y), &expected_y, tolerance);
        assert_close(&what("gradient"), &values(dx), &expected_dx, tolerance);
    }
}

#[test]
fn usual_sizes_follow_the_definition() {
    for way in WAYS {
        for (from, to) in [
            ([8, 8], [16, 16]),
            ([3, 37], [6, 74]),
            ([5, 32], [15, 64]),
            ([16, 16], [8, 8]),
            ([7, 5], [14, 33]),
            ([1, 1], [4, 3]),
            ([5, 4], [1, 1]),
            ([32, 32], [56, 20]),
        ] {
            check(way, [2, 3, from[0], from[1]], to, 3);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_sizes_follow_the_definition(
        shape in (1usize..=3, 1usize..=3, 1usize..=19, 1usize..=23),
        size in (1usize..=37, 1usize..=37),
        way in prop::sample::select(&WAYS[..]),
        seed in 1u64..1 << 32,
    ) {
        let (batch, channels, height, width) = shape;
        check(way, [batch, channels, height, width], [size.0, size.1], seed);
    }
}

#[test]
fn a_small_map_is_as_worked_by_hand() {
    let x = || plain(&[0.0, 4.0], [1, 1, 1, 2], DType::F32);
    let expected = [
        [0.0, 0.0, 4.0, 4.0],
        [0.0, 1.0, 3.0, 4.0],
        [0.0, 4.0 / 3.0, 8.0 / 3.0, 4.0],
    ];
    for (way, expected) in WAYS.into_iter().zip(expected) {
        assert_close("row", &values(resize(x(), [1, 4], way)), &expected, 1e-6);
    }
}

#[test]
fn maps_that_have_the_size_already_stay_as_they_are() {
    let x = plain(&noise(12, 1), [1, 1, 3, 4], DType::F32);
    for way in WAYS {
        assert_eq!(bits(resize(x.clone(), [3, 4], way)), bits(x.clone()));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for way in WAYS {
        let on = |threads| {
            with_threads(threads, || {
                [[40, 9], [42, 34]].map(|size| {
                    let (y, dx) = run(way, [5, 7, 21, 17], size, 6, DType::F32);
                    (bits(y), bits(dx))
                })
            })
        };
        let one = on(1);
        for threads in [2, 5] {
            assert!(one == on(threads), "{way:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "cannot be resized to [0, 2]")]
fn a_size_of_zero_is_refused() {
    resize(plain(&[1.0], [1, 1, 1, 1], DType::F32), [0, 2], WAYS[0]);
}

#[test]
#[should_panic(expected = "cannot be resized to [2, 2]")]
fn an_empty_batch_is_refused() {
    resize(plain(&[], [0, 1, 1, 1], DType::F32), [2, 2], WAYS[1]);
}
