//! The convolution and its gradients against the definition, in `f32` (the kernels) and in `f64`
//! (burn's own operation).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{
    Activation, Conv2dOptions, conv2d, conv2d_input_gradient, conv2d_weight_gradient, conv2d_with,
};
use proptest::prelude::*;
use support::{assert_within, bits, noise, plain, tracked, values, with_threads};

const PLAIN: Conv2dOptions = Conv2dOptions {
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
    groups: 1,
};

/// Sizes of a case.
#[derive(Clone, Copy, Debug)]
struct Case {
    x: [usize; 4],
    weight: [usize; 4],
    options: Conv2dOptions,
}

impl Case {
    fn output(&self) -> Option<[usize; 4]> {
        let Conv2dOptions {
            stride,
            padding,
            dilation,
            ..
        } = self.options;
        let size = |axis: usize| {
            let reach = dilation[axis] * (self.weight[2 + axis] - 1) + 1;
            let padded = self.x[2 + axis] + 2 * padding[axis];
            Some(padded.checked_sub(reach)? / stride[axis] + 1)
        };
        Some([self.x[0], self.weight[0], size(0)?, size(1)?])
    }
}

/// Output and the gradients with respect to `x`, `weight` and `bias`.
type Results = [Vec<f64>; 4];

/// The definition, element by element. `gradient` is that of the output.
fn definition(case: Case, x: &[f64], weight: &[f64], bias: &[f64], gradient: &[f64]) -> Results {
    let [batch, channels, height, width] = case.x;
    let [outputs, per_group, kh, kw] = case.weight;
    let [_, _, rows, columns] = case.output().expect("a case with outputs");
    let options = case.options;
    let mut y = vec![0.0; batch * outputs * rows * columns];
    let mut dx = vec![0.0; x.len()];
    let mut dweight = vec![0.0; weight.len()];
    let mut dbias = vec![0.0; outputs];
    for (at, y) in y.iter_mut().enumerate() {
        let (image, output) = (at / columns / rows / outputs, at / columns / rows % outputs);
        let (i, j) = (at / columns % rows, at % columns);
        *y += bias[output];
        dbias[output] += gradient[at];
        for tap in 0..per_group * kh * kw {
            let (c, a, b) = (tap / kw / kh, tap / kw % kh, tap % kw);
            let row =
                (i * options.stride[0] + a * options.dilation[0]).checked_sub(options.padding[0]);
            let column =
                (j * options.stride[1] + b * options.dilation[1]).checked_sub(options.padding[1]);
            let (Some(row), Some(column)) = (row, column) else {
                continue;
            };
            if row >= height || column >= width {
                continue;
            }
            let channel = output / (outputs / options.groups) * per_group + c;
            let from = ((image * channels + channel) * height + row) * width + column;
            let element = output * per_group * kh * kw + tap;
            *y += x[from] * weight[element];
            dx[from] += gradient[at] * weight[element];
            dweight[element] += gradient[at] * x[from];
        }
    }
    [y, dx, dweight, dbias]
}

