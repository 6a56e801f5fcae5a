//! The operations made of burn's own, for every device and type without a fast path.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

/// Sum of `[B, C, H, W]` over all but the channels, `[C]`.
pub(crate) fn sum_per_channel<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    let channels = tensor.shape()[1];
    let sum = B::float_sum_dim(tensor, 0);
    let sum = B::float_sum_dim(sum, 2);
    let sum = B::float_sum_dim(sum, 3);
    B::float_reshape(sum, Shape::new([channels]))
}
