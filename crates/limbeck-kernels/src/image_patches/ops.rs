//! Patches of images as an extension of burn's backends.

use burn::backend::{
    Backend, backend_extension,
    tensor::{FloatTensor, IntTensor},
};

use super::composed;

/// Patches of images; the bodies given here are made of burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait ImagePatchOps: Backend {
    /// See [`crate::image_patches`].
    fn kernel_image_patches(images: FloatTensor<Self>, side: usize) -> FloatTensor<Self> {
        composed::cut::<Self>(images, side)
    }

    /// Gradient of [`ImagePatchOps::kernel_image_patches`] with respect to images of this height and
    /// width.
    fn kernel_image_patches_backward(
        gradient: FloatTensor<Self>,
        size: [usize; 2],
        side: usize,
    ) -> FloatTensor<Self> {
        composed::put_back::<Self>(gradient, size, side)
    }

    /// See [`crate::image_patches`].
    fn kernel_chosen_patches(
        images: FloatTensor<Self>,
        chosen: IntTensor<Self>,
        side: usize,
    ) -> FloatTensor<Self> {
        composed::cut_chosen::<Self>(images, chosen, side)
    }

    /// Gradient of [`ImagePatchOps::kernel_chosen_patches`] with respect to images of this height and
    /// width: the sum where a patch was chosen more than once, zero where it was not.
    fn kernel_chosen_patches_backward(
        gradient: FloatTensor<Self>,
        chosen: IntTensor<Self>,
        size: [usize; 2],
        side: usize,
    ) -> FloatTensor<Self> {
        composed::put_back_chosen::<Self>(gradient, chosen, size, side)
    }
}
