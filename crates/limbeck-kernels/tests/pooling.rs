//! Poolings against the definition, in `f32` (the kernels) and in `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{
    Pool2dOptions, adaptive_avg_pool2d, avg_pool2d, global_avg_pool2d, max_pool2d,
};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Maximum(Pool2dOptions),
    Average(Pool2dOptions),
    Adaptive([usize; 2]),
}

use Kind::{Adaptive, Average, Maximum};

fn options(kernel: usize, stride: usize, padding: usize) -> Pool2dOptions {
    Pool2dOptions {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

impl Kind {
    fn apply(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Maximum(options) => max_pool2d(x, options),
            Average(options) => avg_pool2d(x, options),
            Adaptive(size) => adaptive_avg_pool2d(x, size),
        }
    }

    /// Along an axis of `size` positions: first position (may be negative) and length of each
    /// window.
    fn windows(self, axis: usize, size: usize) -> Vec<(isize, usize)> {
        match self {
            Maximum(options) | Average(options) => {
                let (kernel, padding) = (options.kernel[axis], options.padding[axis]);
                let count = (size + 2 * padding - kernel) / options.stride[axis] + 1;
                (0..count)
                    .map(|i| {
                        (
                            (i * options.stride[axis]) as isize - padding as isize,
                            kernel,
                        )
                    })
                    .collect()
            }
            Adaptive(parts) => (0..parts[axis])
                .map(|i| {
                    let start = i * size / parts[axis];
                    let end = ((i + 1) * size).div_ceil(parts[axis]);
                    (start as isize, end - start)
                })
                .collect(),
        }
    }
}

/// Output, and gradient with respect to the input for a gradient of the output.
fn definition(kind: Kind, shape: [usize; 4], x: &[f64], gradient: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let [batch, channels, height, width] = shape;
    let (rows, columns) = (kind.windows(0, height), kind.windows(1, width));
    let mut output = Vec::new();
    let mut dx = vec![0.0; x.len()];
    for map in 0..batch * channels {
        for &(top, tall) in &rows {
            for &(left, wide) in &columns {
                let inside = |start: isize, length: usize, size: usize| {
                    (start..start + length as isize)
                        .filter(move |&i| i >= 0 && i < size as isize)
                        .map(|i| i as usize)
                };
                let places: Vec<usize> = inside(top, tall, height)
                    .flat_map(|y| {
                        inside(left, wide, width).map(move |x| (map * height + y) * width + x)
                    })
                    .collect();
                let gradient = gradient[output.len()];
                if let Maximum(_) = kind {
                    let mut best = places[0];
                    for &place in &places {
                        if x[place] > x[best] || x[place].is_nan() {
                            best = place;
                        }
                    }
                    output.push(x[best]);
                    dx[best] += gradient;
                } else {
                    let area = (tall * wide) as f64;
                    output.push(places.iter().map(|&i| x[i]).sum::<f64>() / area);
                    for i in places {
                        dx[i] += gradient / area;
                    }
                }
            }
        }
    }
    (output, dx)
}

fn count(kind: Kind, shape: [usize; 4]) -> usize {
    let windows = kind.windows(0, shape[2]).len() * kind.windows(1, shape[3]).len();
    shape[0] * shape[1] * windows
}

fn run(
    kind: Kind,
    shape: [usize; 4],
    x: &[f64],
    gradient: &[f64],
    dtype: DType,
) -> (Tensor<4>, Tensor<4>) {
    let x = tracked(x, shape, dtype);
    let y = kind.apply(x.clone());
    let gradient = plain(gradient, y.dims(), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    (y, x.grad(&gradients).expect("x is tracked"))
}

fn check(kind: Kind, shape: [usize; 4], seed: u64) {
    let count_in = shape.iter().product();
    // Few different numbers, so that windows have several largest ones.
    let x: Vec<f64> = noise(count_in, seed)
        .iter()
        .map(|x| (x * 8.0).round() - 2.0)
        .collect();
    let gradient = noise(count(kind, shape), seed + 1);
    let (expected_y, expected_dx) = definition(kind, shape, &x, &gradient);
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F64, 1e-13)] {
        let (y, dx) = run(kind, shape, &x, &gradient, dtype);
        let what = |part: &str| format!("{dtype:?} {part} of {kind:?} at {shape:?}");
        assert_close(&what("output"), &values(y), &expected_y, tolerance);
        assert_close(&what("gradient"), &values(dx), &expected_dx, tolerance);
    }
}

const USUAL: [(usize, usize, usize); 8] = [
    (3, 2, 1),
    (2, 2, 0),
    (3, 1, 1),
    (2, 1, 0),
    (1, 1, 0),
    (1, 2, 0),
    (5, 3, 2),
    (2, 3, 1),
];

