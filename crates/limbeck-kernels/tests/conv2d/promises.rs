//! What holds besides the values: fused write-outs, threads, tracking, views.

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{
    Activation, Conv2dOptions, conv2d, conv2d_input_gradient, conv2d_weight_gradient, conv2d_with,
};

use super::definition::{Case, PLAIN, run};
use crate::support::{bits, noise, plain, tracked, values, with_threads};

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
    let mut patches = square(3, 5, 19, 22, 4);
    patches.options.stride = [4, 4];
    patches.options.padding = [0, 0];
    let mut depthwise = square(3, 11, 11, 7, 3);
    depthwise.weight[1] = 1;
    depthwise.options.groups = 11;
    // Taken apart, and without the elements that read padding alone.
    let [mut dilated, mut trimmed] = [square(2, 14, 16, 11, 3), square(2, 14, 16, 5, 3)];
    for (case, dilation) in [(&mut dilated, 2), (&mut trimmed, 6)] {
        case.options.padding = [dilation; 2];
        case.options.dilation = [dilation; 2];
    }
    for case in [
        dilated,
        trimmed,
        square(2, 3, 17, 9, 3),
        square(3, 21, 18, 9, 3),
        square(2, 13, 50, 9, 3),
        strided,
        patches,
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
fn the_number_of_threads_changes_no_bit() {
    let of_outputs =
        |outputs: usize, batch, channels: usize, size, kernel: usize, groups, stride| {
            let run = || {
                let shape = [batch, channels, size, size];
                let count = shape.iter().product();
                let x = tracked(&noise(count, 1), shape, DType::F32);
                let weight = [outputs, channels / groups, kernel, kernel];
                let weight = tracked(&noise(weight.iter().product(), 2), weight, DType::F32);
                let options = Conv2dOptions {
                    stride: [stride; 2],
                    padding: if stride == kernel {
                        [0; 2]
                    } else {
                        [kernel / 2; 2]
                    },
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
    let threads_change_nothing = |batch, channels: usize, size, kernel: usize, groups, stride| {
        let outputs = 24usize.next_multiple_of(groups);
        of_outputs(outputs, batch, channels, size, kernel, groups, stride);
    };
    // Few outputs, of which the channels are cut.
    for (outputs, channels) in [(1, 3), (2, 40), (3, 5), (7, 29)] {
        of_outputs(outputs, 4, channels, 14, 3, 1, 1);
    }
    for (batch, channels, size) in [(1, 24, 16), (37, 6, 8), (20, 9, 7), (9, 13, 30)] {
        threads_change_nothing(batch, channels, size, 3, 1, 1);
    }
    // Sums at the points that a task keeps, and those that all share; strides.
    threads_change_nothing(3, 440, 9, 3, 1, 1);
    // Weights that are read once.
    threads_change_nothing(15, 3000, 6, 3, 1, 1);
    threads_change_nothing(15, 2600, 4, 3, 1, 1);
    for (batch, channels, size) in [(1, 24, 16), (37, 13, 8), (20, 40, 17)] {
        threads_change_nothing(batch, channels, size, 3, 1, 2);
    }
    for (batch, channels, size) in [(1, 24, 16), (37, 70, 2), (70, 9, 7), (9, 40, 17)] {
        threads_change_nothing(batch, channels, size, 1, 1, 1);
    }
    for (batch, channels, size) in [(1, 24, 16), (37, 7, 6), (9, 5, 61)] {
        threads_change_nothing(batch, channels, size, 2, 1, 2);
        threads_change_nothing(batch, channels, size, 4, 1, 4);
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
