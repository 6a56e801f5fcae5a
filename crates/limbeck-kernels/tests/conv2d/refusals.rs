//! Sizes that do not fit.

use burn::tensor::DType;
use limbeck_kernels::{Activation, conv2d, conv2d_input_gradient, conv2d_with};

use super::definition::PLAIN;
use crate::support::{noise, plain};

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
