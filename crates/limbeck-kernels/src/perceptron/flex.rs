//! Perceptrons on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{Five, PerceptronOps, composed, rows};
use crate::{
    flex::{Numbers, tensor},
    linear::flex::{images_scaled, shares_of, single},
    optional::Optional,
    product::{Matrix, Onto, product, transposed_product},
    profile::span,
};

impl PerceptronOps for Flex {
    fn kernel_perceptron(
        x: FlexTensor,
        first: FlexTensor,
        first_bias: FlexTensor,
        second: FlexTensor,
        second_bias: FlexTensor,
        residual: FlexTensor,
        shares: Optional<Self>,
    ) -> FlexTensor {
        let maps = [first, first_bias, second, second_bias];
        forward(x, maps, residual, shares.into_option(), false).0
    }

    fn kernel_perceptron_kept(
        x: FlexTensor,
        first: FlexTensor,
        first_bias: FlexTensor,
        second: FlexTensor,
        second_bias: FlexTensor,
        residual: FlexTensor,
        shares: Optional<Self>,
    ) -> (FlexTensor, FlexTensor) {
        let maps = [first, first_bias, second, second_bias];
        forward(x, maps, residual, shares.into_option(), true)
    }

    fn kernel_perceptron_backward(
        x: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        given: FlexTensor,
        gradient: FlexTensor,
        shares: Optional<Self>,
    ) -> Five<Self> {
        let _span = span(
            "perceptron backward",
            [&x, &first, &second, &given, &gradient],
            || 2 * products(&x, &first, &second),
        );
        let shares = shares.into_option();
        let numbers = Numbers::new([&x, &first, &second, &given, &gradient]);
        let Some(numbers) = numbers.filter(|_| single(shares.as_ref())) else {
            return composed::backward::<Self>(x, [first, second], given, gradient, shares);
        };
        let [values, first_weight, second_weight, given, gradients] = numbers.slices();
        let [inner, inputs] = first.shape().dims();
        let [outputs, _] = second.shape().dims();
        let count = gradients.len() / outputs.max(1);
        let scaled = shares.map(|shares| images_scaled(gradients, &shares));
        let gradients = scaled.as_deref().unwrap_or(gradients);
        let gradients = Matrix::new(gradients, count, outputs);
        let second_weight = Matrix::new(second_weight, outputs, inner);
        let (of_given, activated) = rows::backward(gradients, second_weight, given);
        let activated = Matrix::new(&activated, count, inner);
        let (of_second, of_second_bias) = transposed_product(gradients, activated);
        let of_given = Matrix::new(&of_given, count, inner);
        let first_weight = Matrix::new(first_weight, inner, inputs);
        let of_x = product(of_given, first_weight, None);
        let (of_first, of_first_bias) =
            transposed_product(of_given, Matrix::new(values, count, inputs));
        (
            tensor(of_x, x.shape()),
            tensor(of_first, first.shape()),
            tensor(of_first_bias, [inner]),
            tensor(of_second, second.shape()),
            tensor(of_second_bias, [outputs]),
        )
    }
}

/// Multiply-adds of both maps.
fn products(x: &FlexTensor, first: &FlexTensor, second: &FlexTensor) -> usize {
    let [inner, inputs] = first.shape().dims();
    let [outputs, _] = second.shape().dims();
    x.shape().num_elements() / inputs.max(1) * inner * (inputs + outputs)
}

/// Output, and what the unit was given; that is empty unless it is `kept`.
fn forward(
    x: FlexTensor,
    maps: [FlexTensor; 4],
    residual: FlexTensor,
    shares: Option<FlexTensor>,
    kept: bool,
) -> (FlexTensor, FlexTensor) {
    let [first, first_bias, second, second_bias] = &maps;
    let _span = span("perceptron", [&x, first, second, &residual], || {
        products(&x, first, second)
    });
    let numbers = Numbers::new([&x, first, first_bias, second, second_bias, &residual]);
    let Some(numbers) = numbers.filter(|_| single(shares.as_ref())) else {
        return composed::forward::<Flex>(x, maps, residual, shares);
    };
    let [
        values,
        first_weight,
        first_bias,
        second_weight,
        second_bias,
        onto,
    ] = numbers.slices();
    let [batch, tokens, inputs] = x.shape().dims();
    let ([inner, _], [outputs, _]) = (first.shape().dims(), second.shape().dims());
    let shares = shares.map(|shares| shares.to_contiguous());
    let maps = rows::Maps {
        first: Matrix::new(first_weight, inner, inputs).transposed(),
        first_bias,
        second: Matrix::new(second_weight, outputs, inner).transposed(),
        second_bias,
    };
    let onto = Onto {
        residual: onto,
        shares: shares.as_ref().map(|shares| shares_of(shares, tokens)),
        first: 0,
    };
    let x = Matrix::new(values, batch * tokens, inputs);
    let (output, given) = rows::forward(x, maps, onto, kept);
    let inner = if kept { inner } else { 0 };
    (
        tensor(output, [batch, tokens, outputs]),
        tensor(given, [batch, tokens, inner]),
    )
}