/// Runs `conv2d` and its gradients in `dtype`.
fn run(
    case: Case,
    x: &[f64],
    weight: &[f64],
    bias: &[f64],
    gradient: &[f64],
    dtype: DType,
) -> Results {
    let x = tracked(x, case.x, dtype);
    let weight = tracked(weight, case.weight, dtype);
    let bias = tracked(bias, [case.weight[0]], dtype);
    let y = conv2d(x.clone(), weight.clone(), Some(bias.clone()), case.options);
    let gradient = plain(gradient, y.dims(), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    [
        values(y),
        values(x.grad(&gradients).expect("x is tracked")),
        values(weight.grad(&gradients).expect("weight is tracked")),
        values(bias.grad(&gradients).expect("bias is tracked")),
    ]
}

fn check(case: Case, seed: u64) {
    let output = case.output().expect("a case with outputs");
    let x = noise(case.x.iter().product(), seed);
    let weight = noise(case.weight.iter().product(), seed + 1);
    let bias = noise(case.weight[0], seed + 2);
    let gradient = noise(output.iter().product(), seed + 3);
    let expected = definition(case, &x, &weight, &bias, &gradient);
    // A sum is as exact as its terms are large, however they cancel.
    let [sizes_x, sizes_weight, sizes_bias, sizes_gradient] =
        [&x, &weight, &bias, &gradient].map(|all| all.iter().map(|v| v.abs()).collect::<Vec<_>>());
    let magnitudes = definition(case, &sizes_x, &sizes_weight, &sizes_bias, &sizes_gradient)
        .map(|all| all.into_iter().fold(0.0, f64::max));
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
        let found = run(case, &x, &weight, &bias, &gradient, dtype);
        for (i, name) in [
            "output",
            "input gradient",
            "weight gradient",
            "bias gradient",
        ]
        .into_iter()
        .enumerate()
        {
            assert_within(
                &format!("{dtype:?} {name} of {case:?}"),
                &found[i],
                &expected[i],
                tolerance * magnitudes[i],
            );
        }
    }
}

#[test]
fn a_small_convolution_is_as_worked_by_hand() {
    let x: Vec<f64> = (1..=9).map(f64::from).collect();
    let case = Case {
        x: [1, 1, 3, 3],
        weight: [1, 1, 2, 2],
        options: PLAIN,
    };
    let weight = [1.0, 10.0, 100.0, 1000.0];
    let [y, dx, dweight, dbias] = run(case, &x, &weight, &[0.5], &[1.0, 2.0, 3.0, 4.0], DType::F32);
    // 1 + 20 + 400 + 5000 + ½, and so on.
    assert_eq!(y, [5421.5, 6532.5, 8754.5, 9865.5]);
    assert_eq!(
        dx,
        [
            1.0, 12.0, 20.0, 103.0, 1234.0, 2040.0, 300.0, 3400.0, 4000.0
        ]
    );
    // 1·1 + 2·2 + 3·4 + 4·5 for the first element.
    assert_eq!(dweight, [37.0, 47.0, 67.0, 77.0]);
    assert_eq!(dbias, [10.0]);
}

