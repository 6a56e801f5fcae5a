//! Summaries on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{SummaryOps, composed, maps};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl SummaryOps for Flex {
    fn kernel_summary(x: FlexTensor) -> FlexTensor {
        let _span = span("energy and mean", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::summary::<Self>(x);
        };
        let [batch, channels, height, width] = x.shape().dims();
        let [values] = numbers.slices();
        let found = maps::forward(values, channels, height * width);
        tensor(found, [batch, height * width + channels])
    }

    fn kernel_summary_backward(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let _span = span("energy and mean backward", [&x, &gradient], || 0);
        let Some(numbers) = Numbers::new([&x, &gradient]) else {
            return composed::summary_backward::<Self>(x, gradient);
        };
        let [_, channels, height, width] = x.shape().dims();
        let [values, gradient] = numbers.slices();
        let found = maps::backward(values, gradient, channels, height * width);
        tensor(found, x.shape())
    }
}
