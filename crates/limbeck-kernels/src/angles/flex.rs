//! Errors of angles on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{AngleOps, anchors, composed};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl AngleOps for Flex {
    fn kernel_angle_error(x: FlexTensor, target: FlexTensor) -> (FlexTensor, FlexTensor) {
        let _span = span("angle error", [&x, &target], || {
            let [count, width] = x.shape().dims::<2>();
            let [_, other] = target.shape().dims::<2>();
            count * count * count * (2 * width + other)
        });
        let Some(numbers) = Numbers::new([&x, &target]) else {
            return composed::angle_error::<Self>(x, target);
        };
        let [values, targets] = numbers.slices();
        let shape = x.shape();
        let (error, slopes) = anchors::angle_error(values, targets, shape[0]);
        (tensor(vec![error as f32], [1]), tensor(slopes, shape))
    }
}
