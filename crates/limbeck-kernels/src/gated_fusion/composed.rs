//! Gated fusion made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, ops::ConvOptions, tensor::FloatTensor},
    tensor::Shape,
};

use super::{Fused, Gradients};
use crate::{
    composed::sum_per_channel,
    resize::{Interpolation, composed as resizing},
};

fn options() -> ConvOptions<2> {
    ConvOptions::new([1; 2], [0; 2], [1; 2], 1)
}

/// What is kept besides the statistics is the convolved map.
pub(super) fn fuse<B: Backend>(
    [x, weight, scale, shift]: [FloatTensor<B>; 4],
    [running, gate_weight, gate_bias]: [FloatTensor<B>; 3],
    epsilon: f64,
) -> Fused<B> {
    let [_, _, height, width] = x.shape().dims();
    let convolved = B::conv2d(x, weight, None, options());
    let normalised = B::batch_norm_train(convolved.clone(), scale, shift, epsilon);
    let y = normalised.output;
    let coarse = resizing::resize::<B>(running, [height, width], Interpolation::Nearest);
    let both = B::float_cat(vec![y.clone(), coarse.clone()], 1);
    let gates = B::sigmoid(B::conv2d(both, gate_weight, Some(gate_bias), options()));
    let output = B::float_add(
        B::float_mul(y, channels::<B>(&gates, 0, 1)),
        B::float_mul(coarse, channels::<B>(&gates, 1, 1)),
    );
    (
        output,
        normalised.mean,
        normalised.variance,
        convolved,
        gates,
    )
}

pub(super) fn gradients<B: Backend>(
    [x, weight, scale, shift]: [FloatTensor<B>; 4],
    [running, gate_weight]: [FloatTensor<B>; 2],
    [mean, variance, convolved, gates]: [FloatTensor<B>; 4],
    gradient: FloatTensor<B>,
    epsilon: f64,
) -> Gradients<B> {
    let [_, outputs, height, width] = convolved.shape().dims();
    let [_, _, rows, columns] = running.shape().dims();
    let deviation = B::float_sqrt(B::float_add_scalar(variance.clone(), epsilon.into()));
    let factor = per_channel::<B>(B::float_div(scale.clone(), deviation));
    let centred = B::float_sub(convolved.clone(), per_channel::<B>(mean.clone()));
    let y = B::float_add(B::float_mul(centred, factor), per_channel::<B>(shift));
    let coarse = resizing::resize::<B>(running, [height, width], Interpolation::Nearest);
    let products =
        |side: &FloatTensor<B>| B::float_sum_dim(B::float_mul(gradient.clone(), side.clone()), 1);
    let of_gates = B::float_cat(vec![products(&y), products(&coarse)], 1);
    let rest = B::float_add_scalar(B::float_neg(gates.clone()), 1.0.into());
    let of_gates = B::float_mul(of_gates, B::float_mul(gates.clone(), rest));
    let both = B::float_cat(vec![y, coarse], 1);
    let of_gate_weight = B::conv2d_weight_backward(
        both.clone(),
        gate_weight.clone(),
        of_gates.clone(),
        options(),
    );
    let of_both = B::conv2d_x_backward(both, gate_weight, of_gates.clone(), options());
    let of_side = |side: usize| {
        let mixed = B::float_mul(gradient.clone(), channels::<B>(&gates, side, 1));
        B::float_add(mixed, channels::<B>(&of_both, side * outputs, outputs))
    };
    let of_running =
        resizing::resize_backward::<B>([rows, columns], of_side(1), Interpolation::Nearest);
    let norm = B::batch_norm_train_backward(convolved, scale, mean, variance, epsilon, of_side(0));
    (
        B::conv2d_x_backward(x.clone(), weight.clone(), norm.x_grad.clone(), options()),
        B::conv2d_weight_backward(x, weight, norm.x_grad, options()),
        of_running,
        of_gate_weight,
        B::float_cat(
            vec![
                norm.gamma_grad,
                norm.beta_grad,
                sum_per_channel::<B>(of_gates),
            ],
            0,
        ),
    )
}

/// `count` channels of `[B, C, H, W]` from `first` on.
fn channels<B: Backend>(map: &FloatTensor<B>, first: usize, count: usize) -> FloatTensor<B> {
    let [batch, _, height, width] = map.shape().dims();
    let channels = first..first + count;
    B::float_slice(
        map.clone(),
        &[
            (0..batch).into(),
            channels.into(),
            (0..height).into(),
            (0..width).into(),
        ],
    )
}

/// `[C]` → `[1, C, 1, 1]`.
fn per_channel<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let channels = values.shape()[0];
    B::float_reshape(values, Shape::new([1, channels, 1, 1]))
}
