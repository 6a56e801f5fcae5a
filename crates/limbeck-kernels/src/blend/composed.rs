//! Blending made of burn's own operations.

use burn::backend::{Backend, tensor::FloatTensor};

pub(super) fn blend<B: Backend>(
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    share: FloatTensor<B>,
) -> FloatTensor<B> {
    // One product less than by the definition.
    let difference = B::float_sub(first, second.clone());
    B::float_add(second, B::float_mul(difference, share))
}

pub(super) fn blend_backward<B: Backend>(
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    share: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let of_first = B::float_mul(gradient.clone(), share);
    let of_second = B::float_sub(gradient.clone(), of_first.clone());
    let products = B::float_mul(gradient, B::float_sub(first, second));
    let of_share = B::float_sum_dim(B::float_sum_dim(products, 3), 2);
    (of_first, of_second, of_share)
}