#[test]
fn every_usual_layer_of_a_network_follows_the_definition() {
    let square =
        |channels: usize, outputs: usize, size: usize, kernel: usize, stride: usize| Case {
            x: [3, channels, size, size],
            weight: [outputs, channels, kernel, kernel],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                ..PLAIN
            },
        };
    let mut cases = vec![
        square(3, 16, 32, 3, 1),
        square(3, 8, 30, 7, 2),
        square(16, 20, 16, 3, 2),
        square(33, 7, 8, 3, 1),
        square(16, 24, 4, 1, 1),
        square(8, 6, 8, 1, 2),
        square(4, 5, 7, 5, 1),
        square(5, 3, 2, 3, 1),
        square(2, 1, 1, 3, 1),
    ];
    for groups in [2, 4] {
        cases.push(Case {
            x: [2, 8, 14, 14],
            weight: [16, 8 / groups, 3, 3],
            options: Conv2dOptions {
                padding: [1; 2],
                groups,
                ..PLAIN
            },
        });
    }
    for (size, kernel, stride) in [(32, 3, 1), (8, 3, 1), (4, 3, 2), (7, 7, 1), (2, 5, 1)] {
        cases.push(Case {
            x: [5, 12, size, size],
            weight: [12, 1, kernel, kernel],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                groups: 12,
                ..PLAIN
            },
        });
    }
    // Small maps of more images than a vector has lanes, one image to a lane, and of fewer.
    for (batch, size, kernel, stride) in [
        (16, 4, 3, 1),
        (35, 8, 3, 2),
        (19, 2, 3, 1),
        (33, 1, 3, 2),
        (17, 7, 5, 3),
        (3, 2, 3, 2),
    ] {
        cases.push(Case {
            x: [batch, 19, size, size],
            weight: [19, 1, kernel, kernel],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                groups: 19,
                ..PLAIN
            },
        });
    }
    // 1×1 kernels on maps of less than a vector, of some vectors and a rest, and of more
    // positions than are summed at once.
    for (batch, channels, outputs, [height, width], groups) in [
        (1, 1, 1, [1, 1], 1),
        (33, 70, 13, [1, 1], 1),
        (18, 20, 37, [2, 2], 1),
        (17, 3, 7, [3, 3], 1),
        (5, 66, 9, [4, 4], 1),
        (9, 17, 12, [7, 7], 1),
        (3, 100, 5, [17, 1], 1),
        (2, 7, 23, [19, 17], 1),
        (20, 36, 42, [2, 1], 3),
        (3, 36, 42, [5, 7], 3),
    ] {
        cases.push(Case {
            x: [batch, channels, height, width],
            weight: [outputs, channels / groups, 1, 1],
            options: Conv2dOptions { groups, ..PLAIN },
        });
    }
    // And with a stride: rows of half a vector of outputs, of whole ones, and of odd maps.
    for (channels, outputs, [height, width]) in [
        (20, 7, [16, 16]),
        (18, 21, [6, 32]),
        (5, 33, [12, 16]),
        (17, 20, [15, 15]),
        (3, 4, [4, 80]),
    ] {
        cases.push(Case {
            x: [3, channels, height, width],
            weight: [outputs, channels, 1, 1],
            options: Conv2dOptions {
                stride: [2, 2],
                ..PLAIN
            },
        });
    }
    // Patches, as the stem of a vision transformer takes them.
    cases.push(Case {
        x: [2, 3, 16, 16],
        weight: [10, 3, 4, 4],
        options: Conv2dOptions {
            stride: [4; 2],
            ..PLAIN
        },
    });
    // A stride that leaves inputs unread, and one that skips kernel-free rows.
    cases.push(Case {
        x: [17, 2, 9, 8],
        weight: [3, 2, 2, 1],
        options: Conv2dOptions {
            stride: [3, 4],
            ..PLAIN
        },
    });
    for (seed, case) in cases.into_iter().enumerate() {
        check(case, seed as u64);
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let pair = |least: usize, most: usize| [least..=most, least..=most];
    (
        (1usize..=18, 1usize..=3, 1usize..=5, 1usize..=9),
        (pair(1, 19), pair(1, 4)),
        (pair(1, 3), pair(0, 5), pair(1, 3)),
    )
        .prop_map(
            |((batch, groups, channels, outputs), (size, kernel), (stride, padding, dilation))| {
                Case {
                    x: [batch, groups * channels, size[0], size[1]],
                    weight: [groups * outputs, channels, kernel[0], kernel[1]],
                    options: Conv2dOptions {
                        stride,
                        padding,
                        dilation,
                        groups,
                    },
                }
            },
        )
        .prop_filter("the kernel must fit", |case| case.output().is_some())
}

/// As [`any_case`], with one input and one output channel to a group.
fn any_depthwise_case() -> impl Strategy<Value = Case> {
    (any_case(), 2usize..=21).prop_map(|(mut case, channels)| {
        case.x[1] = channels;
        case.weight[0] = channels;
        case.weight[1] = 1;
        case.options.groups = channels;
        case
    })
}

/// 3×3 with stride 1, or 2 and the padding that goes with it, of enough channels and positions for
/// minimal filtering.
fn any_filtered_case() -> impl Strategy<Value = Case> {
    (
        (1usize..=5, 12usize..=40, 12usize..=70),
        [3usize..=19, 3usize..=19],
        [0usize..=2, 0usize..=2],
        1usize..=2,
    )
        .prop_map(|((batch, channels, outputs), size, padding, stride)| Case {
            x: [batch, channels, size[0], size[1]],
            weight: [outputs, channels, 3, 3],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: if stride == 1 { padding } else { [1, 1] },
                ..PLAIN
            },
        })
}

