//! The shape of a vision transformer.

use super::INIT;
use crate::{InputShape, NnError, layer::TransformerBlockConfig, model::ImageSizes};

/// Tokens of an image beyond which a network is refused: 128×128 pixels one by one, whose attention
/// takes minutes a step already.
const MOST_TOKENS: usize = 16_384;

/// What the head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedding {
    /// The class token after the last norm.
    ClassToken,
    /// The mean of the patches, then a norm (timm's `global_pool="avg"`).
    PatchMean,
}

/// Shape of a [`VisionTransformer`](super::VisionTransformer).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisionTransformerConfig {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Length of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Inner width of a block's perceptron, in widths.
    pub mlp_ratio: f64,
    /// Whether there are a distillation token and a second head.
    pub distilled: bool,
    /// What the head reads.
    pub embedding: Embedding,
    /// Added to variances in layer norms.
    pub epsilon: f64,
    /// Probability with which training omits the branches of the last block; it rises linearly
    /// from 0 at the first.
    pub drop_path: f64,
}

impl VisionTransformerConfig {
    /// As in DeiT: perceptrons four times as wide, the class token as embedding, ε = 1e-6 (timm),
    /// drop path 0.1 (DeiT, table 9).
    pub const fn deit(width: usize, depth: usize, heads: usize) -> Self {
        Self {
            patch: 16,
            width,
            depth,
            heads,
            mlp_ratio: 4.0,
            distilled: false,
            embedding: Embedding::ClassToken,
            epsilon: 1e-6,
            drop_path: 0.1,
        }
    }

    /// DeiT's with a token for each pixel.
    pub(super) const fn pixels(width: usize, depth: usize, heads: usize) -> Self {
        let mut config = Self::deit(width, depth, heads);
        config.patch = 1;
        config
    }

    /// With a distillation token and a second head, both heads reading their tokens.
    pub const fn distilled(mut self) -> Self {
        self.distilled = true;
        self.embedding = Embedding::ClassToken;
        self
    }

    /// With `depth` blocks.
    pub const fn at_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// For images of few pixels: 4×4 patches, their mean as embedding, no drop path.
    pub(super) const fn small(width: usize, depth: usize, heads: usize) -> Self {
        let mut config = Self::deit(width, depth, heads);
        config.patch = 4;
        config.embedding = Embedding::PatchMean;
        config.drop_path = 0.0;
        config
    }

    pub(super) fn check(&self, input: InputShape) -> Result<(), NnError> {
        let model = format!("vit with patches of {0}×{0}", self.patch);
        let refuse = |reason| {
            Err(NnError::Unsupported {
                model: model.clone(),
                reason,
            })
        };
        if self.patch == 0 || self.depth == 0 || self.heads == 0 {
            return refuse("patch, depth and heads must be at least 1".to_owned());
        }
        if self.width == 0 || !self.width.is_multiple_of(self.heads) {
            return refuse(format!(
                "found a width of {}, it needs a multiple of its {} heads",
                self.width, self.heads
            ));
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return refuse(format!(
                "found a drop path of {}, it needs a number from 0 to below 1",
                self.drop_path
            ));
        }
        if self.mlp_width() == 0 || !self.mlp_ratio.is_finite() {
            return refuse(format!(
                "found an mlp_ratio of {}, its perceptrons need at least one neuron",
                self.mlp_ratio
            ));
        }
        let tokens = (input.height / self.patch).saturating_mul(input.width / self.patch);
        if tokens > MOST_TOKENS {
            return refuse(format!(
                "images of {}×{} are {tokens} tokens, and attention compares each with each; it takes \
                 {MOST_TOKENS} at the most: take smaller images (augment.size) or larger patches",
                input.height, input.width
            ));
        }
        if self.distilled && self.embedding == Embedding::PatchMean {
            return refuse("a distillation token needs the class token as embedding".to_owned());
        }
        ImageSizes::MultipleOf(self.patch).check(&model, input)
    }

    /// Block `index`, counted from 0.
    pub(super) fn block(&self, index: usize) -> TransformerBlockConfig {
        let last = self.depth.saturating_sub(1).max(1);
        TransformerBlockConfig {
            width: self.width,
            heads: self.heads,
            inner: self.mlp_width(),
            epsilon: self.epsilon,
            init: INIT,
            drop_path: self.drop_path * index as f64 / last as f64,
        }
    }

    fn mlp_width(&self) -> usize {
        (self.width as f64 * self.mlp_ratio) as usize
    }

    /// Number of tokens that are not patches.
    pub fn prefix(&self) -> usize {
        1 + usize::from(self.distilled)
    }
}
