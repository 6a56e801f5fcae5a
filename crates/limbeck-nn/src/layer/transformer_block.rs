//! The block that vision transformers are made of.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{LayerNorm, Linear, Perceptron, SelfAttention};
use crate::{Builder, Init, Pass};

/// Shape of a [`TransformerBlock`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransformerBlockConfig {
    /// Length D of a token.
    pub width: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Neurons of the perceptron.
    pub inner: usize,
    /// Added to variances in layer norms.
    pub epsilon: f64,
    /// How weights are drawn; biases are zero.
    pub init: Init,
    /// Probability with which training omits each of the two branches.
    pub drop_path: f64,
}

/// Self-attention and a perceptron with an exact GELU, each behind a layer norm and added to what
/// it reads: `norm1`, `attn.qkv`, `attn.proj`, `norm2`, `mlp.fc1`, `mlp.fc2`, as in timm.
///
/// Dosovitskiy et al. "An Image Is Worth 16×16 Words". ICLR 2021, equations 2 and 3.
#[derive(Clone, Copy, Debug)]
pub struct TransformerBlock {
    norm1: LayerNorm,
    attention: SelfAttention,
    norm2: LayerNorm,
    perceptron: Perceptron,
    drop_path: f64,
}

impl TransformerBlock {
    /// Makes the parameters at the builder's level.
    pub fn new(mut builder: Builder<'_>, config: TransformerBlockConfig) -> Self {
        let TransformerBlockConfig {
            width,
            heads,
            inner,
            epsilon,
            init,
            drop_path,
        } = config;
        let zero = Some(Init::Constant(0.0));
        Self {
            norm1: LayerNorm::new(builder.sub("norm1"), width, epsilon),
            attention: SelfAttention::new(builder.sub("attn"), width, heads, init),
            norm2: LayerNorm::new(builder.sub("norm2"), width, epsilon),
            perceptron: Perceptron::new(
                Linear::with_init(builder.sub("mlp.fc1"), width, inner, init, zero),
                Linear::with_init(builder.sub("mlp.fc2"), inner, width, init, zero),
            ),
            drop_path,
        }
    }

    /// `[B, N, D]` → the same shape; records the attention's probabilities as `attention_tap`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>, attention_tap: &str) -> Tensor<3> {
        self.forward_showing(pass, x, attention_tap, |_, _| ())
    }

    /// The same; `show` sees what [`SelfAttention::mix`] shows.
    pub fn forward_showing(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        attention_tap: &str,
        show: impl FnOnce(&mut Pass<'_>, &Tensor<3>),
    ) -> Tensor<3> {
        let y = self.norm1.forward(pass, x.clone());
        let y = self.attention.mix(pass, y, attention_tap, show);
        let x = self.attention.project_onto(pass, y, x, self.drop_path);
        self.perceive(pass, x)
    }

    /// Some of the tokens alone, which attend to all: `[B, N, D]` → `[B, tokens, D]`, the numbers that
    /// [`TransformerBlock::forward`] has for these. For a last block of which no others are read.
    pub fn forward_of(&self, pass: &mut Pass<'_>, x: Tensor<3>, tokens: Range<usize>) -> Tensor<3> {
        let y = self.norm1.forward(pass, x.clone());
        let y = self.attention.mix_of(pass, y, tokens.clone());
        let x = x.narrow(1, tokens.start, tokens.len());
        let x = self.attention.project_onto(pass, y, x, self.drop_path);
        self.perceive(pass, x)
    }

    /// The second branch, added to what it reads.
    fn perceive(&self, pass: &mut Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let y = self.norm2.forward(pass, x.clone());
        self.perceptron.forward_onto(pass, y, x, self.drop_path)
    }
}
