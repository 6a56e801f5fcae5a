//! Summaries made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

pub(super) fn summary<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, channels, height, width] = x.shape().dims();
    let x = B::float_reshape(x, Shape::new([batch, channels, height * width]));
    let energy = B::float_mean_dim(B::float_mul(x.clone(), x.clone()), 1);
    let mean = B::float_mean_dim(x, 2);
    let energy = B::float_reshape(energy, Shape::new([batch, height * width]));
    let mean = B::float_reshape(mean, Shape::new([batch, channels]));
    B::float_cat(vec![energy, mean], 1)
}

pub(super) fn summary_backward<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let [batch, channels, height, width] = x.shape().dims();
    let size = height * width;
    let part = |from: usize, count: usize, factor: f64| {
        let columns = from..from + count;
        let part = B::float_slice(gradient.clone(), &[(0..batch).into(), columns.into()]);
        B::float_mul_scalar(part, factor.into())
    };
    let energy = part(0, size, 2.0 / channels as f64);
    let energy = B::float_reshape(energy, Shape::new([batch, 1, height, width]));
    let mean = part(size, channels, 1.0 / size as f64);
    let mean = B::float_reshape(mean, Shape::new([batch, channels, 1, 1]));
    B::float_add(B::float_mul(x, energy), mean)
}