/// As [`any_case`], without groups and with enough channels for a product for every kernel element.
fn any_wide_case() -> impl Strategy<Value = Case> {
    (any_case(), 12usize..=40, 12usize..=40).prop_map(|(mut case, channels, outputs)| {
        case.x[1] = channels;
        case.weight[0] = outputs;
        case.weight[1] = channels;
        case.options.groups = 1;
        case
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_filtered_convolution_follows_the_definition(
        case in any_filtered_case(),
        seed in 1u64..1 << 32,
    ) {
        check(case, seed);
    }

    #[test]
    fn any_wide_convolution_follows_the_definition(
        case in any_wide_case(),
        seed in 1u64..1 << 32,
    ) {
        check(case, seed);
    }

    #[test]
    fn any_depthwise_convolution_follows_the_definition(
        case in any_depthwise_case(),
        seed in 1u64..1 << 32,
    ) {
        check(case, seed);
    }

    #[test]
    fn any_convolution_follows_the_definition(case in any_case(), seed in 1u64..1 << 32) {
        check(case, seed);
    }
}

#[test]
fn what_follows_a_convolution_is_the_same_in_its_write_out() {
    let square = |batch: usize, channels: usize, outputs: usize, size: usize, kernel: usize| Case {
        x: [batch, channels, size, size],
        weight: [outputs, channels, kernel, kernel],
        options: Conv2dOptions {
            padding: [kernel / 2; 2],
            ..PLAIN
        },
    };
    let mut strided = square(3, 14, 37, 15, 3);
    strided.options.stride = [2, 2];
    let mut depthwise = square(3, 11, 11, 7, 3);
    depthwise.weight[1] = 1;
    depthwise.options.groups = 11;
    for case in [
        square(2, 3, 17, 9, 3),
        square(3, 21, 18, 9, 3),
        square(2, 13, 50, 9, 3),
        strided,
        square(1, 16, 5, 6, 1),
        square(5, 4, 7, 1, 1),
        depthwise,
    ] {
        let shape = case.output().expect("a case with outputs");
        let of = |shape: [usize; 4], seed| {
            plain(&noise(shape.iter().product(), seed), shape, DType::F32)
        };
        let (x, weight, residual) = (of(case.x, 1), of(case.weight, 2), of(shape, 3));
        let bias = plain(&noise(shape[1], 4), [shape[1]], DType::F32);
        let y = conv2d(x.clone(), weight.clone(), Some(bias.clone()), case.options);
        for activation in [Activation::Identity, Activation::Relu, Activation::Relu6] {
            for residual in [None, Some(residual.clone())] {
                let found = conv2d_with(
                    x.clone(),
                    weight.clone(),
                    bias.clone(),
                    residual.clone(),
                    activation,
                    case.options,
                );
                let sum = match residual {
                    Some(residual) => y.clone() + residual,
                    None => y.clone(),
                };
                assert_eq!(
                    bits(found),
                    bits(activation.apply(sum)),
                    "{activation:?} {case:?}"
                );
            }
        }
    }
}

#[test]
#[should_panic(
    expected = "a residual of shape [1, 1, 2, 1] does not fit outputs of shape [1, 1, 2, 2]"
)]
fn a_residual_of_another_shape_is_refused() {
    let of = |shape: [usize; 4]| plain(&noise(shape.iter().product(), 1), shape, DType::F32);
    let bias = plain(&[0.5], [1], DType::F32);
    conv2d_with(
        of([1, 1, 2, 2]),
        of([1, 1, 1, 1]),
        bias,
        Some(of([1, 1, 2, 1])),
        Activation::Relu,
        PLAIN,
    );
}

