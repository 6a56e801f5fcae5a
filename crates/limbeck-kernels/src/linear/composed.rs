//! Linear maps made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

/// `[…, N]` as `[rows, N]`.
fn as_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let width = shape[shape.num_dims() - 1];
    let rows = shape.num_elements() / width.max(1);
    B::float_reshape(x, Shape::new([rows, width]))
}

/// The product with `right` of all rows of `x`.
fn rows_times<B: Backend>(x: FloatTensor<B>, right: FloatTensor<B>) -> FloatTensor<B> {
    let mut shape = x.shape();
    let last = shape.num_dims() - 1;
    shape[last] = right.shape()[1];
    B::float_reshape(B::float_matmul(as_rows::<B>(x), right), shape)
}

pub(super) fn linear<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    rows_times::<B>(x, B::float_transpose(weight))
}

pub(crate) fn linear_with_bias<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let y = linear::<B>(x, weight);
    let mut shape = vec![1; y.shape().num_dims() - 1];
    shape.push(bias.shape()[0]);
    B::float_add(y, B::float_reshape(bias, Shape::from(shape)))
}

pub(crate) fn input_gradient<B: Backend>(
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    rows_times::<B>(gradient, weight)
}

/// Of weight and bias.
pub(crate) fn weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let gradient = as_rows::<B>(gradient);
    let outputs = gradient.shape()[1];
    let bias = B::float_reshape(B::float_sum_dim(gradient.clone(), 0), Shape::new([outputs]));
    let weight = B::float_matmul(B::float_transpose(gradient), as_rows::<B>(x));
    (weight, bias)
}

/// Each image of `x` `[B, …]` times its share of `[B]`.
pub(crate) fn scale_images<B: Backend>(
    x: FloatTensor<B>,
    shares: FloatTensor<B>,
) -> FloatTensor<B> {
    let mut shape = vec![1; x.shape().num_dims()];
    shape[0] = shares.shape()[0];
    B::float_mul(x, B::float_reshape(shares, Shape::from(shape)))
}

pub(super) fn linear_onto<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    residual: FloatTensor<B>,
    shares: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    let y = linear_with_bias::<B>(x, weight, bias);
    let y = match shares {
        Some(shares) => scale_images::<B>(y, shares),
        None => y,
    };
    B::float_add(residual, y)
}
