//! Images cut into patches, which is what a convolution does whose kernel is its stride.
//!
//! With patches as rows that convolution is one product, and where some patches alone are looked at,
//! the others are never read.

mod autodiff;
mod composed;
mod cut;
mod flex;
mod ops;

use burn::{
    backend::Dispatch,
    tensor::{Int, Tensor},
};

use crate::map_to_tokens;
use ops::ImagePatchOps;

/// The patches of `side` by `side` pixels of images `[B, C, H, W]` as rows, `[B, n, C·side²]`, the
/// numbers of each in the order of a convolution's weight: channel, row, column. All of them, row by
/// row, or those that `chosen` `[B, n]` numbers from 0, in its order and as often as it names them.
/// Pixels right and below that fill no patch are left out.
///
/// Differentiable in the images. `f32` on the CPU is copied on all threads, with results that do
/// not depend on their number; everything else is made of burn's operations.
///
/// # Panics
/// Where a size is zero, no patch fits, or `chosen` is of another batch; on the CPU, where it names a
/// patch that there is not.
pub fn image_patches(images: Tensor<4>, side: usize, chosen: Option<&Tensor<2, Int>>) -> Tensor<3> {
    let shape = images.dims();
    let [batch, _, height, width] = shape;
    assert!(
        side > 0 && shape.iter().all(|&n| n > 0) && height.min(width) >= side,
        "images of shape {shape:?} have no patches of {side} by {side}"
    );
    let Some(chosen) = chosen else {
        if side == 1 {
            return map_to_tokens(images);
        }
        let patches = Dispatch::kernel_image_patches(images.into_dispatch(), side);
        return Tensor::from_dispatch(patches);
    };
    let [rows, count] = chosen.dims();
    assert!(
        rows == batch && count > 0,
        "numbers of patches of shape {:?} do not fit images of shape {shape:?}",
        chosen.dims()
    );
    Tensor::from_dispatch(Dispatch::kernel_chosen_patches(
        images.into_dispatch(),
        chosen.clone().into_dispatch(),
        side,
    ))
}
