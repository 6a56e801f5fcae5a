//! Attention made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::{Shape, Slice},
};

use super::Sizes;

/// `[B, N, D]` as `[B, heads, N, D / heads]`.
fn split<B: Backend>(x: FloatTensor<B>, sizes: Sizes) -> FloatTensor<B> {
    let shape = [sizes.batch, sizes.tokens, sizes.heads, sizes.per_head];
    B::float_swap_dims(B::float_reshape(x, Shape::new(shape)), 1, 2)
}

/// `[B, heads, N, D / heads]` as `[B, N, D]`.
fn join<B: Backend>(x: FloatTensor<B>, sizes: Sizes) -> FloatTensor<B> {
    let shape = Shape::new([sizes.batch, sizes.tokens, sizes.width()]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}

/// Queries, keys and values, each `[B, heads, N, D / heads]`.
fn parts<B: Backend>(qkv: FloatTensor<B>, sizes: Sizes) -> [FloatTensor<B>; 3] {
    [0, 1, 2].map(|index| {
        let from = index * sizes.width();
        let whole = |count: usize| Slice::from(0..count);
        let columns = Slice::from(from..from + sizes.width());
        let slices = [whole(sizes.batch), whole(sizes.tokens), columns];
        split::<B>(B::float_slice(qkv.clone(), &slices), sizes)
    })
}

/// Scaled scores `[B, heads, N, N]`.
fn scores<B: Backend>(
    queries: FloatTensor<B>,
    keys: FloatTensor<B>,
    sizes: Sizes,
) -> FloatTensor<B> {
    let scale = 1.0 / (sizes.per_head as f64).sqrt();
    let queries = B::float_mul_scalar(queries, scale.into());
    B::float_matmul(queries, B::float_transpose(keys))
}

/// Output and logarithms.
pub(super) fn forward<B: Backend>(
    qkv: FloatTensor<B>,
    heads: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let sizes = Sizes::new(qkv.shape().dims(), heads);
    let [queries, keys, values] = parts::<B>(qkv, sizes);
    let scores = scores::<B>(queries, keys, sizes);
    let most = B::float_max_dim(scores.clone(), 3);
    let exponentials = B::float_exp(B::float_sub(scores, most.clone()));
    let sum = B::float_sum_dim(exponentials.clone(), 3);
    let probabilities = B::float_div(exponentials, sum.clone());
    let output = join::<B>(B::float_matmul(probabilities, values), sizes);
    let logarithms = B::float_add(most, B::float_log(sum));
    let shape = Shape::new([sizes.batch, sizes.tokens, heads]);
    let logarithms = B::float_reshape(B::float_swap_dims(logarithms, 1, 2), shape);
    (output, logarithms)
}

/// The gradient with respect to `qkv`; see [`super::backward::backward`].
pub(super) fn backward<B: Backend>(
    qkv: FloatTensor<B>,
    output: FloatTensor<B>,
    logarithms: FloatTensor<B>,
    gradient: FloatTensor<B>,
    heads: usize,
) -> FloatTensor<B> {
    let sizes = Sizes::new(qkv.shape().dims(), heads);
    let [queries, keys, values] = parts::<B>(qkv, sizes);
    let scores = scores::<B>(queries.clone(), keys.clone(), sizes);
    let shape = Shape::new([sizes.batch, sizes.tokens, heads, 1]);
    let logarithms = B::float_swap_dims(B::float_reshape(logarithms, shape), 1, 2);
    let probabilities = B::float_exp(B::float_sub(scores, logarithms));
    let gradient = split::<B>(gradient, sizes);
    let output = split::<B>(output, sizes);
    let means = B::float_sum_dim(B::float_mul(gradient.clone(), output), 3);
    let slopes = B::float_matmul(gradient.clone(), B::float_transpose(values));
    let values = B::float_matmul(B::float_transpose(probabilities.clone()), gradient);
    let slopes = B::float_mul(probabilities, B::float_sub(slopes, means));
    let scale = 1.0 / (sizes.per_head as f64).sqrt();
    let slopes = B::float_mul_scalar(slopes, scale.into());
    let keys = B::float_matmul(slopes.clone(), keys);
    let queries = B::float_matmul(B::float_transpose(slopes), queries);
    // The gradient of a query comes from the keys, that of a key from the queries.
    B::float_cat(
        [keys, queries, values]
            .map(|x| join::<B>(x, sizes))
            .to_vec(),
        2,
    )
}
