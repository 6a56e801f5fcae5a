//! The operations made of burn's own, for every device and type without a fast path.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

/// Three tensors of a backend.
pub(crate) type Three<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// Sum of `[B, C, H, W]` over all but the channels, `[C]`.
pub(crate) fn sum_per_channel<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    let channels = tensor.shape()[1];
    let sum = B::float_sum_dim(tensor, 0);
    let sum = B::float_sum_dim(sum, 2);
    let sum = B::float_sum_dim(sum, 3);
    B::float_reshape(sum, Shape::new([channels]))
}

/// Output, mean and variance.
pub(crate) fn batch_norm<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> Three<B> {
    let result = B::batch_norm_train(x, weight, bias, epsilon);
    (result.output, result.mean, result.variance)
}

/// What the gradients of a batch norm are computed from.
pub(crate) struct Saved<B: Backend> {
    pub x: FloatTensor<B>,
    pub weight: FloatTensor<B>,
    pub mean: FloatTensor<B>,
    pub variance: FloatTensor<B>,
    pub epsilon: f64,
}

/// Gradients with respect to input, weight and bias.
pub(crate) fn batch_norm_backward<B: Backend>(
    saved: Saved<B>,
    gradient: FloatTensor<B>,
) -> Three<B> {
    let result = B::batch_norm_train_backward(
        saved.x,
        saved.weight,
        saved.mean,
        saved.variance,
        saved.epsilon,
        gradient,
    );
    (result.x_grad, result.gamma_grad, result.beta_grad)
}

/// Output, mean and variance.
pub(crate) fn batch_norm_relu<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> Three<B> {
    let (output, mean, variance) = batch_norm::<B>(x, weight, bias, epsilon);
    (B::relu(output), mean, variance)
}

/// Output, mean and variance.
pub(crate) fn batch_norm_add_relu<B: Backend>(
    x: FloatTensor<B>,
    residual: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> Three<B> {
    let (output, mean, variance) = batch_norm::<B>(x, weight, bias, epsilon);
    (B::relu(B::float_add(output, residual)), mean, variance)
}

/// Gradients with respect to input, residual where asked for, weight and bias.
pub(crate) fn batch_norm_relu_backward<B: Backend>(
    saved: Saved<B>,
    output: FloatTensor<B>,
    gradient: FloatTensor<B>,
    with_residual: bool,
) -> (
    FloatTensor<B>,
    Option<FloatTensor<B>>,
    FloatTensor<B>,
    FloatTensor<B>,
) {
    let gradient = B::relu_backward(output, gradient);
    let residual = with_residual.then(|| gradient.clone());
    let (x, weight, bias) = batch_norm_backward::<B>(saved, gradient);
    (x, residual, weight, bias)
}
