//! Attention made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::{Shape, Slice},
};

/// `[B, M, D]` as `[B, heads, M, D / heads]`.
fn split<B: Backend>(x: FloatTensor<B>, heads: usize) -> FloatTensor<B> {
    let [batch, count, width] = x.shape().dims();
    let shape = Shape::new([batch, count, heads, width / heads]);
    B::float_swap_dims(B::float_reshape(x, shape), 1, 2)
}

/// `[B, heads, M, D / heads]` as `[B, M, D]`.
fn join<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, heads, count, per_head] = x.shape().dims();
    let shape = Shape::new([batch, count, heads * per_head]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}

/// `width` numbers of each token of `[B, M, …]` from `first` on.
fn part<B: Backend>(x: FloatTensor<B>, first: usize, width: usize) -> FloatTensor<B> {
    let [batch, count, _] = x.shape().dims();
    let whole = |count: usize| Slice::from(0..count);
    let slices = [
        whole(batch),
        whole(count),
        Slice::from(first..first + width),
    ];
    B::float_slice(x, &slices)
}

/// Queries `[B, N, D]`, and keys and values `[B, N, 2D]`, of `[B, N, 3D]`.
fn parts<B: Backend>(qkv: FloatTensor<B>) -> [FloatTensor<B>; 2] {
    let width = qkv.shape()[2] / 3;
    [
        part::<B>(qkv.clone(), 0, width),
        part::<B>(qkv, width, 2 * width),
    ]
}

/// Keys and values, each `[B, heads, K, D / heads]`.
fn keys_and_values<B: Backend>(keys_values: FloatTensor<B>, heads: usize) -> [FloatTensor<B>; 2] {
    let width = keys_values.shape()[2] / 2;
    [0, width].map(|first| split::<B>(part::<B>(keys_values.clone(), first, width), heads))
}

/// What scores are multiplied by.
fn scale<B: Backend>(queries: &FloatTensor<B>) -> f64 {
    1.0 / (queries.shape()[3] as f64).sqrt()
}

/// Scaled scores `[B, heads, N, K]`.
fn scores<B: Backend>(queries: FloatTensor<B>, keys: FloatTensor<B>) -> FloatTensor<B> {
    let scale = scale::<B>(&queries);
    let queries = B::float_mul_scalar(queries, scale.into());
    B::float_matmul(queries, B::float_transpose(keys))
}

/// [`forward`] of `[B, N, 3D]`.
pub(super) fn self_forward<B: Backend>(
    qkv: FloatTensor<B>,
    heads: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [queries, keys_values] = parts::<B>(qkv);
    forward::<B>(queries, keys_values, heads)
}

/// Output and logarithms.
pub(super) fn forward<B: Backend>(
    queries: FloatTensor<B>,
    keys_values: FloatTensor<B>,
    heads: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [batch, tokens, _] = queries.shape().dims();
    let [keys, values] = keys_and_values::<B>(keys_values, heads);
    let scores = scores::<B>(split::<B>(queries, heads), keys);
    let most = B::float_max_dim(scores.clone(), 3);
    let exponentials = B::float_exp(B::float_sub(scores, most.clone()));
    let sum = B::float_sum_dim(exponentials.clone(), 3);
    let probabilities = B::float_div(exponentials, sum.clone());
    let output = join::<B>(B::float_matmul(probabilities, values));
    let logarithms = B::float_add(most, B::float_log(sum));
    let shape = Shape::new([batch, tokens, heads]);
    let logarithms = B::float_reshape(B::float_swap_dims(logarithms, 1, 2), shape);
    (output, logarithms)
}

/// The gradient with respect to `[B, N, 3D]`.
pub(super) fn self_backward<B: Backend>(
    qkv: FloatTensor<B>,
    output: FloatTensor<B>,
    logarithms: FloatTensor<B>,
    gradient: FloatTensor<B>,
    heads: usize,
) -> FloatTensor<B> {
    let [queries, keys_values] = parts::<B>(qkv);
    let saved = [output, logarithms, gradient];
    let (queries, keys_values) = backward::<B>(queries, keys_values, saved, heads);
    B::float_cat(vec![queries, keys_values], 2)
}

/// The gradients with respect to queries, and to keys and values, of output, logarithms and the
/// output's gradient; see [`super::backward::backward_joined`].
pub(super) fn backward<B: Backend>(
    queries: FloatTensor<B>,
    keys_values: FloatTensor<B>,
    [output, logarithms, gradient]: [FloatTensor<B>; 3],
    heads: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [batch, tokens, _] = queries.shape().dims();
    let queries = split::<B>(queries, heads);
    let [keys, values] = keys_and_values::<B>(keys_values, heads);
    let scores = scores::<B>(queries.clone(), keys.clone());
    let shape = Shape::new([batch, tokens, heads, 1]);
    let logarithms = B::float_swap_dims(B::float_reshape(logarithms, shape), 1, 2);
    let probabilities = B::float_exp(B::float_sub(scores, logarithms));
    let gradient = split::<B>(gradient, heads);
    let output = split::<B>(output, heads);
    let means = B::float_sum_dim(B::float_mul(gradient.clone(), output), 3);
    let slopes = B::float_matmul(gradient.clone(), B::float_transpose(values));
    let values = B::float_matmul(B::float_transpose(probabilities.clone()), gradient);
    let slopes = B::float_mul(probabilities, B::float_sub(slopes, means));
    let slopes = B::float_mul_scalar(slopes, scale::<B>(&queries).into());
    // The gradient of a query comes from the keys, that of a key from the queries.
    let of_queries = B::float_matmul(slopes.clone(), keys);
    let of_keys = B::float_matmul(B::float_transpose(slopes), queries);
    let of_keys_values = B::float_cat([of_keys, values].map(join::<B>).to_vec(), 2);
    (join::<B>(of_queries), of_keys_values)
}
