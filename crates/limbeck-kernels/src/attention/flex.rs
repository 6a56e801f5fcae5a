//! Attention on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{
    AttentionOps, Read, Sizes,
    backward::{Saved, backward_apart, backward_joined},
    composed,
    forward::forward,
};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl AttentionOps for Flex {
    fn kernel_self_attention(qkv: FlexTensor, heads: usize) -> (FlexTensor, FlexTensor) {
        let _span = span("self attention", [&qkv], || {
            2 * Sizes::of_tokens(qkv.shape().dims(), heads).products()
        });
        let Some(numbers) = Numbers::new([&qkv]) else {
            return composed::self_forward::<Self>(qkv, heads);
        };
        let sizes = Sizes::of_tokens(qkv.shape().dims(), heads);
        let [values] = numbers.slices();
        given(sizes, forward(sizes, Read::joined(values, sizes)))
    }

    fn kernel_self_attention_backward(
        qkv: FlexTensor,
        output: FlexTensor,
        logarithms: FlexTensor,
        gradient: FlexTensor,
        heads: usize,
    ) -> FlexTensor {
        let _span = span(
            "self attention backward",
            [&qkv, &output, &logarithms, &gradient],
            || 5 * Sizes::of_tokens(qkv.shape().dims(), heads).products(),
        );
        let Some(numbers) = Numbers::new([&qkv, &output, &logarithms, &gradient]) else {
            return composed::self_backward::<Self>(qkv, output, logarithms, gradient, heads);
        };
        let [values, output, logarithms, gradient] = numbers.slices();
        let sizes = Sizes::of_tokens(qkv.shape().dims(), heads);
        let saved = Saved {
            read: Read::joined(values, sizes),
            output,
            logarithms,
            gradient,
        };
        tensor(backward_joined(sizes, saved), qkv.shape())
    }

    fn kernel_attention(
        queries: FlexTensor,
        keys_values: FlexTensor,
        heads: usize,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("attention", [&queries, &keys_values], || {
            2 * sizes_of(&queries, &keys_values, heads).products()
        });
        let Some(numbers) = Numbers::new([&queries, &keys_values]) else {
            return composed::forward::<Self>(queries, keys_values, heads);
        };
        let sizes = sizes_of(&queries, &keys_values, heads);
        let [queries, keys_values] = numbers.slices();
        let read = Read::apart(queries, keys_values, sizes);
        given(sizes, forward(sizes, read))
    }

    fn kernel_attention_backward(
        queries: FlexTensor,
        keys_values: FlexTensor,
        output: FlexTensor,
        logarithms: FlexTensor,
        gradient: FlexTensor,
        heads: usize,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span(
            "attention backward",
            [&queries, &keys_values, &output, &logarithms, &gradient],
            || 5 * sizes_of(&queries, &keys_values, heads).products(),
        );
        let tensors = [&queries, &keys_values, &output, &logarithms, &gradient];
        let Some(numbers) = Numbers::new(tensors) else {
            let saved = [output, logarithms, gradient];
            return composed::backward::<Self>(queries, keys_values, saved, heads);
        };
        let shapes = [queries.shape(), keys_values.shape()];
        let sizes = sizes_of(&queries, &keys_values, heads);
        let [queries, keys_values, output, logarithms, gradient] = numbers.slices();
        let saved = Saved {
            read: Read::apart(queries, keys_values, sizes),
            output,
            logarithms,
            gradient,
        };
        let [of_queries, of_keys] = backward_apart(sizes, saved);
        let [queries, keys] = shapes;
        (tensor(of_queries, queries), tensor(of_keys, keys))
    }
}

fn sizes_of(queries: &FlexTensor, keys_values: &FlexTensor, heads: usize) -> Sizes {
    Sizes::new(queries.shape().dims(), keys_values.shape()[1], heads)
}

/// Output and logarithms as tensors.
fn given(sizes: Sizes, (output, logarithms): (Vec<f32>, Vec<f32>)) -> (FlexTensor, FlexTensor) {
    (
        tensor(output, [sizes.batch, sizes.tokens, sizes.width()]),
        tensor(logarithms, [sizes.batch, sizes.tokens, sizes.heads]),
    )
}
