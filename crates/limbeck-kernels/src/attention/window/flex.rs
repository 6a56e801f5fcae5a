//! Attention in windows on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{
    ProjectionOrder, Sizes, WindowAttentionOps, Windows,
    backward::{Saved, backward},
    composed,
    forward::forward,
};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl WindowAttentionOps for Flex {
    fn kernel_window_attention(
        qkv: FlexTensor,
        bias: FlexTensor,
        windows: Windows,
        order: ProjectionOrder,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("window attention", [&qkv, &bias], || {
            2 * Sizes::new(qkv.shape().dims(), bias.shape()[0], windows, order).products()
        });
        let Some(numbers) = Numbers::new([&qkv, &bias]) else {
            return composed::forward::<Self>(qkv, bias, windows, order);
        };
        let sizes = Sizes::new(qkv.shape().dims(), bias.shape()[0], windows, order);
        let [qkv, bias] = numbers.slices();
        let (output, logarithms) = forward(sizes, qkv, bias);
        let [batch, tokens] = [sizes.batch, sizes.all_tokens()];
        (
            tensor(output, [batch, tokens, sizes.width()]),
            tensor(logarithms, [batch, tokens, sizes.heads]),
        )
    }

    fn kernel_window_attention_backward(
        qkv: FlexTensor,
        bias: FlexTensor,
        logarithms: FlexTensor,
        gradient: FlexTensor,
        windows: Windows,
        order: ProjectionOrder,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span(
            "window attention backward",
            [&qkv, &bias, &logarithms, &gradient],
            || 5 * Sizes::new(qkv.shape().dims(), bias.shape()[0], windows, order).products(),
        );
        let Some(numbers) = Numbers::new([&qkv, &bias, &logarithms, &gradient]) else {
            let saved = [logarithms, gradient];
            return composed::backward::<Self>(qkv, bias, saved, windows, order);
        };
        let shapes = [qkv.shape(), bias.shape()];
        let sizes = Sizes::new(qkv.shape().dims(), bias.shape()[0], windows, order);
        let [qkv, bias, logarithms, gradient] = numbers.slices();
        let saved = Saved {
            qkv,
            bias,
            logarithms,
            gradient,
        };
        let [of_qkv, of_bias] = backward(sizes, saved);
        let [qkv, bias] = shapes;
        (tensor(of_qkv, qkv), tensor(of_bias, bias))
    }
}
