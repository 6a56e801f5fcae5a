//! Blending's fast path on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{BlendOps, composed, maps};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl BlendOps for Flex {
    fn kernel_blend(first: FlexTensor, second: FlexTensor, share: FlexTensor) -> FlexTensor {
        let _span = span("blend", [&first, &second, &share], || 0);
        let Some(numbers) = Numbers::new([&first, &second, &share]) else {
            return composed::blend::<Self>(first, second, share);
        };
        let [values, others, shares] = numbers.slices();
        tensor(maps::forward([values, others], shares), first.shape())
    }

    fn kernel_blend_backward(
        first: FlexTensor,
        second: FlexTensor,
        share: FlexTensor,
        gradient: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let _span = span("blend backward", [&first, &second, &share, &gradient], || 0);
        let Some(numbers) = Numbers::new([&first, &second, &share, &gradient]) else {
            return composed::blend_backward::<Self>(first, second, share, gradient);
        };
        let [values, others, shares, gradient] = numbers.slices();
        let gradients = maps::backward([values, others], shares, gradient);
        (
            tensor(gradients.first, first.shape()),
            tensor(gradients.second, first.shape()),
            tensor(gradients.share, share.shape()),
        )
    }
}
