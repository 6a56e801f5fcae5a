//! Patches of images on the CPU backend.

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::DType,
};

use super::{
    composed,
    cut::{self, Sizes, Which},
    ops::ImagePatchOps,
};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl ImagePatchOps for Flex {
    fn kernel_image_patches(images: FlexTensor, side: usize) -> FlexTensor {
        let _span = span("image patches", [&images], || 0);
        let Some(numbers) = Numbers::new([&images]) else {
            return composed::cut::<Self>(images, side);
        };
        let [values] = numbers.slices();
        cut_out(values, sizes(&images, side), Which::All)
    }

    fn kernel_image_patches_backward(
        gradient: FlexTensor,
        size: [usize; 2],
        side: usize,
    ) -> FlexTensor {
        let _span = span("image patches backward", [&gradient], || 0);
        let Some(numbers) = Numbers::new([&gradient]) else {
            return composed::put_back::<Self>(gradient, size, side);
        };
        let [values] = numbers.slices();
        put_back(values, sizes_behind(&gradient, size, side), Which::All)
    }

    fn kernel_chosen_patches(images: FlexTensor, chosen: FlexTensor, side: usize) -> FlexTensor {
        let _span = span("chosen patches", [&images, &chosen], || 0);
        let sizes = sizes(&images, side);
        let (Some(numbers), Some(places)) =
            (Numbers::new([&images]), places(&chosen, sizes.count()))
        else {
            return composed::cut_chosen::<Self>(images, chosen, side);
        };
        let [values] = numbers.slices();
        cut_out(values, sizes, Which::Chosen(&places))
    }

    fn kernel_chosen_patches_backward(
        gradient: FlexTensor,
        chosen: FlexTensor,
        size: [usize; 2],
        side: usize,
    ) -> FlexTensor {
        let _span = span("chosen patches backward", [&gradient, &chosen], || 0);
        let sizes = sizes_behind(&gradient, size, side);
        let (Some(numbers), Some(places)) =
            (Numbers::new([&gradient]), places(&chosen, sizes.count()))
        else {
            return composed::put_back_chosen::<Self>(gradient, chosen, size, side);
        };
        let [values] = numbers.slices();
        put_back(values, sizes, Which::Chosen(&places))
    }
}

fn cut_out(images: &[f32], sizes: Sizes, which: Which<'_>) -> FlexTensor {
    let shape = [sizes.batch, which.count(sizes), sizes.length()];
    tensor(cut::cut(images, sizes, which), shape)
}

fn put_back(patches: &[f32], sizes: Sizes, which: Which<'_>) -> FlexTensor {
    let [height, width] = sizes.size;
    let shape = [sizes.batch, sizes.channels, height, width];
    tensor(cut::put_back(patches, sizes, which), shape)
}

/// Of `images` `[B, C, H, W]`.
fn sizes(images: &FlexTensor, side: usize) -> Sizes {
    let [batch, channels, height, width] = images.shape().dims();
    Sizes {
        batch,
        channels,
        size: [height, width],
        side,
    }
}

/// Of the images that `patches` `[B, n, C·side²]` were cut of.
fn sizes_behind(patches: &FlexTensor, size: [usize; 2], side: usize) -> Sizes {
    let [batch, _, length] = patches.shape().dims();
    Sizes {
        batch,
        channels: length / (side * side),
        size,
        side,
    }
}

/// The numbers of chosen patches, of which an image has `count`; `None` for a type of integers that is
/// seldom used.
///
/// # Panics
/// Where there is no patch of such a number.
fn places(chosen: &FlexTensor, count: usize) -> Option<Vec<usize>> {
    let chosen = chosen.to_contiguous();
    match chosen.dtype() {
        DType::I64 => Some(below(chosen.storage::<i64>(), count)),
        DType::I32 => Some(below(chosen.storage::<i32>(), count)),
        _ => None,
    }
}

fn below<T: Copy + Into<i64>>(numbers: &[T], count: usize) -> Vec<usize> {
    let numbers = numbers.iter().map(|&number| {
        let number: i64 = number.into();
        // No number of a patch is as large as what a negative one becomes.
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        assert!(
            place < count,
            "there is no patch {number} in an image of {count}"
        );
        place
    });
    numbers.collect()
}
