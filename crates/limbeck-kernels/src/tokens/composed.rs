//! The operations made of burn's own, for every device and type without a fast path.

use burn::{
    backend::{Backend, TensorMetadata, ops::ConvOptions, tensor::FloatTensor},
    tensor::{Shape, Slice},
};

use crate::composed::sum_per_channel;

pub(super) fn transpose<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_swap_dims(x, 1, 2)
}

/// `[B, N, C]` → `[B, C, rows, columns]`.
fn to_map<B: Backend>(x: FloatTensor<B>, [rows, columns]: [usize; 2]) -> FloatTensor<B> {
    let [batch, _, channels] = x.shape().dims();
    let shape = Shape::new([batch, channels, rows, columns]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}

/// `[B, C, rows, columns]` → `[B, N, C]`.
fn to_tokens<B: Backend>(map: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, channels, rows, columns] = map.shape().dims();
    let shape = Shape::new([batch, channels, rows * columns]);
    B::float_swap_dims(B::float_reshape(map, shape), 1, 2)
}

pub(super) fn patches<B: Backend>(
    x: FloatTensor<B>,
    [rows, columns]: [usize; 2],
    side: usize,
) -> FloatTensor<B> {
    let [batch, _, channels] = x.shape().dims();
    let count = [rows / side, columns / side];
    let x = B::float_reshape(x, Shape::new([batch, rows, columns, channels]));
    let whole = [batch, count[0] * side, count[1] * side, channels];
    let x = B::float_slice(x, &whole.map(|count| Slice::from(0..count)));
    let shape = Shape::new([batch, count[0], side, count[1], side, channels]);
    let x = B::float_swap_dims(B::float_reshape(x, shape), 2, 3);
    let shape = Shape::new([batch, count[0] * count[1], side * side * channels]);
    B::float_reshape(x, shape)
}

pub(super) fn patches_backward<B: Backend>(
    gradient: FloatTensor<B>,
    [rows, columns]: [usize; 2],
    side: usize,
) -> FloatTensor<B> {
    let [batch, _, length] = gradient.shape().dims();
    let channels = length / (side * side);
    let count = [rows / side, columns / side];
    let shape = Shape::new([batch, count[0], count[1], side, side, channels]);
    let gradient = B::float_swap_dims(B::float_reshape(gradient, shape), 2, 3);
    let whole = [batch, count[0] * side, count[1] * side, channels];
    let gradient = B::float_reshape(gradient, Shape::new(whole));
    let zeros = B::float_zeros(
        Shape::new([batch, rows, columns, channels]),
        &gradient.device(),
        gradient.dtype().into(),
    );
    let places = whole.map(|count| Slice::from(0..count));
    let x = B::float_slice_assign(zeros, &places, gradient);
    B::float_reshape(x, Shape::new([batch, rows * columns, channels]))
}

/// 3×3 with zeros around, one kernel for each of `channels`.
fn options(channels: usize) -> ConvOptions<2> {
    ConvOptions::new([1; 2], [1; 2], [1; 2], channels)
}

pub(super) fn depthwise<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    grid: [usize; 2],
) -> FloatTensor<B> {
    let options = options(x.shape()[2]);
    to_tokens::<B>(B::conv2d(to_map::<B>(x, grid), weight, Some(bias), options))
}

pub(super) fn depthwise_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    grid: [usize; 2],
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let options = options(x.shape()[2]);
    let [x, gradient] = [x, gradient].map(|tokens| to_map::<B>(tokens, grid));
    let of_x = B::conv2d_x_backward(x.clone(), weight.clone(), gradient.clone(), options.clone());
    let of_weight = B::conv2d_weight_backward(x, weight, gradient.clone(), options);
    let of_bias = sum_per_channel::<B>(gradient);
    (to_tokens::<B>(of_x), of_weight, of_bias)
}
