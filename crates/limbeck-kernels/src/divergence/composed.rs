//! Divergences made of burn's own operations.

use burn::backend::{Backend, tensor::FloatTensor};

/// Logarithms of the softmax along the second axis.
fn log_softmax<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shifted = B::float_sub(x.clone(), B::float_max_dim(x, 1));
    let sums = B::float_sum_dim(B::float_exp(shifted.clone()), 1);
    B::float_sub(shifted, B::float_log(sums))
}

/// The sum, and its gradient with respect to `x`.
pub(super) fn divergence<B: Backend>(
    x: FloatTensor<B>,
    target: FloatTensor<B>,
    scale: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let own = log_softmax::<B>(B::float_mul_scalar(x, scale.into()));
    let target = log_softmax::<B>(B::float_mul_scalar(target, scale.into()));
    let probabilities = B::float_exp(target.clone());
    let parts = B::float_mul(probabilities.clone(), B::float_sub(target, own.clone()));
    let slopes = B::float_sub(B::float_exp(own), probabilities);
    (
        B::float_sum(parts),
        B::float_mul_scalar(slopes, scale.into()),
    )
}

/// The sum, and its gradient with respect to `x`.
pub(super) fn soft_cross_entropy<B: Backend>(
    x: FloatTensor<B>,
    target: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let own = log_softmax::<B>(x);
    let target = B::float_exp(log_softmax::<B>(target));
    let parts = B::float_mul(target.clone(), own.clone());
    (
        B::float_neg(B::float_sum(parts)),
        B::float_sub(B::float_exp(own), target),
    )
}

/// The sum, and its gradient with respect to `x`.
pub(super) fn cross_entropy_with_shares<B: Backend>(
    x: FloatTensor<B>,
    shares: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let own = log_softmax::<B>(x);
    let parts = B::float_mul(shares.clone(), own.clone());
    let all = B::float_mul(B::float_exp(own), B::float_sum_dim(shares.clone(), 1));
    (B::float_neg(B::float_sum(parts)), B::float_sub(all, shares))
}
