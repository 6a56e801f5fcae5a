//! Quantisation on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{Levels, composed, ops::QuantiseOps, span};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl QuantiseOps for Flex {
    fn kernel_quantise(x: FlexTensor, levels: Levels) -> FlexTensor {
        let _span = span("quantise", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::quantise::<Self>(x, levels);
        };
        let [values] = numbers.slices();
        tensor(span::forward(values, levels), x.shape())
    }

    fn kernel_quantise_backward(x: FlexTensor, gradient: FlexTensor, levels: Levels) -> FlexTensor {
        let _span = span("quantise backward", [&x, &gradient], || 0);
        let Some(numbers) = Numbers::new([&x, &gradient]) else {
            return composed::quantise_backward::<Self>(x, gradient, levels);
        };
        let [values, gradient] = numbers.slices();
        tensor(span::backward(values, gradient, levels), x.shape())
    }

    fn kernel_value_range(x: FlexTensor) -> FlexTensor {
        let _span = span("value range", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::value_range::<Self>(x);
        };
        let [values] = numbers.slices();
        tensor(span::range(values).to_vec(), [2])
    }

    fn kernel_quantise_rows(weight: FlexTensor, bits: u32) -> FlexTensor {
        let _span = span("quantise rows", [&weight], || 0);
        let Some(numbers) = Numbers::new([&weight]) else {
            return composed::quantise_rows::<Self>(weight, bits);
        };
        let [values] = numbers.slices();
        let shape = weight.shape();
        let columns = values.len() / shape[0].max(1);
        tensor(span::rows(values, columns, bits), shape)
    }
}
