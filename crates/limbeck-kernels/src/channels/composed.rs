//! Reordering made of burn's own operations, for every device and type without a fast path.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::{Shape, TensorData},
};

pub(super) fn channel_shuffle<B: Backend>(x: FloatTensor<B>, groups: usize) -> FloatTensor<B> {
    let shape = x.shape();
    let [batch, channels, height, width] = shape.dims();
    let grouped = Shape::new([batch, groups, channels / groups, height * width]);
    let swapped = B::float_swap_dims(B::float_reshape(x, grouped), 1, 2);
    B::float_reshape(swapped, shape)
}

pub(super) fn interleave_channels<B: Backend>(
    first: FloatTensor<B>,
    second: FloatTensor<B>,
) -> FloatTensor<B> {
    channel_shuffle::<B>(B::float_cat(vec![first, second], 1), 2)
}

pub(super) fn every_other_channel<B: Backend>(x: FloatTensor<B>, first: usize) -> FloatTensor<B> {
    let channels = x.shape()[1];
    let chosen: Vec<i64> = (first..channels).step_by(2).map(|i| i as i64).collect();
    let count = chosen.len();
    let chosen = B::int_from_data(TensorData::new(chosen, [count]), &x.device());
    B::float_select(x, 1, chosen)
}
