//! Linear maps on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{LinearOps, composed};
use crate::{
    flex::{Numbers, tensor},
    product::{Matrix, product, transposed_product},
    profile::span,
};

/// `[…, columns]` as a matrix.
fn rows(numbers: &[f32], columns: usize) -> Matrix<'_> {
    Matrix::new(numbers, numbers.len() / columns.max(1), columns)
}

fn elements(x: &FlexTensor) -> usize {
    x.shape().num_elements()
}

fn last(x: &FlexTensor) -> usize {
    let shape = x.shape();
    shape[shape.num_dims() - 1]
}

/// The rows of `x` times `right`, plus the bias.
fn map(x: &FlexTensor, numbers: &[f32], right: Matrix<'_>, bias: Option<&[f32]>) -> FlexTensor {
    let mut shape = x.shape();
    let axis = shape.num_dims() - 1;
    shape[axis] = right.columns;
    tensor(product(rows(numbers, right.rows), right, bias), shape)
}

impl LinearOps for Flex {
    fn kernel_linear(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let _span = span("linear", [&x, &weight], || elements(&x) * weight.shape()[0]);
        let Some(numbers) = Numbers::new([&x, &weight]) else {
            return composed::linear::<Self>(x, weight);
        };
        let [values, factors] = numbers.slices();
        map(&x, values, rows(factors, last(&weight)).transposed(), None)
    }

    fn kernel_linear_with_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let _span = span("linear with bias", [&x, &weight, &bias], || {
            elements(&x) * weight.shape()[0]
        });
        let Some(numbers) = Numbers::new([&x, &weight, &bias]) else {
            return composed::linear_with_bias::<Self>(x, weight, bias);
        };
        let [values, factors, bias] = numbers.slices();
        let right = rows(factors, last(&weight)).transposed();
        map(&x, values, right, Some(bias))
    }

    fn kernel_linear_input_gradient(weight: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let _span = span("linear input gradient", [&weight, &gradient], || {
            elements(&gradient) * last(&weight)
        });
        let Some(numbers) = Numbers::new([&weight, &gradient]) else {
            return composed::input_gradient::<Self>(weight, gradient);
        };
        let [factors, values] = numbers.slices();
        map(&gradient, values, rows(factors, last(&weight)), None)
    }

    fn kernel_linear_weight_gradient(
        x: FlexTensor,
        gradient: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("linear weight gradient", [&x, &gradient], || {
            elements(&x) * last(&gradient)
        });
        let Some(numbers) = Numbers::new([&x, &gradient]) else {
            return composed::weight_gradient::<Self>(x, gradient);
        };
        let [values, gradients] = numbers.slices();
        let (inputs, outputs) = (last(&x), last(&gradient));
        let (weight, bias) = transposed_product(rows(gradients, outputs), rows(values, inputs));
        (tensor(weight, [outputs, inputs]), tensor(bias, [outputs]))
    }
}
