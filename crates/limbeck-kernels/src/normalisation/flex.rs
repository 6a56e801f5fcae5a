//! The normalisations' fast paths on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{
    Maps, Read, affine, backward, composed, forward,
    ops::{Four, NormalisationOps, Three},
};
use crate::{
    activation::Activation,
    flex::{Numbers, tensor},
    optional::Optional,
};

impl NormalisationOps for Flex {
    fn kernel_batch_norm(
        x: FlexTensor,
        residual: Optional<Self>,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
        activation: Activation,
    ) -> Three<Self> {
        let residual = residual.into_option();
        let (Some(numbers), Some(added)) =
            (Numbers::new([&x, &weight, &bias]), optional(&residual))
        else {
            return composed::batch_norm::<Self>(x, residual, weight, bias, epsilon, activation);
        };
        let maps = maps(&x);
        let added = added.as_ref().map(only);
        let result = forward::forward(maps, numbers.slices(), added, epsilon, activation);
        (
            tensor(result.output, x.shape()),
            tensor(result.mean, [maps.channels]),
            tensor(result.variance, [maps.channels]),
        )
    }

    fn kernel_batch_norm_backward(
        x: FlexTensor,
        weight: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        output: Optional<Self>,
        gradient: FlexTensor,
        epsilon: f64,
        activation: Activation,
        with_residual: bool,
    ) -> Four<Self> {
        let output = output.into_option();
        let (Some(numbers), Some(out)) = (
            Numbers::new([&x, &weight, &mean, &variance, &gradient]),
            optional(&output),
        ) else {
            return composed::batch_norm_backward::<Self>(
                [x, weight, mean, variance],
                output,
                gradient,
                epsilon,
                activation,
                with_residual,
            );
        };
        let [values, weight, mean, variance, gradient] = numbers.slices();
        let read = Read {
            x: values,
            centre: mean,
            output: out.as_ref().map(only),
            gradient,
            activation,
        };
        let result =
            backward::batch_norm(maps(&x), &read, weight, variance, epsilon, with_residual);
        gradients(&x, result)
    }

    fn kernel_channel_affine(
        x: FlexTensor,
        residual: Optional<Self>,
        scale: FlexTensor,
        shift: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        let residual = residual.into_option();
        let (Some(numbers), Some(added)) =
            (Numbers::new([&x, &scale, &shift]), optional(&residual))
        else {
            return composed::channel_affine::<Self>(x, residual, scale, shift, activation);
        };
        let added = added.as_ref().map(only);
        let result = affine::forward(maps(&x), numbers.slices(), added, activation);
        tensor(result, x.shape())
    }

    fn kernel_channel_affine_backward(
        x: FlexTensor,
        scale: FlexTensor,
        output: Optional<Self>,
        gradient: FlexTensor,
        activation: Activation,
        with_residual: bool,
    ) -> Four<Self> {
        let output = output.into_option();
        let (Some(numbers), Some(out)) = (Numbers::new([&x, &scale, &gradient]), optional(&output))
        else {
            return composed::channel_affine_backward::<Self>(
                [x, scale],
                output,
                gradient,
                activation,
                with_residual,
            );
        };
        let [values, scale, gradient] = numbers.slices();
        let zero = vec![0.0; scale.len()];
        let read = Read {
            x: values,
            centre: &zero,
            output: out.as_ref().map(only),
            gradient,
            activation,
        };
        let result = backward::channel_affine(maps(&x), &read, scale, with_residual);
        gradients(&x, result)
    }
}

/// The numbers of a tensor that need not be there; `None` where it is there and not `f32`.
fn optional(tensor: &Option<FlexTensor>) -> Option<Option<Numbers<1>>> {
    match tensor {
        Some(tensor) => Numbers::new([tensor]).map(Some),
        None => Some(None),
    }
}

fn only(numbers: &Numbers<1>) -> &[f32] {
    let [numbers] = numbers.slices();
    numbers
}

fn maps(x: &FlexTensor) -> Maps {
    let [batch, channels, height, width] = x.shape().dims();
    Maps {
        batch,
        channels,
        size: height * width,
    }
}

fn gradients(x: &FlexTensor, result: backward::Gradients) -> Four<Flex> {
    let channels = [x.shape()[1]];
    (
        tensor(result.x, x.shape()),
        result.residual.map(|values| tensor(values, x.shape())),
        tensor(result.weight, channels),
        tensor(result.bias, channels),
    )
}
