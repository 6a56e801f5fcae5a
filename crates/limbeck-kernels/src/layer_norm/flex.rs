//! Layer norms on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{LayerNormOps, Three, composed, rows};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl LayerNormOps for Flex {
    fn kernel_layer_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> Three<Self> {
        let _span = span("layer norm", [&x, &weight, &bias], || 0);
        let Some(numbers) = Numbers::new([&x, &weight, &bias]) else {
            return composed::forward::<Self>(x, weight, bias, epsilon);
        };
        let [values, weight, bias] = numbers.slices();
        let result = rows::forward(values, weight, bias, epsilon as f32);
        let mut per_row = x.shape();
        let axis = per_row.num_dims() - 1;
        per_row[axis] = 1;
        (
            tensor(result.output, x.shape()),
            tensor(result.mean, per_row.clone()),
            tensor(result.scale, per_row),
        )
    }

    fn kernel_layer_norm_backward(
        x: FlexTensor,
        weight: FlexTensor,
        mean: FlexTensor,
        scale: FlexTensor,
        gradient: FlexTensor,
    ) -> Three<Self> {
        let _span = span(
            "layer norm backward",
            [&x, &weight, &mean, &scale, &gradient],
            || 0,
        );
        let Some(numbers) = Numbers::new([&x, &weight, &mean, &scale, &gradient]) else {
            return composed::backward::<Self>(x, weight, mean, scale, gradient);
        };
        let [values, factors, mean, scale, gradient] = numbers.slices();
        let (input, weights, biases) = rows::backward(values, factors, mean, scale, gradient);
        (
            tensor(input, x.shape()),
            tensor(weights, weight.shape()),
            tensor(biases, weight.shape()),
        )
    }
}
