//! The normalisations' fast paths on the CPU backend.

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::DType,
};

use super::{
    Maps, Operand, Output, Read, affine, backward, composed, forward,
    ops::NormalisationOps,
    outcome::{Five, Four, Normalised, NormalisedPair},
    pair,
};
use crate::{
    activation::Activation,
    flex::{Numbers, contiguous, tensor},
    optional::Optional,
    profile::span,
};

impl NormalisationOps for Flex {
    fn kernel_batch_norm(
        x: FlexTensor,
        residual: Optional<Self>,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
        activation: Activation,
    ) -> Normalised<Self> {
        let _span = span("batch norm", [&x, &weight, &bias], || 0);
        let residual = residual.into_option();
        let (Some(numbers), Some(added)) =
            (Numbers::new([&x, &weight, &bias]), optional(&residual))
        else {
            return composed::batch_norm::<Self>(x, residual, weight, bias, epsilon, activation);
        };
        let maps = maps(&x);
        let added = added.as_ref().map(only);
        let values = numbers.slices();
        let result = forward::forward(maps, values, added, epsilon, activation);
        let computable = added.is_none() && activation != Activation::Identity;
        let [_, _, shift] = values;
        (
            tensor(result.output, x.shape()),
            tensor(result.mean, [maps.channels]),
            tensor(result.variance, [maps.channels]),
            computable.then(|| tensor([&result.scale[..], shift].concat(), [2, maps.channels])),
        )
    }

    fn kernel_batch_norm_backward(
        x: FlexTensor,
        weight: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        output: Optional<Self>,
        scaling: Optional<Self>,
        gradient: FlexTensor,
        epsilon: f64,
        activation: Activation,
        with_residual: bool,
    ) -> Four<Self> {
        let _span = span(
            "batch norm backward",
            [&x, &weight, &mean, &variance, &gradient],
            || 0,
        );
        let output = output.into_option();
        let scaling = scaling.into_option();
        let (Some(numbers), Some(out), Some(scales), true) = (
            Numbers::new([&x, &weight, &mean, &variance]),
            optional(&output),
            optional(&scaling),
            gradient.dtype() == DType::F32,
        ) else {
            return composed::batch_norm_backward::<Self>(
                [x, weight, mean, variance],
                output,
                scaling,
                gradient,
                epsilon,
                activation,
                with_residual,
            );
        };
        let [values, weight, mean, variance] = numbers.slices();
        let read = Read {
            x: values,
            centre: mean,
            output: match (&scales, &out) {
                (Some(scales), _) => Output::Computed(only(scales)),
                (None, Some(out)) => Output::Stored(only(out)),
                (None, None) => Output::Unasked,
            },
            activation,
        };
        gradients(&x, gradient, with_residual, |gradient| {
            backward::batch_norm(
                maps(&x),
                &read,
                gradient,
                weight,
                variance,
                epsilon,
                with_residual,
            )
        })
    }

    fn kernel_batch_norm_pair(
        x: FlexTensor,
        beside: FlexTensor,
        weight: FlexTensor,
        weight_beside: FlexTensor,
        bias: FlexTensor,
        bias_beside: FlexTensor,
        epsilon: f64,
        activation: Activation,
    ) -> NormalisedPair<Self> {
        let _span = span(
            "batch norm pair",
            [&x, &beside, &weight, &weight_beside, &bias, &bias_beside],
            || 0,
        );
        let all = [&x, &beside, &weight, &weight_beside, &bias, &bias_beside];
        let Some(numbers) = Numbers::new(all) else {
            return composed::batch_norm_pair::<Self>(
                [x, beside],
                [weight, weight_beside],
                [bias, bias_beside],
                epsilon,
                activation,
            );
        };
        let maps = maps(&x);
        let [x_values, beside, weight, weight_beside, bias, bias_beside] = numbers.slices();
        let result = pair::forward(
            maps,
            [x_values, beside],
            [weight, weight_beside],
            [bias, bias_beside],
            epsilon,
            activation,
        );
        let channels = [maps.channels];
        let [mean, mean_beside] = result.means.map(|values| tensor(values, channels));
        let [variance, variance_beside] = result.variances.map(|values| tensor(values, channels));
        (
            tensor(result.output, x.shape()),
            mean,
            mean_beside,
            variance,
            variance_beside,
        )
    }

