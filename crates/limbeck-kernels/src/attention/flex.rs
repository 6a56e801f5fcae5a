//! Attention on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{
    AttentionOps, Sizes,
    backward::{Saved, backward},
    composed,
    forward::forward,
};
use crate::flex::{Numbers, tensor};

impl AttentionOps for Flex {
    fn kernel_self_attention(qkv: FlexTensor, heads: usize) -> (FlexTensor, FlexTensor) {
        let Some(numbers) = Numbers::new([&qkv]) else {
            return composed::forward::<Self>(qkv, heads);
        };
        let sizes = Sizes::new(qkv.shape().dims(), heads);
        let [values] = numbers.slices();
        let (output, logarithms) = forward(sizes, values);
        (
            tensor(output, [sizes.batch, sizes.tokens, sizes.width()]),
            tensor(logarithms, [sizes.batch, sizes.tokens, heads]),
        )
    }

    fn kernel_self_attention_backward(
        qkv: FlexTensor,
        output: FlexTensor,
        logarithms: FlexTensor,
        gradient: FlexTensor,
        heads: usize,
    ) -> FlexTensor {
        let Some(numbers) = Numbers::new([&qkv, &output, &logarithms, &gradient]) else {
            return composed::backward::<Self>(qkv, output, logarithms, gradient, heads);
        };
        let [values, output, logarithms, gradient] = numbers.slices();
        let saved = Saved {
            qkv: values,
            output,
            logarithms,
            gradient,
        };
        let sizes = Sizes::new(qkv.shape().dims(), heads);
        tensor(backward(sizes, saved), qkv.shape())
    }
}
