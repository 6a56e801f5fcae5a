//! Quantisation made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

use super::Levels;

pub(super) fn quantise<B: Backend>(x: FloatTensor<B>, levels: Levels) -> FloatTensor<B> {
    let codes = B::float_mul_scalar(x, levels.per_unit.into());
    let ends = [levels.first, levels.last].map(f64::from);
    let codes = B::float_clamp(codes, ends[0].into(), ends[1].into());
    B::float_mul_scalar(B::float_round(codes), (1.0 / levels.per_unit).into())
}

pub(super) fn quantise_backward<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
    levels: Levels,
) -> FloatTensor<B> {
    let [low, high] = levels.passes;
    // What clamping changes has no gradient.
    let clamped = B::float_clamp(x.clone(), low.into(), high.into());
    let beyond = B::float_sign(B::float_abs(B::float_sub(x, clamped)));
    let within = B::float_add_scalar(B::float_neg(beyond), 1.0.into());
    B::float_mul(gradient, within)
}

pub(super) fn value_range<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_cat(vec![B::float_min(x.clone()), B::float_max(x)], 0)
}

pub(super) fn quantise_rows<B: Backend>(weight: FloatTensor<B>, bits: u32) -> FloatTensor<B> {
    let shape = weight.shape();
    let rows = shape[0].max(1);
    let columns = shape.num_elements() / rows;
    let flat = B::float_reshape(weight, Shape::new([rows, columns]));
    let sizes = B::float_abs(flat.clone());
    let quantised = match bits {
        1 => {
            let step = B::float_expand(B::float_mean_dim(sizes, 1), flat.shape());
            // Twice the sign plus one is positive for 0 too, and has the sign of all others.
            let doubled = B::float_mul_scalar(B::float_sign(flat), 2.0.into());
            let signs = B::float_sign(B::float_add_scalar(doubled, 1.0.into()));
            B::float_mul(signs, step)
        }
        _ => {
            let last = f64::from((1i32 << (bits - 1)) - 1);
            let step = B::float_mul_scalar(B::float_max_dim(sizes, 1), (1.0 / last).into());
            // A row of zeros is divided by one.
            let nothing =
                B::float_add_scalar(B::float_neg(B::float_sign(step.clone())), 1.0.into());
            let divisor = B::float_expand(B::float_add(step.clone(), nothing), flat.shape());
            let codes = B::float_round(B::float_div(flat.clone(), divisor));
            let codes = B::float_clamp(codes, (-last).into(), last.into());
            B::float_mul(codes, B::float_expand(step, flat.shape()))
        }
    };
    B::float_reshape(quantised, shape)
}
