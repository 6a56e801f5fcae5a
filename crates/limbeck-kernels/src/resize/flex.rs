//! Resizing's fast path on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{Interpolation, bilinear::Bilinear, composed, nearest::Nearest, ops::ResizeOps};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl ResizeOps for Flex {
    fn kernel_resize(x: FlexTensor, size: [usize; 2], interpolation: Interpolation) -> FlexTensor {
        let _span = span("resize", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::resize::<Self>(x, size, interpolation);
        };
        let [batch, channels, height, width] = x.shape().dims();
        let [values] = numbers.slices();
        let values = match interpolation {
            Interpolation::Nearest => Nearest::new([height, width], size).forward(values),
            Interpolation::Bilinear { align_corners } => {
                Bilinear::new([height, width], size, align_corners).forward(values)
            }
        };
        tensor(values, [batch, channels, size[0], size[1]])
    }

    fn kernel_resize_backward(
        size: [usize; 2],
        gradient: FlexTensor,
        interpolation: Interpolation,
    ) -> FlexTensor {
        let _span = span("resize backward", [&gradient], || 0);
        let Some(numbers) = Numbers::new([&gradient]) else {
            return composed::resize_backward::<Self>(size, gradient, interpolation);
        };
        let [batch, channels, height, width] = gradient.shape().dims();
        let [values] = numbers.slices();
        let values = match interpolation {
            Interpolation::Nearest => Nearest::new(size, [height, width]).backward(values),
            Interpolation::Bilinear { align_corners } => {
                Bilinear::new(size, [height, width], align_corners).backward(values)
            }
        };
        tensor(values, [batch, channels, size[0], size[1]])
    }
}
