//! Attention whose keys and values are taken from a smaller map.

use burn::tensor::{Tensor, activation::softmax};
use limbeck_kernels::attention;

use super::{LayerNorm, Linear, PatchTokens};
use crate::{Builder, Feature, Init, Pass};

/// PyTorch's default, which the norm behind the reduction keeps.
const EPSILON: f64 = 1e-5;

/// Shape of a [`ReducedAttention`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReducedAttentionConfig {
    /// Length D of a token.
    pub width: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Side of the square of tokens that makes one key; 1 takes every token as it is.
    pub reduction: usize,
    /// How linear maps are drawn; biases are zero.
    pub init: Init,
}

/// Self-attention with sequence reduction: queries `q` `[D, D]` of all tokens, keys and values `kv`
/// `[2D, D]` (keys first) of the map that a convolution `sr` with its stride as kernel and the layer
/// norm `norm` make of them, and `proj` `[D, D]`.
///
/// Xie et al. "SegFormer". NeurIPS 2021, section 3.1, equation 2; Wang et al. "Pyramid Vision
/// Transformer". ICCV 2021, section 3.3. State-dict names are SegFormer's.
#[derive(Clone, Copy, Debug)]
pub struct ReducedAttention {
    q: Linear,
    kv: Linear,
    proj: Linear,
    reduction: Option<(PatchTokens, LayerNorm)>,
    config: ReducedAttentionConfig,
}

impl ReducedAttention {
    /// Makes the parameters at the builder's level.
    pub fn new(mut builder: Builder<'_>, config: ReducedAttentionConfig) -> Self {
        let ReducedAttentionConfig {
            width,
            reduction: side,
            init,
            ..
        } = config;
        let zero = Init::Constant(0.0);
        let q = Linear::with_init(builder.sub("q"), width, width, init, Some(zero));
        let kv = Linear::with_init(builder.sub("kv"), width, 2 * width, init, Some(zero));
        let proj = Linear::with_init(builder.sub("proj"), width, width, init, Some(zero));
        let reduction = (side > 1).then(|| {
            let patches = PatchTokens::new(builder.sub("sr"), width, width, side);
            let norm = LayerNorm::new(builder.sub("norm"), width, EPSILON);
            (patches, norm)
        });
        Self {
            q,
            kv,
            proj,
            reduction,
            config,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → the same shape, added to `residual` as by
    /// [`Linear::forward_onto`]; records the probabilities `[B, heads, N, keys]` as `tap`, where there is one.
    pub fn forward_onto(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        residual: Tensor<3>,
        grid: [usize; 2],
        drop_path: f64,
        tap: Option<&str>,
    ) -> Tensor<3> {
        let shape = x.dims();
        let queries = self.q.forward(pass, x.clone());
        let reduced = self.reduce(pass, x, grid);
        let keys_values = self.kv.forward(pass, reduced);
        let tap = tap.filter(|tap| pass.wants(tap));
        let mixed = if pass.is_counting() {
            self.count(pass, shape, keys_values.dims()[1], tap);
            queries
        } else {
            match tap {
                Some(tap) => self.attend_showing(pass, queries, keys_values, tap),
                None => attention(queries, keys_values, self.config.heads),
            }
        };
        self.proj.forward_onto(pass, mixed, residual, drop_path)
    }

    /// What keys and values are made of, `[B, keys, D]`.
    fn reduce(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let Some((patches, norm)) = &self.reduction else {
            return x;
        };
        let reduced = patches.forward(pass, x, grid);
        norm.forward(pass, reduced)
    }

    /// Queries `[B, N, D]`, keys and values side by side `[B, keys, 2D]` → `[B, N, D]`, with the
    /// probabilities made.
    fn attend_showing(
        &self,
        pass: &mut Pass<'_>,
        queries: Tensor<3>,
        keys_values: Tensor<3>,
        tap: &str,
    ) -> Tensor<3> {
        let heads = self.config.heads;
        let [batch, tokens, width] = queries.dims();
        let keys = keys_values.dims()[1];
        let per_head = width / heads;
        let queries = queries
            .reshape([batch, tokens, heads, per_head])
            .swap_dims(1, 2);
        let keys_values = keys_values
            .reshape([batch, keys, 2, heads, per_head])
            .permute([2, 0, 3, 1, 4]);
        let part = |index: usize| {
            keys_values
                .clone()
                .narrow(0, index, 1)
                .reshape([batch, heads, keys, per_head])
        };
        let scale = 1.0 / (per_head as f64).sqrt();
        let scores = pass.matmul(queries.mul_scalar(scale), part(0).transpose());
        let probabilities = softmax(scores, 3);
        pass.tap(tap, || Feature::Attention(probabilities.clone()));
        pass.matmul(probabilities, part(1))
            .swap_dims(1, 2)
            .reshape([batch, tokens, width])
    }

    /// Two products of tokens with keys, and the tap's shape without its memory.
    fn count(
        &self,
        pass: &mut Pass<'_>,
        [batch, tokens, width]: [usize; 3],
        keys: usize,
        tap: Option<&str>,
    ) {
        let heads = self.config.heads;
        let written = batch * tokens * (heads * keys + width);
        pass.count(2 * batch * tokens * keys * width, written);
        if let Some(tap) = tap {
            let zero = Tensor::<4>::zeros([1; 4], (pass.device(), pass.dtype()));
            pass.tap(tap, || {
                Feature::Attention(zero.expand([batch, heads, tokens, keys]))
            });
        }
    }
}
