//! Vision transformers, in timm's layout.
//!
//! Dosovitskiy et al. "An Image Is Worth 16×16 Words". ICLR 2021; Touvron et al. "Training
//! Data-Efficient Image Transformers & Distillation through Attention" (DeiT). ICML 2021.
//! State-dict names: `cls_token`, `dist_token`, `pos_embed`, `patch_embed.proj`, `blocks.{i}.*`,
//! `norm` (or `fc_norm`), `head`, `head_dist`.
//!
//! The `deit_*` and `vit_large_*` nets are the published ones. `vit_nano`, `vit_micro` and
//! `vit_mini` are Limbeck's own, for images of 28 to 64 pixels: patches of 4×4, six to nine blocks
//! and the mean over patches as embedding. All blocks of a net are alike, so that there are shallower
//! and deeper ones of each: `deit_base_patch16_224_d6` is DeiT-B with six of its twelve blocks.
//!
//! The `*_patch1*` nets have a token for each pixel and no other prior of space: Nguyen et al. "An Image
//! is Worth More Than 16×16 Patches: Exploring Transformers on Individual Pixels". ICLR 2025, table 1
//! (its heads, 12, are as remembered). `vit_nano_patch1` is Limbeck's own.
//!
//! Taps: `stem` (tokens with their positions), `blockN` (tokens after block N, from 0),
//! `attentionN` (its probabilities), `queryN`, `keyN`, `valueN` (what they are made of, the heads
//! side by side), `tokens` (after the last norm), `pooled` (what the head reads;
//! for distilled nets the mean of what the two heads read), `head` and `head_dist` (the logits of
//! a distilled net's two heads). Four stages of equally many blocks, as far as the depth divides:
//! `stage1` to `stage4` are other names of the last block of each. A distilled net's logits are the
//! mean of its heads', in training too.

mod parts;
mod shape;

use burn::tensor::Tensor;
pub use parts::gather_tokens;
pub use shape::{Embedding, VisionTransformerConfig};

use super::{ImageSizes, ModelEntry};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, ParameterId, Pass, Role, TaskKind,
    layer::{ClassHead, LayerNorm, PatchEmbedding, TransformerBlock},
};

/// DeiT, appendix A: linear maps and tokens.
const INIT: Init = Init::TruncatedNormal(0.02);

const TINY: VisionTransformerConfig = VisionTransformerConfig::deit(192, 12, 3);
const SMALL: VisionTransformerConfig = VisionTransformerConfig::deit(384, 12, 6);
const BASE: VisionTransformerConfig = VisionTransformerConfig::deit(768, 12, 12);
const LARGE: VisionTransformerConfig = VisionTransformerConfig::deit(1024, 24, 16);
const PIXEL_TINY: VisionTransformerConfig = VisionTransformerConfig::pixels(192, 12, 12);
const PIXEL_SMALL: VisionTransformerConfig = VisionTransformerConfig::pixels(384, 12, 12);
const PIXEL_BASE: VisionTransformerConfig = VisionTransformerConfig::pixels(768, 12, 12);
const PIXEL_LARGE: VisionTransformerConfig = VisionTransformerConfig::pixels(1024, 24, 16);
const PIXEL_NANO: VisionTransformerConfig = VisionTransformerConfig {
    patch: 1,
    ..VisionTransformerConfig::small(64, 6, 2)
};
const NANO: VisionTransformerConfig = VisionTransformerConfig::small(64, 6, 2);
const MICRO: VisionTransformerConfig = VisionTransformerConfig::small(128, 6, 4);
const MINI: VisionTransformerConfig = VisionTransformerConfig::small(192, 9, 6);

/// The family's models, and the shape behind each name.
macro_rules! nets {
    ($($name:literal, $size:literal, $classes:literal, $config:expr, $aliases:expr;)+) => {
        /// The family's models.
        pub static MODELS: &[ModelEntry] = &[$(ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "vit",
            task: TaskKind::Classification,
            size: $size,
            classes: $classes,
            sizes: ImageSizes::MultipleOf($config.patch),
            build: |builder, input| {
                let net = VisionTransformer::new(builder, input, $config)?;
                Ok(Box::new(net))
            },
        },)+];

        /// The shape of the net that the zoo calls `name`; `None` of other families.
        pub(super) fn shape_of(name: &str) -> Option<VisionTransformerConfig> {
            match name {
                $($name => Some($config),)+
                _ => None,
            }
        }
    };
}

