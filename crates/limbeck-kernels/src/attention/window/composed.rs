//! Attention in windows made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::{Shape, Slice, TensorData},
};

use super::{ProjectionOrder, Windows, seam::HIDDEN};

/// The numbers from `range` on along `axis` of a tensor.
fn part<B: Backend>(x: FloatTensor<B>, axis: usize, first: usize, count: usize) -> FloatTensor<B> {
    let mut slices: Vec<Slice> = x.shape().iter().map(|&n| Slice::from(0..n)).collect();
    slices[axis] = Slice::from(first..first + count);
    B::float_slice(x, &slices)
}

/// A map `[B, rows, columns, D]` that begins at row and column `first`, what lies before them behind the
/// rest.
fn rolled<B: Backend>(mut map: FloatTensor<B>, first: [usize; 2]) -> FloatTensor<B> {
    for (axis, first) in [1, 2].into_iter().zip(first) {
        if first > 0 {
            let length = map.shape()[axis];
            let front = part::<B>(map.clone(), axis, 0, first);
            let rest = part::<B>(map, axis, first, length - first);
            map = B::float_cat(vec![rest, front], axis);
        }
    }
    map
}

/// Tokens `[B, N, D]` → `[B · windows, T, D]`.
fn cut<B: Backend>(x: FloatTensor<B>, windows: Windows) -> FloatTensor<B> {
    let [batch, _, width] = x.shape().dims();
    let ([rows, columns], side) = (windows.grid, windows.side);
    let [below, beside] = windows.counts();
    let map = B::float_reshape(x, Shape::new([batch, rows, columns, width]));
    let map = rolled::<B>(map, windows.shift);
    let map = B::float_reshape(map, Shape::new([batch, below, side, beside, side, width]));
    let shape = Shape::new([batch * below * beside, side * side, width]);
    B::float_reshape(B::float_swap_dims(map, 2, 3), shape)
}

/// The way back.
fn put_back<B: Backend>(x: FloatTensor<B>, windows: Windows) -> FloatTensor<B> {
    let [all, _, width] = x.shape().dims();
    let ([rows, columns], side) = (windows.grid, windows.side);
    let [below, beside] = windows.counts();
    let batch = all / (below * beside);
    let map = B::float_reshape(x, Shape::new([batch, below, beside, side, side, width]));
    let map = B::float_swap_dims(map, 2, 3);
    let map = B::float_reshape(map, Shape::new([batch, rows, columns, width]));
    let back = [0, 1].map(|axis| (windows.grid[axis] - windows.shift[axis]) % windows.grid[axis]);
    let shape = Shape::new([batch, rows * columns, width]);
    B::float_reshape(rolled::<B>(map, back), shape)
}

/// `[W, T, D]` as `[W, heads, T, D / heads]`.
fn by_head<B: Backend>(x: FloatTensor<B>, heads: usize) -> FloatTensor<B> {
    let [count, tokens, width] = x.shape().dims();
    let shape = Shape::new([count, tokens, heads, width / heads]);
    B::float_swap_dims(B::float_reshape(x, shape), 1, 2)
}

/// `[W, heads, T, d]` as `[W, T, heads · d]`.
fn joined<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [count, heads, tokens, per_head] = x.shape().dims();
    let shape = Shape::new([count, tokens, heads * per_head]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}

/// Queries, keys and values of each window, `[W, heads, T, d]`.
fn parts<B: Backend>(
    qkv: FloatTensor<B>,
    heads: usize,
    windows: Windows,
    order: ProjectionOrder,
) -> [FloatTensor<B>; 3] {
    let qkv = cut::<B>(qkv, windows);
    let [count, tokens, three_widths] = qkv.shape().dims();
    let width = three_widths / 3;
    [0, 1, 2].map(|index| match order {
        ProjectionOrder::ByPart => {
            by_head::<B>(part::<B>(qkv.clone(), 2, index * width, width), heads)
        }
        ProjectionOrder::ByHead => {
            let shape = Shape::new([count, tokens, heads, 3, width / heads]);
            let qkv = B::float_reshape(qkv.clone(), shape);
            let shape = Shape::new([count, tokens, width]);
            by_head::<B>(B::float_reshape(part::<B>(qkv, 3, index, 1), shape), heads)
        }
    })
}

/// The gradient `[B, N, 3D]` of those of queries, keys and values.
fn of_parts<B: Backend>(
    parts: [FloatTensor<B>; 3],
    windows: Windows,
    order: ProjectionOrder,
) -> FloatTensor<B> {
    let [count, heads, tokens, per_head] = parts[0].shape().dims();
    let qkv = match order {
        ProjectionOrder::ByPart => B::float_cat(parts.map(joined::<B>).to_vec(), 2),
        ProjectionOrder::ByHead => {
            let shape = Shape::new([count, tokens, heads, 1, per_head]);
            let parts = parts.map(|part| B::float_reshape(joined::<B>(part), shape.clone()));
            let shape = Shape::new([count, tokens, heads * 3 * per_head]);
            B::float_reshape(B::float_cat(parts.to_vec(), 3), shape)
        }
    };
    put_back::<B>(qkv, windows)
}

