//! Operations on tokens on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{
    composed,
    depthwise::{self, Sizes},
    ops::TokenOps,
    patches::{self, Patches},
    transpose::transposed,
};
use crate::{
    activation::Activation,
    flex::{Numbers, tensor},
    normalisation,
    profile::span,
};

impl TokenOps for Flex {
    fn kernel_transpose(x: FlexTensor) -> FlexTensor {
        let _span = span("transpose", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::transpose::<Self>(x);
        };
        let [values] = numbers.slices();
        let [batch, rows, columns] = x.shape().dims();
        tensor(transposed(values, [rows, columns]), [batch, columns, rows])
    }

    fn kernel_token_patches(x: FlexTensor, grid: [usize; 2], side: usize) -> FlexTensor {
        let _span = span("token patches", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::patches::<Self>(x, grid, side);
        };
        let [values] = numbers.slices();
        let [batch, _, channels] = x.shape().dims();
        let sizes = Patches {
            batch,
            grid,
            side,
            channels,
        };
        let shape = [batch, sizes.count(), sizes.length()];
        tensor(patches::cut(values, sizes), shape)
    }

    fn kernel_token_patches_backward(
        gradient: FlexTensor,
        grid: [usize; 2],
        side: usize,
    ) -> FlexTensor {
        let _span = span("token patches backward", [&gradient], || 0);
        let Some(numbers) = Numbers::new([&gradient]) else {
            return composed::patches_backward::<Self>(gradient, grid, side);
        };
        let [values] = numbers.slices();
        let [batch, _, length] = gradient.shape().dims();
        let sizes = Patches {
            batch,
            grid,
            side,
            channels: length / (side * side),
        };
        let shape = [batch, grid[0] * grid[1], sizes.channels];
        tensor(patches::put_back(values, sizes), shape)
    }

    fn kernel_depthwise_tokens(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        grid: [usize; 2],
    ) -> FlexTensor {
        let identity = Activation::Identity;
        Self::kernel_depthwise_tokens_with(x, weight, bias, grid, identity)
    }

    fn kernel_depthwise_tokens_with(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        grid: [usize; 2],
        activation: Activation,
    ) -> FlexTensor {
        let _span = span("depthwise tokens", [&x, &weight, &bias], || {
            9 * x.shape().num_elements()
        });
        let Some(numbers) = Numbers::new([&x, &weight, &bias]) else {
            let y = composed::depthwise::<Self>(x, weight, bias, grid);
            return normalisation::finish::<Self>(y, None, activation);
        };
        let [values, weight, bias] = numbers.slices();
        let sizes = sizes(&x, grid);
        let y = depthwise::forward(values, weight, bias, sizes, activation);
        tensor(y, x.shape())
    }

    fn kernel_depthwise_tokens_backward(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        grid: [usize; 2],
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let _span = span(
            "depthwise tokens backward",
            [&x, &weight, &gradient],
            || 18 * x.shape().num_elements(),
        );
        let Some(numbers) = Numbers::new([&x, &weight, &gradient]) else {
            return composed::depthwise_backward::<Self>(x, weight, gradient, grid);
        };
        let [values, factors, gradients] = numbers.slices();
        let sizes = sizes(&x, grid);
        let of_x = depthwise::input_gradient(gradients, factors, sizes);
        let [of_weight, of_bias] = depthwise::weight_gradient(values, gradients, sizes);
        (
            tensor(of_x, x.shape()),
            tensor(of_weight, weight.shape()),
            tensor(of_bias, [sizes.channels]),
        )
    }
}

fn sizes(x: &FlexTensor, grid: [usize; 2]) -> Sizes {
    let [batch, _, channels] = x.shape().dims();
    Sizes {
        batch,
        grid,
        channels,
    }
}
