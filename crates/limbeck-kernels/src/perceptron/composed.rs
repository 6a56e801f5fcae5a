//! The perceptron made of burn's own operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::Five;
use crate::linear::composed::{input_gradient, linear_with_bias, scale_images, weight_gradient};

/// Output, and what the unit was given; `maps` are both weights with their biases.
pub(super) fn forward<B: Backend>(
    x: FloatTensor<B>,
    [first, first_bias, second, second_bias]: [FloatTensor<B>; 4],
    residual: FloatTensor<B>,
    shares: Option<FloatTensor<B>>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let given = linear_with_bias::<B>(x, first, first_bias);
    let y = linear_with_bias::<B>(B::gelu(given.clone()), second, second_bias);
    let y = match shares {
        Some(shares) => scale_images::<B>(y, shares),
        None => y,
    };
    (B::float_add(residual, y), given)
}

/// Gradients with respect to `x`, first weight and bias, second weight and bias.
pub(super) fn backward<B: Backend>(
    x: FloatTensor<B>,
    [first, second]: [FloatTensor<B>; 2],
    given: FloatTensor<B>,
    gradient: FloatTensor<B>,
    shares: Option<FloatTensor<B>>,
) -> Five<B> {
    let gradient = match shares {
        Some(shares) => scale_images::<B>(gradient, shares),
        None => gradient,
    };
    let activated = B::gelu(given.clone());
    let (second_weight, second_bias) = weight_gradient::<B>(activated, gradient.clone());
    let gradient = B::gelu_backward(given, input_gradient::<B>(second, gradient));
    let (first_weight, first_bias) = weight_gradient::<B>(x, gradient.clone());
    let of_x = input_gradient::<B>(first, gradient);
    (of_x, first_weight, first_bias, second_weight, second_bias)
}