nets! {
    "deit_tiny_patch16_224", 224, 1000, TINY, &["deit_tiny", "vit_tiny_patch16_224"];
    "deit_small_patch16_224", 224, 1000, SMALL, &["deit_small", "vit_small_patch16_224"];
    "deit_base_patch16_224", 224, 1000, BASE, &["deit_base", "vit_base_patch16_224"];
    "vit_large_patch16_224", 224, 1000, LARGE, &["vit_large"];
    "deit_tiny_distilled_patch16_224", 224, 1000, TINY.distilled(), &["deit_tiny_distilled"];
    "deit_small_distilled_patch16_224", 224, 1000, SMALL.distilled(), &["deit_small_distilled"];
    "deit_base_distilled_patch16_224", 224, 1000, BASE.distilled(), &["deit_base_distilled"];
    "vit_nano_patch4", 32, 100, NANO, &["vit_nano"];
    "vit_micro_patch4", 32, 100, MICRO, &["vit_micro"];
    "vit_mini_patch4", 32, 100, MINI, &["vit_mini"];
    "vit_nano_distilled_patch4", 32, 100, NANO.distilled(), &["vit_nano_distilled"];
    "vit_nano_patch1", 28, 10, PIXEL_NANO, &[];
    "vit_tiny_patch1_28", 28, 1000, PIXEL_TINY, &["vit_tiny_patch1"];
    "vit_small_patch1_28", 28, 1000, PIXEL_SMALL, &["vit_small_patch1"];
    "vit_base_patch1_28", 28, 1000, PIXEL_BASE, &["vit_base_patch1"];
    "vit_large_patch1_28", 28, 1000, PIXEL_LARGE, &["vit_large_patch1"];
}

/// A vision transformer.
#[derive(Debug)]
pub struct VisionTransformer {
    config: VisionTransformerConfig,
    /// Rows and columns of patches.
    grid: [usize; 2],
    class_token: ParameterId,
    distillation_token: Option<ParameterId>,
    positions: ParameterId,
    patches: PatchEmbedding,
    blocks: Vec<TransformerBlock>,
    norm: LayerNorm,
    head: ClassHead,
    head_dist: Option<ClassHead>,
}

impl VisionTransformer {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that patches do not cover exactly, a width that heads do not divide, settings out of
    /// range.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: VisionTransformerConfig,
    ) -> Result<Self, NnError> {
        config.check(input)?;
        let VisionTransformerConfig { patch, width, .. } = config;
        let grid = [input.height / patch, input.width / patch];
        let tokens = config.prefix() + grid[0] * grid[1];
        let class_token = builder.parameter("cls_token", &[1, 1, width], Role::Token, INIT);
        let distillation_token = config
            .distilled
            .then(|| builder.parameter("dist_token", &[1, 1, width], Role::Token, INIT));
        let positions = builder.parameter("pos_embed", &[1, tokens, width], Role::Token, INIT);
        let embedding = builder.sub("patch_embed.proj");
        let patches = PatchEmbedding::new(embedding, input.channels, width, patch);
        let blocks = (0..config.depth)
            .map(|i| TransformerBlock::new(builder.sub(format!("blocks.{i}")), config.block(i)))
            .collect();
        let norm = match config.embedding {
            Embedding::ClassToken => "norm",
            Embedding::PatchMean => "fc_norm",
        };
        let norm = LayerNorm::new(builder.sub(norm), width, config.epsilon);
        let head = linear(builder.sub("head"), width, input.classes);
        let head_dist = config
            .distilled
            .then(|| linear(builder.sub("head_dist"), width, input.classes));
        Ok(Self {
            config,
            grid,
            class_token,
            distillation_token,
            positions,
            patches,
            blocks,
            norm,
            head,
            head_dist,
        })
    }

    /// Last tokens `[B, N, D]` → what the head and a distilled net's second head read, `[B, D]`.
    fn embeddings(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        grid: [usize; 2],
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let x = self.normalise(pass, x);
        pass.tap("tokens", || self.feature_on(&x, grid));
        let prefix = self.config.prefix();
        match self.config.embedding {
            Embedding::ClassToken => {
                let token = |index| x.clone().narrow(1, index, 1).squeeze_dim(1);
                (token(0), self.head_dist.map(|_| token(1)))
            }
            Embedding::PatchMean => {
                let count = x.dims()[1] - prefix;
                let mean = x.narrow(1, prefix, count).mean_dim(1).squeeze_dim(1);
                (self.norm.forward(pass, mean), None)
            }
        }
    }

    /// Last tokens `[B, N, D]`, the patches among which form `grid`, → logits `[B, K]`.
    /// Whether of the last block's tokens nobody reads others than those in front of the patches. What
    /// a network costs is counted as the field does, with all of them.
    fn reads_prefix_alone(&self, pass: &Pass<'_>) -> bool {
        let Some(last) = self.blocks.len().checked_sub(1) else {
            return false;
        };
        let stage = format!("stage{}", stage_ends(self.blocks.len()).count());
        let mut taps = vec![format!("attention{last}"), format!("block{last}"), stage];
        taps.extend(PROJECTIONS.map(|name| format!("{name}{last}")));
        taps.push("tokens".to_owned());
        self.config.embedding == Embedding::ClassToken
            && !pass.is_counting()
            && !taps.iter().any(|tap| pass.wants(tap))
    }

    fn classify(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Feature {
        let (embedding, distilled) = self.embeddings(pass, x, grid);
        let (Some(distilled), Some(head_dist)) = (distilled, self.head_dist) else {
            pass.tap("pooled", || Feature::Vector(embedding.clone()));
            return Feature::Vector(self.head.forward(pass, embedding));
        };
        pass.tap("pooled", || {
            Feature::Vector((embedding.clone() + distilled.clone()).mul_scalar(0.5))
        });
        let logits = self.head.forward(pass, embedding);
        let distilled = head_dist.forward(pass, distilled);
        pass.tap("head", || Feature::Vector(logits.clone()));
        pass.tap("head_dist", || Feature::Vector(distilled.clone()));
        Feature::Vector((logits + distilled).mul_scalar(0.5))
    }
}

