//! Squared errors on the CPU backend.

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::DType,
};

use super::{
    PyramidLevel, SquaredErrorOps, composed,
    pieces::{self, Pyramid},
};
use crate::{
    flex::{Numbers, contiguous, tensor},
    profile::span,
};

impl SquaredErrorOps for Flex {
    fn kernel_squared_error(
        a: FlexTensor,
        b: FlexTensor,
        levels: Vec<PyramidLevel>,
        with_slopes: bool,
    ) -> (FlexTensor, Option<FlexTensor>) {
        let _span = span("squared error", [&a, &b], || 0);
        let Some(numbers) = Numbers::new([&a, &b]) else {
            return composed::squared_error::<Self>(a, b, &levels, with_slopes);
        };
        let shape = a.shape();
        let pyramid = match levels.is_empty() {
            true => Pyramid::flat(shape.num_elements()),
            false => Pyramid::new(shape.dims(), &levels),
        };
        let (error, slopes) = pieces::squared_error(&pyramid, numbers.slices(), with_slopes);
        (
            tensor(vec![error as f32], [1]),
            slopes.map(|slopes| tensor(slopes, shape)),
        )
    }

    fn kernel_squared_error_backward(slopes: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let _span = span("squared error backward", [&slopes, &gradient], || 0);
        let (Some(factor), DType::F32) = (Numbers::new([&gradient]), slopes.dtype()) else {
            return composed::scale::<Self>(slopes, gradient);
        };
        let [factor] = factor.slices();
        let mut slopes = contiguous(slopes);
        // Overwritten where nobody else holds them.
        pieces::scale(slopes.storage_mut(), factor.iter().sum());
        slopes
    }
}