#[test]
fn usual_windows_follow_the_definition() {
    for (kernel, stride, padding) in USUAL {
        for shape in [[2, 3, 8, 8], [1, 2, 7, 13], [1, 1, 35, 67], [3, 1, 5, 5]] {
            check(Maximum(options(kernel, stride, padding)), shape, 3);
            check(Average(options(kernel, stride, padding)), shape, 4);
        }
    }
}

#[test]
fn windows_side_by_side_follow_the_definition() {
    for (kernel, shape) in [
        ([16, 16], [2, 3, 32, 32]),
        ([16, 16], [1, 2, 37, 83]),
        ([17, 33], [1, 2, 20, 70]),
        ([3, 3], [2, 5, 8, 11]),
        ([1, 5], [3, 1, 6, 33]),
        ([4, 3], [1, 3, 4, 3]),
        ([8, 8], [2, 2, 8, 24]),
        ([40, 50], [1, 1, 40, 50]),
    ] {
        let windows = Pool2dOptions {
            kernel,
            stride: kernel,
            padding: [0; 2],
        };
        check(Maximum(windows), shape, 7);
    }
}

#[test]
fn equal_and_missing_numbers_of_windows_side_by_side_are_those_of_one_that_is_taken_apart() {
    // Few different numbers, and some that are none; the last column is in no window.
    let shape = [2, 3, 16, 17];
    let windows = options(4, 4, 0);
    for of_nothing in [0, 5, 40] {
        let x: Vec<f64> = noise(shape.iter().product(), 21)
            .iter()
            .enumerate()
            .map(|(i, x)| match (i * 7 % 100, i % 3) {
                (place, 0) if place < of_nothing => f64::NAN,
                (place, _) if place < of_nothing => f64::NEG_INFINITY,
                _ => (x * 4.0).round(),
            })
            .collect();
        let gradient = noise(2 * 3 * 16, 22);
        let [(y, dx), (expected, expected_dx)] = [DType::F32, DType::F64].map(|dtype| {
            let (y, dx) = run(Maximum(windows), shape, &x, &gradient, dtype);
            (values(y), values(dx))
        });
        assert!(
            y.iter()
                .zip(&expected)
                .all(|(y, e)| y == e || (y.is_nan() && e.is_nan()))
        );
        assert_eq!(dx, expected_dx);
    }
}

#[test]
fn parts_of_many_small_maps_follow_the_definition() {
    for shape in [
        [5, 7, 8, 8],
        [2, 16, 7, 9],
        [16, 1, 1, 1],
        [1, 19, 5, 3],
        [3, 11, 32, 32],
        [17, 1, 40, 30],
    ] {
        for size in [[1, 2], [2, 2], [4, 4], [3, 5], [8, 8], [9, 2]] {
            check(Adaptive(size), shape, 5);
        }
    }
}

#[test]
fn parts_follow_the_definition() {
    for shape in [
        [2, 3, 8, 8],
        [1, 2, 7, 13],
        [1, 1, 1, 1],
        [2, 1, 5, 1],
        [1, 2, 40, 80],
    ] {
        for size in [[1, 1], [2, 2], [4, 4], [3, 5], [7, 13], [9, 2]] {
            check(Adaptive(size), shape, 5);
        }
    }
}