/// The blocks that end the stages, as far as there are as many blocks as stages.
fn stage_ends(depth: usize) -> impl Iterator<Item = usize> {
    let stages = depth.min(4);
    (1..=stages).map(move |stage| (stage * depth).div_ceil(stages) - 1)
}

impl Architecture for VisionTransformer {
    fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["stem".to_owned()];
        for index in 0..self.blocks.len() {
            names.extend(PROJECTIONS.map(|name| format!("{name}{index}")));
            names.push(format!("attention{index}"));
            names.push(format!("block{index}"));
            if let Some(stage) = stage_ends(self.blocks.len()).position(|end| end == index) {
                names.push(format!("stage{}", stage + 1));
            }
        }
        names.push("tokens".to_owned());
        names.push("pooled".to_owned());
        if self.head_dist.is_some() {
            names.push("head".to_owned());
            names.push("head_dist".to_owned());
        }
        names
    }

    fn transformer(&self) -> Option<&VisionTransformer> {
        Some(self)
    }

    fn head_names(&self) -> &[&str] {
        &["head.", "head_dist."]
    }

    fn layer_of(&self, name: &str) -> Option<(usize, usize)> {
        let last = self.blocks.len() + 1;
        let embeds = ["cls_token", "dist_token", "pos_embed", "patch_embed."];
        if embeds.iter().any(|start| name.starts_with(start)) {
            return Some((0, last));
        }
        let block = name
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split('.').next());
        let block = block.and_then(|number| number.parse::<usize>().ok());
        Some((block.map_or(last, |block| block + 1), last))
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let grid = self.grid_of(&images);
        let patches = self.patches(pass, images);
        let x = self.with_prefix(pass, patches);
        pass.tap("stem", || self.feature_on(&x, grid));
        let last = self.blocks.len().saturating_sub(1);
        if self.reads_prefix_alone(pass) {
            let x = self.run_blocks(pass, x, 0..last, grid);
            let (block, prefix) = (self.blocks[last], self.config.prefix());
            let x = pass.unit(x, move |pass, x| block.forward_of(pass, x, 0..prefix));
            return self.classify(pass, x, grid);
        }
        let x = self.run_blocks(pass, x, 0..self.blocks.len(), grid);
        self.classify(pass, x, grid)
    }

    fn head_tap(&self) -> Option<String> {
        let last = self.blocks.len().checked_sub(1)?;
        Some(format!("block{last}"))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let Feature::Tokens {
            tokens,
            prefix,
            grid,
        } = feature
        else {
            return None;
        };
        let fits = prefix == self.config.prefix() && tokens.dims()[1] > prefix;
        fits.then(|| self.classify(pass, tokens, grid))
    }
}

/// What attention is made of, in the order of the state-dict's `qkv`.
const PROJECTIONS: [&str; 3] = ["query", "key", "value"];

/// Drawn as DeiT's linear maps.
fn linear(builder: Builder<'_>, input: usize, output: usize) -> ClassHead {
    ClassHead::with_init(builder, input, output, INIT, Some(Init::Constant(0.0)))
}