/// What is added to the scores of each window, `[windows, T²]`; `None` where no key is hidden.
fn mask<B: Backend>(like: &FloatTensor<B>, windows: Windows) -> Option<FloatTensor<B>> {
    if windows.shift == [0, 0] {
        return None;
    }
    let [below, beside] = windows.counts();
    let tokens = windows.tokens();
    let mut mask = Vec::new();
    for window in (0..below).flat_map(|band| (0..beside).map(move |beside| [band, beside])) {
        let seams = windows.seams(window);
        for pair in 0..tokens * tokens {
            let hidden = windows.hides(seams, pair / tokens, pair % tokens);
            mask.push(if hidden { HIDDEN } else { 0.0 });
        }
    }
    let data = TensorData::new(mask, [below * beside, tokens * tokens]);
    let data = data.convert_dtype(like.dtype());
    Some(B::float_from_data(data, &like.device()))
}

/// Scores with all that is added to them, `[W, heads, T, T]`.
fn scores<B: Backend>(
    queries: FloatTensor<B>,
    keys: FloatTensor<B>,
    bias: FloatTensor<B>,
    windows: Windows,
) -> FloatTensor<B> {
    let [all, heads, tokens, per_head] = queries.shape().dims();
    let scale = 1.0 / (per_head as f64).sqrt();
    let queries = B::float_mul_scalar(queries, scale.into());
    let scores = B::float_matmul(queries, B::float_transpose(keys));
    let bias = B::float_reshape(bias, Shape::new([1, heads, tokens, tokens]));
    let scores = B::float_add(scores, bias);
    let Some(mask) = mask::<B>(&scores, windows) else {
        return scores;
    };
    let (count, shape) = (windows.count(), scores.shape());
    let mask = B::float_reshape(mask, Shape::new([1, count, 1, tokens * tokens]));
    let by_window = Shape::new([all / count, count, heads, tokens * tokens]);
    let scores = B::float_add(B::float_reshape(scores, by_window), mask);
    B::float_reshape(scores, shape)
}

/// Output and logarithms.
pub(super) fn forward<B: Backend>(
    qkv: FloatTensor<B>,
    bias: FloatTensor<B>,
    windows: Windows,
    order: ProjectionOrder,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let heads = bias.shape()[0];
    let [queries, keys, values] = parts::<B>(qkv, heads, windows, order);
    let scores = scores::<B>(queries, keys, bias, windows);
    let most = B::float_max_dim(scores.clone(), 3);
    let exponentials = B::float_exp(B::float_sub(scores, most.clone()));
    let sum = B::float_sum_dim(exponentials.clone(), 3);
    let probabilities = B::float_div(exponentials, sum.clone());
    let output = joined::<B>(B::float_matmul(probabilities, values));
    let logarithms = joined::<B>(B::float_add(most, B::float_log(sum)));
    (
        put_back::<B>(output, windows),
        put_back::<B>(logarithms, windows),
    )
}

/// The gradients with respect to queries, keys and values, and to the bias; see
/// [`super::backward::backward`].
pub(super) fn backward<B: Backend>(
    qkv: FloatTensor<B>,
    bias: FloatTensor<B>,
    [logarithms, gradient]: [FloatTensor<B>; 2],
    windows: Windows,
    order: ProjectionOrder,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (heads, shape) = (bias.shape()[0], bias.shape());
    let [queries, keys, values] = parts::<B>(qkv, heads, windows, order);
    let scores = scores::<B>(queries.clone(), keys.clone(), bias, windows);
    let scale = 1.0 / (queries.shape()[3] as f64).sqrt();
    let logarithms = by_head::<B>(cut::<B>(logarithms, windows), heads);
    let probabilities = B::float_exp(B::float_sub(scores, logarithms));
    let gradient = by_head::<B>(cut::<B>(gradient, windows), heads);
    let slopes = B::float_matmul(gradient.clone(), B::float_transpose(values));
    let means = B::float_sum_dim(B::float_mul(probabilities.clone(), slopes.clone()), 3);
    let values = B::float_matmul(B::float_transpose(probabilities.clone()), gradient);
    let slopes = B::float_mul(probabilities, B::float_sub(slopes, means));
    let of_bias = B::float_reshape(B::float_sum_dim(slopes.clone(), 0), shape);
    let slopes = B::float_mul_scalar(slopes, scale.into());
    // The gradient of a query comes from the keys, that of a key from the queries.
    let of_queries = B::float_matmul(slopes.clone(), keys);
    let of_keys = B::float_matmul(B::float_transpose(slopes), queries);
    let of_qkv = of_parts::<B>([of_queries, of_keys, values], windows, order);
    (of_qkv, of_bias)
}
