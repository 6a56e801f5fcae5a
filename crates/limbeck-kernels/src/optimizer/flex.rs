//! The steps' fast paths on the CPU backend.

use burn::{
    backend::{
        Flex,
        flex::{FlexTensor, Layout},
    },
    tensor::{Bytes, DType},
};

use super::{
    AdamWStep, SgdStep, composed,
    ops::OptimizerOps,
    span::{self, AdamW, MovingAverage, Pass, Sgd},
};
use crate::{
    flex::{Numbers, contiguous, tensor},
    optional::Optional,
    profile::span,
};

impl OptimizerOps for Flex {
    fn kernel_sgd_step(
        value: FlexTensor,
        gradient: FlexTensor,
        momentum: Optional<Self>,
        step: SgdStep,
    ) -> (FlexTensor, Option<FlexTensor>) {
        let _span = span("sgd step", [&value, &gradient], || 0);
        let momentum = momentum.into_option();
        let single = [&value].into_iter().chain(&momentum).all(is_single);
        let Some(numbers) = Numbers::new([&gradient]).filter(|_| single) else {
            return composed::sgd_step::<Self>(value, gradient, momentum, step);
        };
        let [numbers] = numbers.slices();
        let first = momentum.is_none();
        let mut value = contiguous(value);
        let mut momentum = (step.momentum != 0.0).then(|| match momentum {
            Some(momentum) => contiguous(momentum),
            None => tensor(vec![0.0; numbers.len()], [numbers.len()]),
        });
        Sgd {
            value: value.storage_mut(),
            gradient: numbers,
            momentum: momentum.as_mut().map(FlexTensor::storage_mut),
            first,
            step,
        }
        .make();
        (value, momentum)
    }

    fn kernel_adamw_step(
        value: FlexTensor,
        gradient: FlexTensor,
        mean: FlexTensor,
        square: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let _span = span("adamw step", [&value, &gradient, &mean, &square], || 0);
        let single = [&value, &mean, &square].into_iter().all(is_single);
        let Some(numbers) = Numbers::new([&gradient]).filter(|_| single) else {
            return composed::adamw_step::<Self>([value, gradient, mean, square], step);
        };
        let [mut value, mut mean, mut square] = [value, mean, square].map(contiguous);
        let [gradient] = numbers.slices();
        AdamW {
            value: value.storage_mut(),
            gradient,
            mean: mean.storage_mut(),
            square: square.storage_mut(),
            step,
        }
        .make();
        (value, mean, square)
    }

    fn kernel_moving_average(average: FlexTensor, value: FlexTensor, decay: f64) -> FlexTensor {
        let _span = span("moving average", [&average, &value], || 0);
        let single = is_single(&average);
        let Some(numbers) = Numbers::new([&value]).filter(|_| single) else {
            return composed::moving_average::<Self>(average, value, decay);
        };
        let [value] = numbers.slices();
        let mut average = contiguous(average);
        MovingAverage {
            average: average.storage_mut(),
            value,
            decay,
        }
        .make();
        average
    }

    fn kernel_sum_of_squares(x: FlexTensor) -> FlexTensor {
        let _span = span("sum of squares", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::sum_of_squares::<Self>(x);
        };
        let [x] = numbers.slices();
        FlexTensor::new(
            Bytes::from_elems(vec![span::sum_of_squares(x)]),
            Layout::contiguous([1].into()),
            DType::F64,
        )
    }
}

fn is_single(tensor: &FlexTensor) -> bool {
    tensor.dtype() == DType::F32
}