#[test]
fn the_gradients_in_f64_agree_with_finite_differences() {
    let case = Case {
        x: [2, 2, 5, 4],
        weight: [3, 2, 3, 2],
        options: Conv2dOptions {
            stride: [2, 1],
            padding: [1, 2],
            dilation: [1, 2],
            groups: 1,
        },
    };
    let count: usize = case.output().expect("a case with outputs").iter().product();
    let inputs = [noise(80, 1), noise(36, 2), noise(3, 3)];
    let gradient = noise(count, 4);
    let loss = |inputs: &[Vec<f64>; 3]| -> f64 {
        let [x, weight, bias] = inputs;
        let [y, ..] = run(case, x, weight, bias, &gradient, DType::F64);
        y.iter().zip(&gradient).map(|(y, g)| y * g).sum()
    };
    let [x, weight, bias] = &inputs;
    let [_, gradients @ ..] = run(case, x, weight, bias, &gradient, DType::F64);
    for (index, expected) in gradients.iter().enumerate() {
        for at in (0..expected.len()).step_by(7) {
            let mut shifted = [inputs.clone(), inputs.clone()];
            shifted[0][index][at] += 1e-4;
            shifted[1][index][at] -= 1e-4;
            let slope = (loss(&shifted[0]) - loss(&shifted[1])) / 2e-4;
            assert!(
                (slope - expected[at]).abs() < 1e-8,
                "input {index} at {at}: slope {slope}, gradient {}",
                expected[at]
            );
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let threads_change_nothing = |batch, channels: usize, size, kernel: usize, groups, stride| {
        let run = || {
            let shape = [batch, channels, size, size];
            let count = shape.iter().product();
            let x = tracked(&noise(count, 1), shape, DType::F32);
            let outputs = 24usize.next_multiple_of(groups);
            let weight = [outputs, channels / groups, kernel, kernel];
            let weight = tracked(&noise(weight.iter().product(), 2), weight, DType::F32);
            let options = Conv2dOptions {
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                groups,
                ..PLAIN
            };
            let y = conv2d(x.clone(), weight.clone(), None, options);
            let gradient = plain(&noise(y.shape().num_elements(), 3), y.dims(), DType::F32);
            let gradients = (y.clone() * gradient.autodiff()).sum().backward();
            [
                bits(y),
                bits(x.grad(&gradients).expect("x is tracked")),
                bits(weight.grad(&gradients).expect("weight is tracked")),
            ]
        };
        let one = with_threads(1, run);
        for threads in [2, 3, 7] {
            assert!(one == with_threads(threads, run), "{threads} threads");
        }
    };
    for (batch, channels, size) in [(1, 24, 16), (37, 6, 8), (20, 9, 7), (9, 13, 30)] {
        threads_change_nothing(batch, channels, size, 3, 1, 1);
    }
    // Sums at the points that a task keeps, and those that all share; strides.
    threads_change_nothing(3, 440, 9, 3, 1, 1);
    for (batch, channels, size) in [(1, 24, 16), (37, 13, 8), (20, 40, 17)] {
        threads_change_nothing(batch, channels, size, 3, 1, 2);
    }
    for (batch, channels, size) in [(1, 24, 16), (37, 70, 2), (70, 9, 7), (9, 40, 17)] {
        threads_change_nothing(batch, channels, size, 1, 1, 1);
    }
    for (batch, channels, size) in [(1, 30, 16), (37, 40, 2), (20, 24, 7)] {
        threads_change_nothing(batch, channels, size, 3, channels, 1);
    }
}

#[test]
fn an_untracked_input_gets_no_gradient_and_changes_none() {
    let x = noise(2 * 3 * 36, 1);
    let weight = noise(4 * 27, 2);
    let shapes = ([2, 3, 6, 6], [4, 3, 3, 3]);
    let weight_gradient = |x: Tensor<4>| {
        let weight = tracked(&weight, shapes.1, DType::F32);
        let gradients = conv2d(x, weight.clone(), None, PLAIN)
            .powi_scalar(2)
            .sum()
            .backward();
        bits(weight.grad(&gradients).expect("weight is tracked"))
    };
    let alone = weight_gradient(plain(&x, shapes.0, DType::F32));
    assert_eq!(alone, weight_gradient(tracked(&x, shapes.0, DType::F32)));

    let output = conv2d(
        plain(&x, shapes.0, DType::F32),
        plain(&weight, shapes.1, DType::F32),
        None,
        PLAIN,
    );
    assert!(!output.is_require_grad());
}

#[test]
fn views_of_larger_tensors_are_read_as_what_they_show() {
    let options = Conv2dOptions {
        padding: [1; 2],
        ..PLAIN
    };
    let large = plain(&noise(4 * 5 * 49, 1), [4, 7, 7, 5], DType::F32);
    let view = large.permute([0, 3, 1, 2]).slice([1..3, 1..4]);
    let copy = plain(&values(view.clone()), [2, 3, 7, 7], DType::F32);
    let weight = plain(&noise(2 * 27, 2), [2, 3, 3, 3], DType::F32);
    assert_eq!(
        bits(conv2d(view, weight.clone(), None, options)),
        bits(conv2d(copy, weight, None, options))
    );
}

#[test]
fn the_gradients_alone_are_those_of_the_backward_pass() {
    let case = Case {
        x: [3, 4, 7, 5],
        weight: [6, 2, 3, 1],
        options: Conv2dOptions {
            stride: [2, 1],
            padding: [1, 0],
            dilation: [1, 1],
            groups: 2,
        },
    };
    let output = case.output().expect("a case with outputs");
    let x = noise(case.x.iter().product(), 1);
    let weight = noise(case.weight.iter().product(), 2);
    let gradient = noise(output.iter().product(), 3);
    for dtype in [DType::F32, DType::F64] {
        let [_, dx, dweight, _] = run(case, &x, &weight, &[0.0; 6], &gradient, dtype);
        // Tracked tensors are taken, and nothing is recorded.
        let gradient = plain(&gradient, output, dtype);
        let weight = tracked(&weight, case.weight, dtype);
        let alone = conv2d_input_gradient(case.x, weight, gradient.clone(), case.options);
        assert!(!alone.is_autodiff());
        assert_eq!(alone.dims(), case.x);
        assert_eq!(values(alone), dx, "{dtype:?}");
        let x = tracked(&x, case.x, dtype);
        let alone = conv2d_weight_gradient(x, case.weight, gradient, case.options);
        assert!(!alone.is_autodiff());
        assert_eq!(alone.dims(), case.weight);
        assert_eq!(values(alone), dweight, "{dtype:?}");
    }
}

#[test]
#[should_panic(expected = "a gradient of [1, 1, 8, 8] does not fit an output of [1, 1, 6, 6]")]
fn a_gradient_of_another_size_is_refused() {
    let weight = plain(&noise(9, 1), [1, 1, 3, 3], DType::F32);
    let gradient = plain(&noise(64, 1), [1, 1, 8, 8], DType::F32);
    conv2d_input_gradient([1, 1, 8, 8], weight, gradient, PLAIN);
}

#[test]
#[should_panic(expected = "every size must be at least 1")]
fn an_empty_batch_is_refused() {
    let x = plain(&[], [0, 3, 8, 8], DType::F32);
    let weight = plain(&noise(27, 1), [1, 3, 3, 3], DType::F32);
    conv2d(x, weight, None, PLAIN);
}

#[test]
#[should_panic(expected = "do not fit 1 group(s)")]
fn channels_that_do_not_fit_are_refused() {
    let x = plain(&noise(128, 1), [1, 2, 8, 8], DType::F32);
    let weight = plain(&noise(27, 1), [1, 3, 3, 3], DType::F32);
    conv2d(x, weight, None, PLAIN);
}

#[test]
#[should_panic(expected = "does not fit an input of 2")]
fn a_kernel_larger_than_the_padded_input_is_refused() {
    let x = plain(&noise(4, 1), [1, 1, 2, 2], DType::F32);
    let weight = plain(&noise(9, 1), [1, 1, 3, 3], DType::F32);
    conv2d(x, weight, None, PLAIN);
}
