//! Layer norms made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

use super::Three;

/// `[D]` as `[1, …, D]` of the rank of `like`.
fn last_axis<B: Backend>(values: FloatTensor<B>, like: &FloatTensor<B>) -> FloatTensor<B> {
    let mut shape = vec![1; like.shape().num_dims() - 1];
    shape.push(values.shape()[0]);
    B::float_reshape(values, Shape::from(shape))
}

/// Sum over all axes but the last, `[D]`.
fn sum_per_column<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let shape = values.shape();
    let width = shape[shape.num_dims() - 1];
    let rows = B::float_reshape(values, Shape::new([shape.num_elements() / width, width]));
    B::float_reshape(B::float_sum_dim(rows, 0), Shape::new([width]))
}

/// Output, mean and 1/√(variance + ε).
pub(super) fn forward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> Three<B> {
    let axis = x.shape().num_dims() - 1;
    let mean = B::float_mean_dim(x.clone(), axis);
    let centred = B::float_sub(x, mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), axis);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, epsilon.into()));
    let scale = B::float_recip(deviation);
    let normal = B::float_mul(centred, scale.clone());
    let weight = last_axis::<B>(weight, &normal);
    let bias = last_axis::<B>(bias, &normal);
    let y = B::float_add(B::float_mul(normal, weight), bias);
    (y, mean, scale)
}

/// Gradients with respect to input, weight and bias; see [`super::rows::backward`].
pub(super) fn backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    mean: FloatTensor<B>,
    scale: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> Three<B> {
    let axis = x.shape().num_dims() - 1;
    let normal = B::float_mul(B::float_sub(x, mean), scale.clone());
    let weight_gradient = sum_per_column::<B>(B::float_mul(gradient.clone(), normal.clone()));
    let bias_gradient = sum_per_column::<B>(gradient.clone());
    let gradient = B::float_mul(gradient, last_axis::<B>(weight, &normal));
    let mean = B::float_mean_dim(gradient.clone(), axis);
    let product = B::float_mean_dim(B::float_mul(gradient.clone(), normal.clone()), axis);
    let centred = B::float_sub(B::float_sub(gradient, mean), B::float_mul(normal, product));
    let input = B::float_mul(centred, scale);
    (input, weight_gradient, bias_gradient)
}
