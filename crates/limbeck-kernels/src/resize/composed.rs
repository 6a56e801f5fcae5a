//! Resizing made of burn's own operations, for every device and type without a fast path.

use burn::{
    backend::{
        Backend, TensorMetadata,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::{IndexingUpdateOp, Shape, TensorData},
};

use super::{
    Interpolation,
    axis::{self, Mixture},
};

pub(crate) fn resize<B: Backend>(
    x: FloatTensor<B>,
    size: [usize; 2],
    interpolation: Interpolation,
) -> FloatTensor<B> {
    let [_, _, height, width] = x.shape().dims();
    match interpolation {
        Interpolation::Nearest => {
            let rows = sources::<B>(&x, height, size[0]);
            let columns = sources::<B>(&x, width, size[1]);
            B::float_select(B::float_select(x, 2, rows), 3, columns)
        }
        Interpolation::Bilinear { align_corners } => {
            let rows = matrix::<B>(&x, height, size[0], align_corners);
            let columns = matrix::<B>(&x, width, size[1], align_corners);
            mixed::<B>(x, rows, B::float_swap_dims(columns, 0, 1))
        }
    }
}

pub(crate) fn resize_backward<B: Backend>(
    [height, width]: [usize; 2],
    gradient: FloatTensor<B>,
    interpolation: Interpolation,
) -> FloatTensor<B> {
    let [batch, channels, rows_out, columns_out] = gradient.shape().dims();
    match interpolation {
        Interpolation::Nearest => {
            let rows = sources::<B>(&gradient, height, rows_out);
            let columns = sources::<B>(&gradient, width, columns_out);
            let added = |shape: [usize; 4], dim, places, gradient: FloatTensor<B>| {
                let dtype = gradient.dtype().into();
                let zeros = B::float_zeros(shape.into(), &gradient.device(), dtype);
                B::float_select_assign(zeros, dim, places, gradient, IndexingUpdateOp::Add)
            };
            let narrow = added([batch, channels, rows_out, width], 3, columns, gradient);
            added([batch, channels, height, width], 2, rows, narrow)
        }
        Interpolation::Bilinear { align_corners } => {
            let rows = matrix::<B>(&gradient, height, rows_out, align_corners);
            let columns = matrix::<B>(&gradient, width, columns_out, align_corners);
            mixed::<B>(gradient, B::float_swap_dims(rows, 0, 1), columns)
        }
    }
}

/// `rows · x · columns` for each map: `[B, C, H, W]`, `[H', H]` and `[W, W']` → `[B, C, H', W']`.
fn mixed<B: Backend>(
    x: FloatTensor<B>,
    rows: FloatTensor<B>,
    columns: FloatTensor<B>,
) -> FloatTensor<B> {
    let [batch, channels, height, width] = x.shape().dims();
    let (rows_out, columns_out) = (rows.shape()[0], columns.shape()[1]);
    let maps = batch * channels;
    let x = B::float_reshape(x, Shape::new([maps * height, width]));
    let wide = B::float_matmul(x, columns);
    let wide = B::float_reshape(wide, Shape::new([maps, height, columns_out]));
    let rows = B::float_reshape(rows, Shape::new([1, rows_out, height]));
    let rows = B::float_expand(rows, Shape::new([maps, rows_out, height]));
    let mixed = B::float_matmul(rows, wide);
    B::float_reshape(mixed, Shape::new([batch, channels, rows_out, columns_out]))
}

/// Weights of the input positions in each output position, `[output, input]`.
fn matrix<B: Backend>(
    like: &FloatTensor<B>,
    input: usize,
    output: usize,
    align_corners: bool,
) -> FloatTensor<B> {
    let weights = Mixture::new(input, output, align_corners).matrix(input);
    let weights = TensorData::new(weights, [output, input]);
    let weights = B::float_from_data(weights.convert_dtype(like.dtype()), &like.device());
    B::float_cast(weights, like.dtype().into())
}

fn sources<B: Backend>(like: &FloatTensor<B>, input: usize, output: usize) -> IntTensor<B> {
    let sources = axis::nearest(input, output).into_iter();
    let sources: Vec<i64> = sources.map(|source| source as i64).collect();
    B::int_from_data(TensorData::new(sources, [output]), &like.device())
}
