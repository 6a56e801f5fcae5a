//! The normalisations made of burn's own operations, for every device and type without a fast
//! path.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

use super::outcome::{Five, Four, Normalised, NormalisedPair};
use crate::{
    activation::{Activation, SIX},
    composed::sum_per_channel,
    silu,
};

/// Output, mean and variance; what the output can be computed by where the activation asks for it.
pub(super) fn batch_norm<B: Backend>(
    x: FloatTensor<B>,
    residual: Option<FloatTensor<B>>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
    activation: Activation,
) -> Normalised<B> {
    let scaled = activation
        .is_smooth()
        .then(|| (weight.clone(), bias.clone()));
    let result = B::batch_norm_train(x, weight, bias, epsilon);
    let output = finish::<B>(result.output, residual, activation);
    let scaling = scaled.map(|(weight, bias)| {
        let variance = B::float_add_scalar(result.variance.clone(), epsilon.into());
        let scale = B::float_div(weight, B::float_sqrt(variance));
        let row = |values: FloatTensor<B>| {
            let channels = values.shape()[0];
            B::float_reshape(values, Shape::new([1, channels]))
        };
        B::float_cat(vec![row(scale), row(bias)], 0)
    });
    (output, result.mean, result.variance, scaling)
}

/// Gradients with respect to input, residual where asked for, weight and bias.
pub(super) fn batch_norm_backward<B: Backend>(
    [x, weight, mean, variance]: [FloatTensor<B>; 4],
    output: Option<FloatTensor<B>>,
    scaling: Option<FloatTensor<B>>,
    gradient: FloatTensor<B>,
    epsilon: f64,
    activation: Activation,
    with_residual: bool,
) -> Four<B> {
    let told_by = match (activation, scaling) {
        (smooth, Some(scaling)) if smooth.is_smooth() => Some(given::<B>(&x, &mean, scaling)),
        _ => output,
    };
    let gradient = passed::<B>(activation, told_by, gradient);
    let residual = with_residual.then(|| gradient.clone());
    let result = B::batch_norm_train_backward(x, weight, mean, variance, epsilon, gradient);
    (result.x_grad, residual, result.gamma_grad, result.beta_grad)
}

pub(super) fn batch_norm_pair<B: Backend>(
    [x, beside]: [FloatTensor<B>; 2],
    [weight, weight_beside]: [FloatTensor<B>; 2],
    [bias, bias_beside]: [FloatTensor<B>; 2],
    epsilon: f64,
    activation: Activation,
) -> NormalisedPair<B> {
    let beside = B::batch_norm_train(beside, weight_beside, bias_beside, epsilon);
    let result = B::batch_norm_train(x, weight, bias, epsilon);
    let output = finish::<B>(result.output, Some(beside.output), activation);
    (
        output,
        result.mean,
        beside.mean,
        result.variance,
        beside.variance,
    )
}

/// Gradients, from input, weight, mean and variance of either norm.
pub(super) fn batch_norm_pair_backward<B: Backend>(
    [x, weight, mean, variance]: [FloatTensor<B>; 4],
    [beside, weight_beside, mean_beside, variance_beside]: [FloatTensor<B>; 4],
    output: Option<FloatTensor<B>>,
    gradient: FloatTensor<B>,
    epsilon: f64,
    activation: Activation,
) -> Five<B> {
    let gradient = passed::<B>(activation, output, gradient);
    let of_beside = B::batch_norm_train_backward(
        beside,
        weight_beside,
        mean_beside,
        variance_beside,
        epsilon,
        gradient.clone(),
    );
    let of_x = B::batch_norm_train_backward(x, weight, mean, variance, epsilon, gradient);
    (
        of_x.x_grad,
        of_beside.x_grad,
        of_x.gamma_grad,
        of_beside.gamma_grad,
        of_x.beta_grad,
    )
}

pub(super) fn channel_affine<B: Backend>(
    x: FloatTensor<B>,
    residual: Option<FloatTensor<B>>,
    scale: FloatTensor<B>,
    shift: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    let output = B::float_mul(x, per_channel::<B>(scale));
    let output = B::float_add(output, per_channel::<B>(shift));
    finish::<B>(output, residual, activation)
}

/// Gradients with respect to input, residual where asked for, scale and shift.
pub(super) fn channel_affine_backward<B: Backend>(
    [x, scale]: [FloatTensor<B>; 2],
    output: Option<FloatTensor<B>>,
    gradient: FloatTensor<B>,
    activation: Activation,
    with_residual: bool,
) -> Four<B> {
    let gradient = passed::<B>(activation, output, gradient);
    let scale = per_channel::<B>(scale);
    (
        B::float_mul(gradient.clone(), scale),
        with_residual.then(|| gradient.clone()),
        sum_per_channel::<B>(B::float_mul(gradient.clone(), x)),
        sum_per_channel::<B>(gradient),
    )
}

/// What the activation was given: x off its mean, scaled and shifted by `[2, C]`.
fn given<B: Backend>(
    x: &FloatTensor<B>,
    mean: &FloatTensor<B>,
    scaling: FloatTensor<B>,
) -> FloatTensor<B> {
    let channels = mean.shape()[0];
    let distance = B::float_sub(x.clone(), per_channel::<B>(mean.clone()));
    let row = |row: usize| {
        let numbers = row..row + 1;
        let of_row = B::float_slice(scaling.clone(), &[numbers.into(), (0..channels).into()]);
        B::float_reshape(of_row, Shape::new([1, channels, 1, 1]))
    };
    B::float_add(B::float_mul(distance, row(0)), row(1))
}

/// `[C]` → `[1, C, 1, 1]`.
fn per_channel<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let channels = values.shape()[0];
    B::float_reshape(values, Shape::new([1, channels, 1, 1]))
}

/// Adds the residual where there is one, then activates.
pub(crate) fn finish<B: Backend>(
    output: FloatTensor<B>,
    residual: Option<FloatTensor<B>>,
    activation: Activation,
) -> FloatTensor<B> {
    let output = match residual {
        Some(residual) => B::float_add(output, residual),
        None => output,
    };
    match activation {
        Activation::Identity => output,
        Activation::Relu => B::relu(output),
        Activation::Relu6 => B::float_clamp(output, 0.0.into(), SIX.into()),
        Activation::Silu => silu::forward_composed::<B>(output),
        Activation::Gelu => B::gelu(output),
    }
}

/// What passes of the gradient of an activation's output, by that output, or by what SiLU and GELU were given.
fn passed<B: Backend>(
    activation: Activation,
    told_by: Option<FloatTensor<B>>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    match (activation, told_by) {
        (Activation::Relu, Some(output)) => B::relu_backward(output, gradient),
        (Activation::Relu6, Some(output)) => {
            let gradient = B::relu_backward(output.clone(), gradient);
            let below = B::float_add_scalar(B::float_neg(output), SIX.into());
            B::relu_backward(below, gradient)
        }
        (Activation::Silu, Some(given)) => silu::backward_composed::<B>(given, gradient),
        (Activation::Gelu, Some(given)) => B::gelu_backward(given, gradient),
        _ => gradient,
    }
}
