//! Swin Transformers: attention in windows, shifted by half a window in every second block.
//!
//! Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo. "Swin Transformer: Hierarchical Vision Transformer using
//! Shifted Windows". ICCV 2021; section 3 and the released networks. State-dict names are timm's:
//! `patch_embed`, `layers.{stage}.blocks.{block}`, `layers.{stage}.downsample` (in front of a stage's
//! blocks), `norm`, `head.fc`. torchvision's names, those of the authors' files and Hugging Face's are
//! understood when weights are read.
//!
//! The nets from tiny to large are the published ones. `swin_nano` and `swin_micro` are Limbeck's own,
//! for images of 32 to 64 pixels: patches of 2×2, windows of 4 tokens, of 2 in the last stage. A grid
//! that windows do not cover is filled up with zeros below and right, and shifted along those axes
//! alone along which it has several windows, as in torchvision: weights fit images of every size.
//!
//! Taps: `stem` (tokens after the patch embedding), `stage1` to `stage4` (tokens of each stage, before
//! they are merged for the next one), `merging1` to `merging3` (tokens after that), `blockN` (what block
//! N gives out, counted from 0 over all stages), `pooled` (what the head reads: the mean of the last
//! tokens after the last norm).

mod block;
mod window;

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, Pass, TaskKind,
    layer::{ClassHead, LayerNorm, Linear, PatchEmbedding},
};
use block::{Block, BlockShape, PatchMerging};

/// Released code: linear maps and the bias tables.
const INIT: Init = Init::TruncatedNormal(0.02);
/// PyTorch's default, which the released networks keep.
const EPSILON: f64 = 1e-5;

/// Shape of a [`Swin`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SwinConfig {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Length of a token of the first stage; each later stage doubles it.
    pub width: usize,
    /// Blocks of the four stages.
    pub depths: [usize; 4],
    /// Attention heads of the four stages; each divides its stage's width.
    pub heads: [usize; 4],
    /// Sides of the stages' windows, in tokens.
    pub windows: [usize; 4],
    /// Neurons of a block's perceptron, in widths.
    pub mlp_ratio: usize,
    /// Probability with which training omits the branches of the last block; it rises linearly
    /// from 0 at the first.
    pub drop_path: f64,
}

impl SwinConfig {
    /// As published: patches of 4×4, heads of 32 numbers, windows of 7, perceptrons four times as wide
    /// (section 3.3).
    pub const fn published(width: usize, depths: [usize; 4], drop_path: f64) -> Self {
        let heads = width / 32;
        Self {
            patch: 4,
            width,
            depths,
            heads: [heads, 2 * heads, 4 * heads, 8 * heads],
            windows: [7; 4],
            mlp_ratio: 4,
            drop_path,
        }
    }

    const fn with_windows(mut self, windows: [usize; 4]) -> Self {
        self.windows = windows;
        self
    }

    /// For images of few pixels: heads of 16 numbers, no drop path.
    const fn small(width: usize, depths: [usize; 4]) -> Self {
        let heads = width / 16;
        Self {
            patch: 2,
            width,
            depths,
            heads: [heads, 2 * heads, 4 * heads, 8 * heads],
            windows: [4, 4, 4, 2],
            mlp_ratio: 4,
            drop_path: 0.0,
        }
    }

    /// Length of a token of stage `stage`, counted from 0.
    fn width_of(&self, stage: usize) -> usize {
        self.width << stage
    }

    /// Refuses what cannot be built for `input`.
    fn check(&self, input: InputShape) -> Result<(), NnError> {
        let refuse = |reason| {
            Err(NnError::Unsupported {
                model: "swin".to_owned(),
                reason,
            })
        };
        let all = [self.depths, self.heads, self.windows];
        let numbers = [self.patch, self.width, self.mlp_ratio];
        if all.as_flattened().iter().chain(&numbers).any(|&n| n == 0) {
            return refuse(format!("found {self:?}; its numbers start at 1"));
        }
        for (stage, &heads) in self.heads.iter().enumerate() {
            let width = self.width_of(stage);
            if !width.is_multiple_of(heads) {
                return refuse(format!(
                    "found a width of {width}, it needs a multiple of its {heads} heads"
                ));
            }
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return refuse(format!(
                "found a drop path of {}, it needs a number from 0 to below 1",
                self.drop_path
            ));
        }
        ImageSizes::MultipleOf(self.patch).check("swin", input)
    }

