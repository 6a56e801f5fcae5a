//! The poolings made of burn's own, for every device and type without a fast path.

use burn::{
    backend::{
        Backend, TensorMetadata,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::IntDType,
};

use super::Pool2dOptions;

pub(super) fn max_pool2d<B: Backend>(x: FloatTensor<B>, options: Pool2dOptions) -> FloatTensor<B> {
    let Pool2dOptions {
        kernel,
        stride,
        padding,
    } = options;
    B::max_pool2d(x, kernel, stride, padding, [1; 2], false)
}

/// Output, and where in its map the largest number of each window is.
pub(super) fn max_pool2d_with_places<B: Backend>(
    x: FloatTensor<B>,
    options: Pool2dOptions,
) -> (FloatTensor<B>, IntTensor<B>) {
    let Pool2dOptions {
        kernel,
        stride,
        padding,
    } = options;
    let result =
        B::max_pool2d_with_indices(x, kernel, stride, padding, [1; 2], false, IntDType::I64);
    (result.output, result.indices)
}

pub(super) fn max_pool2d_backward<B: Backend>(
    shape: [usize; 4],
    options: Pool2dOptions,
    places: IntTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let Pool2dOptions {
        kernel,
        stride,
        padding,
    } = options;
    let x = zeros::<B>(shape, &gradient);
    let dilation = [1; 2];
    B::max_pool2d_with_indices_backward(
        x, kernel, stride, padding, dilation, false, gradient, places,
    )
    .x_grad
}

pub(super) fn avg_pool2d<B: Backend>(x: FloatTensor<B>, options: Pool2dOptions) -> FloatTensor<B> {
    let Pool2dOptions {
        kernel,
        stride,
        padding,
    } = options;
    B::avg_pool2d(x, kernel, stride, padding, true, false)
}

pub(super) fn avg_pool2d_backward<B: Backend>(
    shape: [usize; 4],
    options: Pool2dOptions,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let Pool2dOptions {
        kernel,
        stride,
        padding,
    } = options;
    let x = zeros::<B>(shape, &gradient);
    B::avg_pool2d_backward(x, gradient, kernel, stride, padding, true, false)
}

pub(super) fn adaptive_avg_pool2d_backward<B: Backend>(
    shape: [usize; 4],
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let x = zeros::<B>(shape, &gradient);
    B::adaptive_avg_pool2d_backward(x, gradient)
}

/// Stands for an input of which a gradient reads the shape alone.
fn zeros<B: Backend>(shape: [usize; 4], like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros(shape.into(), &like.device(), like.dtype().into())
}