#[test]
fn a_window_too_large_for_places_of_a_byte_follows_the_definition() {
    check(Maximum(options(16, 5, 3)), [1, 2, 23, 19], 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_windows_follow_the_definition(
        shape in (1usize..=3, 1usize..=3, 1usize..=21, 1usize..=40),
        kernel in (1usize..=7, 1usize..=7),
        stride in (1usize..=5, 1usize..=5),
        padding in (0usize..=3, 0usize..=3),
        maximum in any::<bool>(),
        seed in 1u64..1 << 32,
    ) {
        let shape = [shape.0, shape.1, shape.2, shape.3];
        let kernel = [kernel.0, kernel.1];
        let padding = [padding.0.min(kernel[0] / 2), padding.1.min(kernel[1] / 2)];
        let options = Pool2dOptions { kernel, stride: [stride.0, stride.1], padding };
        prop_assume!((0..2).all(|axis| shape[axis + 2] + 2 * padding[axis] >= kernel[axis]));
        check(if maximum { Maximum(options) } else { Average(options) }, shape, seed);
    }

    #[test]
    fn any_parts_follow_the_definition(
        shape in (1usize..=3, 1usize..=3, 1usize..=17, 1usize..=19),
        size in (1usize..=9, 1usize..=9),
        seed in 1u64..1 << 32,
    ) {
        check(Adaptive([size.0, size.1]), [shape.0, shape.1, shape.2, shape.3], seed);
    }
}

#[test]
fn a_small_maximum_is_as_worked_by_hand() {
    // Ties go to the first; the window in the corner is cut by the padding.
    let x = [1.0, 5.0, 5.0, 2.0, 5.0, 0.0, -1.0, -2.0, -3.0];
    let gradient = [1.0, 10.0, 100.0, 1000.0];
    let kind = Maximum(options(2, 2, 1));
    let (y, dx) = run(kind, [1, 1, 3, 3], &x, &gradient, DType::F32);
    assert_eq!(values(y), [1.0, 5.0, 2.0, 5.0]);
    assert_eq!(
        values(dx),
        [1.0, 10.0, 0.0, 100.0, 1000.0, 0.0, 0.0, 0.0, 0.0]
    );
}

#[test]
fn what_is_not_a_number_is_largest_and_the_last_of_its_kind_takes_the_gradient() {
    let x = [1.0, f64::NAN, 7.0, f64::NAN, 2.0, 3.0];
    for dtype in [DType::F32, DType::F64] {
        let (y, dx) = run(
            Maximum(options(2, 1, 0)),
            [1, 1, 2, 3],
            &x,
            &[1.0, 2.0],
            dtype,
        );
        assert!(values(y).iter().all(|y| y.is_nan()));
        assert_eq!(values(dx), [0.0, 2.0, 0.0, 1.0, 0.0, 0.0]);
    }
}

#[test]
fn windows_of_nothing_but_minus_infinity_choose_their_first_place() {
    let x = [f64::NEG_INFINITY; 9];
    let gradient = [1.0, 2.0, 3.0, 4.0];
    for dtype in [DType::F32, DType::F64] {
        let kind = Maximum(options(3, 2, 1));
        let (y, dx) = run(kind, [1, 1, 3, 3], &x, &gradient, dtype);
        assert_eq!(values(y), [f64::NEG_INFINITY; 4]);
        assert_eq!(values(dx), [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    }
}

#[test]
fn the_mean_of_whole_maps_has_one_number_for_each() {
    let x = tracked(
        &[1.0, 2.0, 3.0, 6.0, -1.0, -1.0, 0.0, 0.0],
        [1, 2, 2, 2],
        DType::F32,
    );
    let y = global_avg_pool2d(x.clone());
    assert_eq!(y.dims(), [1, 2]);
    assert_eq!(values(y.clone()), [3.0, -0.5]);
    let dx = x.grad(&y.sum().backward()).expect("x is tracked");
    assert_eq!(values(dx), [0.25; 8]);
}

#[test]
fn an_untracked_maximum_has_the_bits_of_a_tracked_one() {
    let x = noise(2 * 31 * 31, 8);
    for (kernel, stride, padding) in USUAL.into_iter().chain([(5, 5, 0), (16, 16, 0)]) {
        let windows = options(kernel, stride, padding);
        let shape = [1, 2, 31, 31];
        let untracked = max_pool2d(plain(&x, shape, DType::F32), windows);
        let tracked = max_pool2d(tracked(&x, shape, DType::F32), windows);
        assert_eq!(bits(untracked), bits(tracked));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let shape = [5, 7, 33, 29];
    let x = noise(shape.iter().product(), 9);
    for kind in [
        Maximum(options(3, 2, 1)),
        Maximum(options(5, 5, 0)),
        Average(options(3, 2, 1)),
        Adaptive([1, 1]),
        Adaptive([4, 5]),
        Adaptive([11, 1]),
    ] {
        let gradient = noise(count(kind, shape), 10);
        let on = |threads| {
            with_threads(threads, || {
                let (y, dx) = run(kind, shape, &x, &gradient, DType::F32);
                (bits(y), bits(dx))
            })
        };
        let one = on(1);
        for threads in [2, 5] {
            assert!(one == on(threads), "{kind:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "every size must be at least 1")]
fn an_empty_batch_is_refused() {
    max_pool2d(plain(&[], [0, 1, 2, 2], DType::F32), options(2, 2, 0));
}

#[test]
#[should_panic(expected = "every size must be at least 1")]
fn a_stride_of_zero_is_refused() {
    avg_pool2d(plain(&[1.0], [1, 1, 1, 1], DType::F32), options(1, 0, 0));
}

#[test]
#[should_panic(expected = "a window of 3 does not fit maps of 2")]
fn a_window_larger_than_the_map_is_refused() {
    max_pool2d(plain(&[1.0; 4], [1, 1, 2, 2], DType::F32), options(3, 1, 0));
}

#[test]
#[should_panic(expected = "a padding of 2 is more than half of a window of 3")]
fn a_padding_of_more_than_half_a_window_is_refused() {
    avg_pool2d(plain(&[1.0; 4], [1, 1, 2, 2], DType::F32), options(3, 1, 2));
}

#[test]
#[should_panic(expected = "cannot be averaged to [0, 1]")]
fn no_parts_are_refused() {
    adaptive_avg_pool2d(plain(&[1.0], [1, 1, 1, 1], DType::F32), [0, 1]);
}