    /// Block `index` of `stage`, both counted from 0.
    fn block(&self, stage: usize, index: usize) -> BlockShape {
        let before: usize = self.depths[..stage].iter().sum();
        let last = self.depths.iter().sum::<usize>().saturating_sub(1).max(1);
        let window = self.windows[stage];
        let width = self.width_of(stage);
        BlockShape {
            width,
            heads: self.heads[stage],
            window,
            shift: if index.is_multiple_of(2) {
                0
            } else {
                window / 2
            },
            inner: self.mlp_ratio * width,
            drop_path: self.drop_path * (before + index) as f64 / last as f64,
        }
    }
}

// Drop path is that of training on ImageNet-1k (section A2.1; of the large nets that of their
// released configurations).
const TINY: SwinConfig = SwinConfig::published(96, [2, 2, 6, 2], 0.2);
const SMALL: SwinConfig = SwinConfig::published(96, [2, 2, 18, 2], 0.3);
const BASE: SwinConfig = SwinConfig::published(128, [2, 2, 18, 2], 0.5);
const LARGE: SwinConfig = SwinConfig::published(192, [2, 2, 18, 2], 0.2);
const NANO: SwinConfig = SwinConfig::small(16, [2, 2, 2, 2]);
const MICRO: SwinConfig = SwinConfig::small(32, [2, 2, 4, 2]);

macro_rules! entry {
    ($name:literal, $size:literal, $classes:literal, $config:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "swin",
            task: TaskKind::Classification,
            size: $size,
            classes: $classes,
            sizes: ImageSizes::MultipleOf($config.patch),
            build: |builder, input| Ok(Box::new(Swin::new(builder, input, $config)?)),
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!(
        "swin_tiny_patch4_window7_224",
        224,
        1000,
        TINY,
        &["swin_tiny", "swin_t"]
    ),
    entry!(
        "swin_small_patch4_window7_224",
        224,
        1000,
        SMALL,
        &["swin_small", "swin_s"]
    ),
    entry!(
        "swin_base_patch4_window7_224",
        224,
        1000,
        BASE,
        &["swin_base", "swin_b"]
    ),
    entry!(
        "swin_large_patch4_window7_224",
        224,
        1000,
        LARGE,
        &["swin_large", "swin_l"]
    ),
    entry!(
        "swin_base_patch4_window12_384",
        384,
        1000,
        BASE.with_windows([12; 4]),
        &[]
    ),
    entry!(
        "swin_large_patch4_window12_384",
        384,
        1000,
        LARGE.with_windows([12; 4]),
        &[]
    ),
    entry!("swin_nano_patch2_window4", 32, 100, NANO, &["swin_nano"]),
    entry!("swin_micro_patch2_window4", 32, 100, MICRO, &["swin_micro"]),
];

/// A Swin Transformer.
#[derive(Debug)]
pub struct Swin {
    patch: usize,
    patches: PatchEmbedding,
    patch_norm: LayerNorm,
    /// In front of the second stage and those after it.
    mergings: [PatchMerging; 3],
    stages: [Vec<Block>; 4],
    norm: LayerNorm,
    head: ClassHead,
}

impl Swin {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that patches do not cover exactly, widths that heads do not divide, settings out of range.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: SwinConfig,
    ) -> Result<Self, NnError> {
        config.check(input)?;
        let SwinConfig { patch, width, .. } = config;
        let embedding = builder.sub("patch_embed.proj");
        let patches = PatchEmbedding::new(embedding, input.channels, width, patch);
        let patch_norm = LayerNorm::new(builder.sub("patch_embed.norm"), width, EPSILON);
        let mergings = std::array::from_fn(|index| {
            let builder = builder.sub(format!("layers.{}.downsample", index + 1));
            PatchMerging::new(builder, config.width_of(index))
        });
        let stages = std::array::from_fn(|stage| {
            let block = |index| {
                let builder = builder.sub(format!("layers.{stage}.blocks.{index}"));
                Block::new(builder, config.block(stage, index))
            };
            (0..config.depths[stage]).map(block).collect()
        });
        let last = config.width_of(3);
        let norm = LayerNorm::new(builder.sub("norm"), last, EPSILON);
        let zero = Some(Init::Constant(0.0));
        let head = ClassHead::with_init(builder.sub("head.fc"), last, input.classes, INIT, zero);
        Ok(Self {
            patch,
            patches,
            patch_norm,
            mergings,
            stages,
            norm,
            head,
        })
    }

    /// Last tokens `[B, N, D]` → logits `[B, K]`.
    fn classify(&self, pass: &mut Pass<'_>, tokens: Tensor<3>) -> Feature {
        let tokens = self.norm.forward(pass, tokens);
        let pooled = tokens.mean_dim(1).squeeze_dim(1);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.head.forward(pass, pooled))
    }

    /// Blocks of the stages in front of `stage`.
    fn blocks_before(&self, stage: usize) -> usize {
        self.stages.iter().take(stage).map(Vec::len).sum()
    }
}

