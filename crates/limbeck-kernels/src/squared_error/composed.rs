//! Squared errors made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

use super::PyramidLevel;

/// The error, and its gradient with respect to `a`.
pub(super) fn squared_error<B: Backend>(
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    levels: &[PyramidLevel],
    with_slopes: bool,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let difference = B::float_sub(a, b);
    let mut error = mean_square::<B>(&difference);
    let mut slopes = with_slopes.then(|| of_mean::<B>(&difference, 1.0));
    for &PyramidLevel { side, weight } in levels {
        let means = B::adaptive_avg_pool2d(difference.clone(), [side; 2]);
        let of_level = B::float_mul_scalar(mean_square::<B>(&means), weight.into());
        error = B::float_add(error, of_level);
        slopes = slopes.map(|slopes| {
            let gradient = of_mean::<B>(&means, weight);
            let of_level = B::adaptive_avg_pool2d_backward(difference.clone(), gradient);
            B::float_add(slopes, of_level)
        });
    }
    (error, slopes)
}

fn mean_square<B: Backend>(x: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_mean(B::float_mul(x.clone(), x.clone()))
}

/// Gradient of `weight` times [`mean_square`].
fn of_mean<B: Backend>(x: &FloatTensor<B>, weight: f64) -> FloatTensor<B> {
    let count = x.shape().num_elements() as f64;
    B::float_mul_scalar(x.clone(), (2.0 * weight / count).into())
}

pub(super) fn scale<B: Backend>(
    slopes: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let ones = vec![1; slopes.shape().num_dims()];
    B::float_mul(slopes, B::float_reshape(gradient, Shape::from(ones)))
}
