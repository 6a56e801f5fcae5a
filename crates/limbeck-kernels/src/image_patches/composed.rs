//! The operations made of burn's own, for every device and type without a fast path.

use burn::{
    backend::{
        Backend, TensorMetadata,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::{IndexingUpdateOp, Shape, Slice},
};

/// `[B, C, H, W]` → `[B, patches, C·side²]`.
pub(super) fn cut<B: Backend>(images: FloatTensor<B>, side: usize) -> FloatTensor<B> {
    let [batch, channels, height, width] = images.shape().dims();
    let [rows, columns] = [height / side, width / side];
    let whole = [batch, channels, rows * side, columns * side];
    let images = B::float_slice(images, &whole.map(|count| Slice::from(0..count)));
    let shape = Shape::new([batch, channels, rows, side, columns, side]);
    let patches = B::float_permute(B::float_reshape(images, shape), &[0, 2, 4, 1, 3, 5]);
    let shape = Shape::new([batch, rows * columns, channels * side * side]);
    B::float_reshape(patches, shape)
}

/// `[B, patches, C·side²]` → `[B, C, H, W]`, zeros where no patch was.
pub(super) fn put_back<B: Backend>(
    patches: FloatTensor<B>,
    [height, width]: [usize; 2],
    side: usize,
) -> FloatTensor<B> {
    let [batch, _, length] = patches.shape().dims();
    let channels = length / (side * side);
    let [rows, columns] = [height / side, width / side];
    let zeros = B::float_zeros(
        Shape::new([batch, channels, height, width]),
        &patches.device(),
        patches.dtype().into(),
    );
    let shape = Shape::new([batch, rows, columns, channels, side, side]);
    let patches = B::float_permute(B::float_reshape(patches, shape), &[0, 3, 1, 4, 2, 5]);
    let whole = [batch, channels, rows * side, columns * side];
    let patches = B::float_reshape(patches, Shape::new(whole));
    B::float_slice_assign(zeros, &whole.map(|count| Slice::from(0..count)), patches)
}

/// `[B, C, H, W]` and `[B, n]` → `[B, n, C·side²]`.
pub(super) fn cut_chosen<B: Backend>(
    images: FloatTensor<B>,
    chosen: IntTensor<B>,
    side: usize,
) -> FloatTensor<B> {
    let patches = cut::<B>(images, side);
    let [_, _, length] = patches.shape().dims();
    B::float_gather(1, patches, along_rows::<B>(chosen, length))
}

/// `[B, n, C·side²]` and `[B, n]` → `[B, C, H, W]`, patches that were chosen more than once summed.
pub(super) fn put_back_chosen<B: Backend>(
    patches: FloatTensor<B>,
    chosen: IntTensor<B>,
    size: [usize; 2],
    side: usize,
) -> FloatTensor<B> {
    let [batch, _, length] = patches.shape().dims();
    let count: usize = size.map(|length| length / side).into_iter().product();
    let zeros = B::float_zeros(
        Shape::new([batch, count, length]),
        &patches.device(),
        patches.dtype().into(),
    );
    let places = along_rows::<B>(chosen, length);
    let patches = B::float_scatter(1, zeros, places, patches, IndexingUpdateOp::Add);
    put_back::<B>(patches, size, side)
}

/// `[B, n]` → `[B, n, length]`, each number repeated.
fn along_rows<B: Backend>(chosen: IntTensor<B>, length: usize) -> IntTensor<B> {
    let [batch, count] = chosen.shape().dims();
    let chosen = B::int_reshape(chosen, Shape::new([batch, count, 1]));
    B::int_expand(chosen, Shape::new([batch, count, length]))
}
