//! Log-probabilities of pixels on the CPU backend.

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::DType,
};

use super::{
    composed,
    maps::{self, Sizes},
    ops::LikelihoodOps,
};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl LikelihoodOps for Flex {
    fn kernel_pixel_log_likelihood(
        logits: FlexTensor,
        classes: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("pixel log likelihood", [&logits, &classes], || 0);
        let (Some(numbers), Some(ids)) = (Numbers::new([&logits]), ids(&classes)) else {
            return composed::forward::<Self>(logits, classes);
        };
        let [values] = numbers.slices();
        let [likelihoods, logarithms] = maps::forward(values, &ids, sizes(&logits));
        let shape = classes.shape();
        (
            tensor(likelihoods, shape.clone()),
            tensor(logarithms, shape),
        )
    }

    fn kernel_pixel_log_likelihood_backward(
        logits: FlexTensor,
        classes: FlexTensor,
        logarithms: FlexTensor,
        gradient: FlexTensor,
    ) -> FlexTensor {
        let _span = span(
            "pixel log likelihood backward",
            [&logits, &classes, &logarithms, &gradient],
            || 0,
        );
        let numbers = Numbers::new([&logits, &logarithms, &gradient]);
        let (Some(numbers), Some(ids)) = (numbers, ids(&classes)) else {
            return composed::backward::<Self>(logits, classes, logarithms, gradient);
        };
        let [values, logarithms, gradient] = numbers.slices();
        let of_logits = maps::backward(values, &ids, logarithms, gradient, sizes(&logits));
        tensor(of_logits, logits.shape())
    }
}

/// Classes as numbers, if all are from 0 to 65,535.
fn ids(classes: &FlexTensor) -> Option<Vec<u16>> {
    let classes = classes.to_contiguous();
    match classes.dtype() {
        DType::I64 => narrowed(classes.storage::<i64>()),
        DType::I32 => narrowed(classes.storage::<i32>()),
        _ => None,
    }
}

fn narrowed<T: Copy + TryInto<u16>>(classes: &[T]) -> Option<Vec<u16>> {
    classes.iter().map(|&class| class.try_into().ok()).collect()
}

fn sizes(logits: &FlexTensor) -> Sizes {
    let [batch, classes, height, width] = logits.shape().dims();
    Sizes {
        batch,
        classes,
        pixels: height * width,
    }
}
