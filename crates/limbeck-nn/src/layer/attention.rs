//! Multi-head self-attention.

use std::ops::Range;

use burn::tensor::{Tensor, activation::softmax};
use limbeck_kernels::{attention, self_attention};

use crate::{Builder, Feature, Init, Pass, layer::Linear};

/// Self-attention with timm's names: `qkv` `[3D, D]` (queries, keys, values, each cut into heads)
/// and `proj` `[D, D]`.
///
/// Vaswani et al. "Attention Is All You Need". NeurIPS 2017, section 3.2.
#[derive(Clone, Copy, Debug)]
pub struct SelfAttention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl SelfAttention {
    /// `heads` divides `width`. Weights are drawn from `init`, biases are zero.
    pub fn new(mut builder: Builder<'_>, width: usize, heads: usize, init: Init) -> Self {
        let zero = Some(Init::Constant(0.0));
        Self {
            qkv: Linear::with_init(builder.sub("qkv"), width, 3 * width, init, zero),
            proj: Linear::with_init(builder.sub("proj"), width, width, init, zero),
            heads,
        }
    }

    /// `[B, N, D]` → `[B, N, D]`; records the probabilities `[B, heads, N, N]` as `tap`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>, tap: &str) -> Tensor<3> {
        let mixed = self.mix(pass, x, tap, |_, _| ());
        self.proj.forward(pass, mixed)
    }

    /// The map `proj` of what [`SelfAttention::mix`] gives, added to `residual` as by
    /// [`Linear::forward_onto`].
    pub fn project_onto(
        &self,
        pass: &mut Pass<'_>,
        mixed: Tensor<3>,
        residual: Tensor<3>,
        drop_path: f64,
    ) -> Tensor<3> {
        self.proj.forward_onto(pass, mixed, residual, drop_path)
    }

    /// The values as each token mixes them, the heads side by side, `[B, N, D]`. `show` sees queries, keys
    /// and values one after the other, `[B, N, 3 · D]`, the heads of each side by side.
    pub fn mix(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        tap: &str,
        show: impl FnOnce(&mut Pass<'_>, &Tensor<3>),
    ) -> Tensor<3> {
        let shape = x.dims();
        let [batch, tokens, width] = shape;
        let per_head = width / self.heads;
        let qkv = self.qkv.forward(pass, x);
        show(pass, &qkv);
        if !pass.wants(tap) {
            // Two products of the tokens with each other.
            let macs = batch * tokens * tokens * width;
            pass.count(2 * macs, batch * tokens * (self.heads * tokens + width));
            return match pass.is_counting() {
                true => Tensor::zeros(shape, (pass.device(), pass.dtype())),
                false => self_attention(qkv, self.heads),
            };
        }
        let qkv = qkv
            .reshape([batch, tokens, 3, self.heads, per_head])
            .permute([2, 0, 3, 1, 4]);
        let part = |index: usize| {
            qkv.clone()
                .narrow(0, index, 1)
                .reshape([batch, self.heads, tokens, per_head])
        };
        let (queries, keys, values) = (part(0), part(1), part(2));
        let scale = 1.0 / (per_head as f64).sqrt();
        let scores = pass.matmul(queries.mul_scalar(scale), keys.transpose());
        let probabilities = softmax(scores, 3);
        pass.tap(tap, || Feature::Attention(probabilities.clone()));
        pass.matmul(probabilities, values)
            .swap_dims(1, 2)
            .reshape([batch, tokens, width])
    }

    /// [`SelfAttention::mix`] of some of the tokens alone, which attend to all: `[B, N, D]` →
    /// `[B, tokens, D]`. Records nothing.
    pub fn mix_of(&self, pass: &mut Pass<'_>, x: Tensor<3>, tokens: Range<usize>) -> Tensor<3> {
        let [batch, all, width] = x.dims();
        let asking = x.clone().narrow(1, tokens.start, tokens.len());
        let queries = self.qkv.forward_part(pass, asking, 0..width);
        let keys_values = self.qkv.forward_part(pass, x, width..3 * width);
        let written = batch * tokens.len() * (self.heads * all + width);
        pass.count(2 * batch * tokens.len() * all * width, written);
        match pass.is_counting() {
            true => queries,
            false => attention(queries, keys_values, self.heads),
        }
    }
}
