//! Divergences on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{DivergenceOps, composed, maps, rows, shares};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl DivergenceOps for Flex {
    fn kernel_divergence(
        x: FlexTensor,
        target: FlexTensor,
        scale: f64,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("divergence", [&x, &target], || 0);
        let Some(numbers) = Numbers::new([&x, &target]) else {
            return composed::divergence::<Self>(x, target, scale);
        };
        let [values, targets] = numbers.slices();
        let shape = x.shape();
        let (sum, slopes) = rows::divergence(values, targets, shape[1], scale as f32);
        (tensor(vec![sum as f32], [1]), tensor(slopes, shape))
    }

    fn kernel_soft_cross_entropy(x: FlexTensor, target: FlexTensor) -> (FlexTensor, FlexTensor) {
        let _span = span("soft cross entropy", [&x, &target], || 0);
        let Some(numbers) = Numbers::new([&x, &target]) else {
            return composed::soft_cross_entropy::<Self>(x, target);
        };
        let [values, targets] = numbers.slices();
        let shape = x.shape();
        let pixels = shape[2] * shape[3];
        let (sum, slopes) = maps::cross_entropy(values, targets, shape[1], pixels);
        (tensor(vec![sum as f32], [1]), tensor(slopes, shape))
    }

    fn kernel_cross_entropy_with_shares(
        x: FlexTensor,
        shares: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("cross entropy with shares", [&x, &shares], || 0);
        let Some(numbers) = Numbers::new([&x, &shares]) else {
            return composed::cross_entropy_with_shares::<Self>(x, shares);
        };
        let [values, given] = numbers.slices();
        let shape = x.shape();
        let (sum, slopes) = shares::cross_entropy(values, given, shape[1]);
        (tensor(vec![sum as f32], [1]), tensor(slopes, shape))
    }
}