impl Architecture for Swin {
    fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["stem".to_owned()];
        for (stage, blocks) in self.stages.iter().enumerate() {
            if stage > 0 {
                names.push(format!("merging{stage}"));
            }
            let first = self.blocks_before(stage);
            names.extend((0..blocks.len()).map(|index| format!("block{}", first + index)));
            names.push(format!("stage{}", stage + 1));
        }
        names.push("pooled".to_owned());
        names
    }

    fn head_names(&self) -> &[&str] {
        &["head.fc."]
    }

    /// A merging is as deep as the block in front of it (the authors' code for fine-tuning).
    fn layer_of(&self, name: &str) -> Option<(usize, usize)> {
        let last = self.blocks_before(self.stages.len()) + 1;
        if name.starts_with("patch_embed.") {
            return Some((0, last));
        }
        let mut parts = name.split('.');
        if parts.next() != Some("layers") {
            return Some((last, last));
        }
        let stage = parts.next()?.parse().ok()?;
        let block = match parts.next()? {
            "blocks" => parts.next()?.parse::<usize>().ok()?.checked_add(1)?,
            _ => 0,
        };
        Some((self.blocks_before(stage) + block, last))
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let [_, _, height, width] = images.dims();
        let mut grid = [height / self.patch, width / self.patch];
        let x = self.patches.forward(pass, images, None);
        let mut x = self.patch_norm.forward(pass, x);
        pass.tap("stem", || feature(&x, grid));
        for (stage, blocks) in self.stages.iter().enumerate() {
            if let Some(merging) = stage.checked_sub(1).map(|index| &self.mergings[index]) {
                (x, grid) = merging.forward(pass, x, grid);
                pass.tap(&format!("merging{stage}"), || feature(&x, grid));
            }
            let first = self.blocks_before(stage);
            for (index, block) in blocks.iter().enumerate() {
                let block = *block;
                x = pass.unit(x, move |pass, x| block.forward(pass, x, grid));
                pass.tap(&format!("block{}", first + index), || feature(&x, grid));
            }
            pass.tap(&format!("stage{}", stage + 1), || feature(&x, grid));
        }
        self.classify(pass, x)
    }

    fn head_tap(&self) -> Option<String> {
        Some(format!("stage{}", self.stages.len()))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        match feature {
            Feature::Tokens {
                tokens, prefix: 0, ..
            } => Some(self.classify(pass, tokens)),
            _ => None,
        }
    }
}

fn feature(tokens: &Tensor<3>, grid: [usize; 2]) -> Feature {
    Feature::Tokens {
        tokens: tokens.clone(),
        prefix: 0,
        grid,
    }
}

/// Drawn as in the released code.
fn linear(builder: Builder<'_>, input: usize, output: usize) -> Linear {
    Linear::with_init(builder, input, output, INIT, Some(Init::Constant(0.0)))
}