    fn kernel_batch_norm_pair_backward(
        x: FlexTensor,
        beside: FlexTensor,
        weight: FlexTensor,
        weight_beside: FlexTensor,
        mean: FlexTensor,
        mean_beside: FlexTensor,
        variance: FlexTensor,
        variance_beside: FlexTensor,
        output: Optional<Self>,
        gradient: FlexTensor,
        epsilon: f64,
        activation: Activation,
    ) -> Five<Self> {
        let _span = span(
            "batch norm pair backward",
            [
                &x,
                &beside,
                &weight,
                &weight_beside,
                &mean,
                &mean_beside,
                &variance,
                &variance_beside,
                &gradient,
            ],
            || 0,
        );
        let output = output.into_option();
        let of_channels = [&weight, &mean, &variance];
        let of_beside = [&beside, &weight_beside, &mean_beside, &variance_beside];
        let (Some(numbers), Some(others), Some(out), true) = (
            Numbers::new(of_channels),
            Numbers::new(of_beside),
            optional(&output),
            x.dtype() == DType::F32 && gradient.dtype() == DType::F32,
        ) else {
            return composed::batch_norm_pair_backward::<Self>(
                [x, weight, mean, variance],
                [beside, weight_beside, mean_beside, variance_beside],
                output,
                gradient,
                epsilon,
                activation,
            );
        };
        let [weight, mean, variance] = numbers.slices();
        let [beside, weight_beside, mean_beside, variance_beside] = others.slices();
        let read = pair::ReadPair {
            beside,
            weights: [weight, weight_beside],
            means: [mean, mean_beside],
            variances: [variance, variance_beside],
            output: out.as_ref().map(only),
            epsilon,
            activation,
        };
        let maps = maps(&x);
        let (mut x, mut gradient) = (contiguous(x), contiguous(gradient));
        let result = pair::gradients(maps, &read, operand(&mut x), operand(&mut gradient));
        // What is not new lies in the operands' rooms.
        let [x, beside] = [(result.x, x), (result.beside, gradient)]
            .map(|(new, room)| new.map_or(room.clone(), |values| tensor(values, room.shape())));
        let channels = [maps.channels];
        let [weight, weight_beside] = result.weights.map(|values| tensor(values, channels));
        let bias = tensor(result.bias, channels);
        (x, beside, weight, weight_beside, bias)
    }

    fn kernel_channel_affine(
        x: FlexTensor,
        residual: Optional<Self>,
        scale: FlexTensor,
        shift: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        let _span = span("channel affine", [&x, &scale, &shift], || 0);
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
        let _span = span("channel affine backward", [&x, &scale, &gradient], || 0);
        let output = output.into_option();
        let (Some(numbers), Some(out), true) = (
            Numbers::new([&x, &scale]),
            optional(&output),
            gradient.dtype() == DType::F32,
        ) else {
            return composed::channel_affine_backward::<Self>(
                [x, scale],
                output,
                gradient,
                activation,
                with_residual,
            );
        };
        let [values, scale] = numbers.slices();
        let zero = vec![0.0; scale.len()];
        let read = Read {
            x: values,
            centre: &zero,
            output: match &out {
                Some(out) => Output::Stored(only(out)),
                None => Output::Unasked,
            },
            activation,
        };
        gradients(&x, gradient, with_residual, |gradient| {
            backward::channel_affine(maps(&x), &read, gradient, scale, with_residual)
        })
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

/// The numbers of a tensor, with their room if nobody else holds it.
fn operand(tensor: &mut FlexTensor) -> Operand<'_> {
    if tensor.is_unique() {
        Operand::Given(tensor.storage_mut())
    } else {
        Operand::Kept(tensor.storage())
    }
}

/// The gradients of an operation on `x`, of which `compute` makes its room the first result if
/// nobody else holds the gradient of the output.
fn gradients(
    x: &FlexTensor,
    gradient: FlexTensor,
    with_residual: bool,
    compute: impl FnOnce(Operand<'_>) -> backward::Gradients,
) -> Four<Flex> {
    let mut gradient = contiguous(gradient);
    let result = compute(operand(&mut gradient));
    let channels = [x.shape()[1]];
    let whole = |values| tensor(values, x.shape());
    // What is not new lies in the gradient's room.
    let (dx, residual) = match (result.x, result.residual) {
        (None, _) => (gradient, None),
        (Some(dx), None) if with_residual => (whole(dx), Some(gradient)),
        (Some(dx), residual) => (whole(dx), residual.map(whole)),
    };
    (
        dx,
        residual,
        tensor(result.weight, channels),
        tensor(result.bias, channels),
    )
}
