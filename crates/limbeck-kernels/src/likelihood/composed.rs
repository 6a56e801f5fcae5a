//! Log-probabilities made of burn's own operations, for every device and type without a fast path.

use burn::{
    backend::{
        Backend, TensorMetadata,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::{IndexingUpdateOp, Shape},
};

/// `[B, H, W]` as `[B, 1, H, W]`.
fn with_channel(shape: &Shape) -> Shape {
    Shape::new([shape[0], 1, shape[1], shape[2]])
}

pub(super) fn forward<B: Backend>(
    logits: FloatTensor<B>,
    classes: IntTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let shape = classes.shape();
    let most = B::float_max_dim(logits.clone(), 1);
    let exponentials = B::float_exp(B::float_sub(logits.clone(), most.clone()));
    let sum = B::float_sum_dim(exponentials, 1);
    let logarithms = B::float_add(most, B::float_log(sum));
    let classes = B::int_reshape(classes, with_channel(&shape));
    let right = B::float_sub(B::float_gather(1, logits, classes), logarithms.clone());
    (
        B::float_reshape(right, shape.clone()),
        B::float_reshape(logarithms, shape),
    )
}

/// With p the probabilities, g·(1 − p) for a pixel's class and −g·p for all others.
pub(super) fn backward<B: Backend>(
    logits: FloatTensor<B>,
    classes: IntTensor<B>,
    logarithms: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = with_channel(&classes.shape());
    let classes = B::int_reshape(classes, shape.clone());
    let logarithms = B::float_reshape(logarithms, shape.clone());
    let gradient = B::float_reshape(gradient, shape);
    let probabilities = B::float_exp(B::float_sub(logits, logarithms));
    let slope = B::float_mul(probabilities, B::float_neg(gradient.clone()));
    B::float_scatter(1, slope, classes, gradient, IndexingUpdateOp::Add)
}
