//! Two convolutions of one input against one after the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{Conv2dOptions, conv2d, conv2d_pair};
use support::{assert_close, noise, plain, tracked, values};

const PLAIN: Conv2dOptions = Conv2dOptions {
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
    groups: 1,
};

/// Outputs of two convolutions of one `x`, and the gradients with respect to all three tensors, of
/// the sum of the outputs that `read` tells; `together` as a pair.
fn two_convolutions(
    [x, first, second]: [[usize; 4]; 3],
    options: [Conv2dOptions; 2],
    read: [bool; 2],
    together: bool,
    dtype: DType,
) -> Vec<Option<Vec<f64>>> {
    let of = |shape: [usize; 4], seed| tracked(&noise(shape.iter().product(), seed), shape, dtype);
    let x = of(x, 1);
    let weights = [of(first, 2), of(second, 3)];
    let outputs = if together {
        conv2d_pair(x.clone(), weights.clone(), options)
    } else {
        [0, 1].map(|i| conv2d(x.clone(), weights[i].clone(), None, options[i]))
    };
    let mut total = Tensor::<1>::zeros([1], (&x.device(), dtype));
    for (i, output) in outputs.iter().enumerate() {
        if read[i] {
            let shape = output.dims();
            let gradient = plain(&noise(shape.iter().product(), 4 + i as u64), shape, dtype);
            total = total + (output.clone() * gradient.autodiff()).sum();
        }
    }
    let gradients = total.backward();
    let [first, second] = weights;
    outputs
        .map(|output| Some(values(output)))
        .into_iter()
        .chain([x, first, second].map(|tensor| tensor.grad(&gradients).map(values)))
        .collect()
}

#[test]
fn a_pair_is_two_convolutions() {
    let with = |stride: usize, padding: usize| Conv2dOptions {
        stride: [stride; 2],
        padding: [padding; 2],
        ..PLAIN
    };
    // As in a residual block, with a stride, odd sizes, and a second kernel that is not 1×1.
    for (x, first, second, options) in [
        (
            [3, 13, 9, 9],
            [14, 13, 3, 3],
            [20, 13, 1, 1],
            [with(1, 1), with(1, 0)],
        ),
        (
            [3, 13, 9, 7],
            [14, 13, 3, 3],
            [20, 13, 1, 1],
            [with(2, 1), with(2, 0)],
        ),
        (
            [2, 13, 6, 40],
            [14, 13, 3, 3],
            [20, 13, 1, 1],
            [with(2, 1), with(2, 0)],
        ),
        (
            [2, 5, 8, 11],
            [4, 5, 3, 3],
            [3, 5, 1, 1],
            [with(3, 1), with(3, 0)],
        ),
        (
            [2, 5, 8, 8],
            [4, 5, 1, 1],
            [3, 5, 3, 3],
            [with(2, 0), with(2, 1)],
        ),
    ] {
        for dtype in [DType::F32, DType::F64] {
            for read in [[true, true], [true, false], [false, true]] {
                let run =
                    |together| two_convolutions([x, first, second], options, read, together, dtype);
                // Sums of two numbers: the same to the last bit.
                assert!(run(true) == run(false), "{x:?} {dtype:?} {read:?}");
            }
        }
    }
}

#[test]
fn weight_gradients_that_are_computed_at_once_are_those_of_two_convolutions() {
    // Kernel, stride, padding, dilation; the last ones have no element where the padding ends.
    for ([kernel, stride, padding, dilation], [size, channels, outputs]) in [
        ([3, 2, 1, 1], [16, 32, 48]),
        ([3, 2, 1, 1], [9, 13, 20]),
        ([5, 2, 2, 1], [11, 17, 14]),
        ([5, 3, 1, 1], [14, 20, 33]),
        ([3, 2, 2, 2], [13, 12, 19]),
        ([3, 2, 1, 2], [13, 12, 19]),
    ] {
        let options = [
            Conv2dOptions {
                stride: [stride; 2],
                padding: [padding; 2],
                dilation: [dilation; 2],
                ..PLAIN
            },
            Conv2dOptions {
                stride: [stride; 2],
                ..PLAIN
            },
        ];
        let shapes = [
            [18, channels, size, size],
            [outputs, channels, kernel, kernel],
            [outputs, channels, 1, 1],
        ];
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F64, 1e-14)] {
            let run = |together| two_convolutions(shapes, options, [true, true], together, dtype);
            for (found, expected) in run(true).iter().zip(&run(false)) {
                let (found, expected) = (found.as_ref().unwrap(), expected.as_ref().unwrap());
                let what = format!("{shapes:?} {dtype:?}");
                assert_close(&what, found, expected, tolerance);
            }
        }
    }
}

#[test]
fn a_pair_of_an_untracked_input_has_gradients_of_its_weights() {
    let x = plain(&noise(2 * 3 * 6 * 6, 1), [2, 3, 6, 6], DType::F32).autodiff();
    let weights = [2, 3].map(|seed| tracked(&noise(12, seed), [4, 3, 1, 1], DType::F32));
    let outputs = conv2d_pair(x.clone(), weights.clone(), [PLAIN; 2]);
    let [first, second] = outputs.map(|output| output.powi_scalar(2).sum());
    let gradients = (first + second).backward();
    for weight in weights {
        let alone = conv2d(x.clone(), weight.clone(), None, PLAIN);
        let of_alone = alone.powi_scalar(2).sum().backward();
        let of = |gradients| values(weight.grad(gradients).expect("weight is tracked"));
        assert_eq!(of(&gradients), of(&of_alone));
    }
}
