//! SegFormer: a pyramid of transformers (MiT) and a head of linear maps, for segmentation.
//!
//! Xie, Wang, Yu, Anandkumar, Alvarez, Luo. "SegFormer: Simple and Efficient Design for Semantic
//! Segmentation with Transformers". NeurIPS 2021; tables 5 and 6 and the released networks.
//! State-dict names are NVIDIA's: `backbone.patch_embed{s}`, `backbone.block{s}.{i}`,
//! `backbone.norm{s}` for the stages 1 to 4, `decode_head`. Hugging Face's names are understood
//! when weights are read, and so are the backbone's alone.
//!
//! Stages are at a quarter, an eighth, a sixteenth and a thirty-second of the image, rounded up;
//! logits are at a quarter. Images may have any size, and a network takes other sizes than the one
//! that it was built for.
//!
//! Narrower or wider ones have a suffix, `segformer_b0_x0.25`: as many heads, of fewer or more numbers
//! each.
//!
//! Taps: `embed1` to `embed4` (tokens after the patch embeddings, TransKD's patches), `attention1`
//! to `attention4` (probabilities of the last block of each stage, of all positions for the keys
//! that sequence reduction leaves), `stage1` to `stage4` (maps after each stage's norm), `feature`
//! (the map that the last classifier reads).

mod encoder;
mod head;

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry};
use crate::{Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind};
use encoder::Encoder;
use head::Head;

/// Shortest side of an image: the first stage then has the 8 rows of which one key is made.
const SHORTEST_SIDE: usize = 29;

/// Shape of a [`SegFormer`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegFormerConfig {
    /// Channels of the four stages.
    pub widths: [usize; 4],
    /// Blocks of the four stages.
    pub depths: [usize; 4],
    /// Attention heads of the four stages; each divides its stage's width.
    pub heads: [usize; 4],
    /// Sides of the squares of tokens that make one key, by stage.
    pub reductions: [usize; 4],
    /// Neurons of a block's perceptron, in widths.
    pub mlp_ratio: usize,
    /// Channels inside the head.
    pub head_width: usize,
    /// Probability with which training omits the branches of the last block; it rises linearly
    /// from 0 at the first.
    pub drop_path: f64,
    /// Probability with which training omits a channel of what the last classifier reads.
    pub dropout: f64,
}

impl SegFormerConfig {
    /// As published: 1, 2, 5 and 8 heads, keys of 8×8, 4×4, 2×2 and single tokens, perceptrons four
    /// times as wide (paper, table 6), drop path and dropout of 0.1 (released configurations).
    pub const fn published(widths: [usize; 4], depths: [usize; 4], head_width: usize) -> Self {
        Self {
            widths,
            depths,
            heads: [1, 2, 5, 8],
            reductions: [8, 4, 2, 1],
            mlp_ratio: 4,
            head_width,
            drop_path: 0.1,
            dropout: 0.1,
        }
    }

    /// With the channels that `builder` gives each head, and as many heads.
    fn at_width(mut self, builder: &Builder<'_>) -> Self {
        for (width, heads) in self.widths.iter_mut().zip(self.heads) {
            *width = heads * builder.channels(*width / heads);
        }
        self.head_width = builder.channels(self.head_width);
        self
    }

    /// Refuses what cannot be built for `input`.
    fn check(&self, input: InputShape) -> Result<(), NnError> {
        let refuse = |reason| {
            Err(NnError::Unsupported {
                model: "segformer".to_owned(),
                reason,
            })
        };
        let numbers = [self.mlp_ratio, self.head_width];
        let all = [self.widths, self.depths, self.heads, self.reductions];
        if all.as_flattened().iter().chain(&numbers).any(|&n| n == 0) {
            return refuse(format!(
                "found {self:?}; widths, depths, heads and reductions start at 1"
            ));
        }
        for (&width, &heads) in self.widths.iter().zip(&self.heads) {
            if !width.is_multiple_of(heads) {
                return refuse(format!(
                    "found a width of {width}, it needs a multiple of its {heads} heads"
                ));
            }
        }
        for (name, rate) in [("drop path", self.drop_path), ("dropout", self.dropout)] {
            if !(0.0..1.0).contains(&rate) {
                return refuse(format!(
                    "found a {name} of {rate}, it needs a number from 0 to below 1"
                ));
            }
        }
        ImageSizes::AtLeast(SHORTEST_SIDE).check("segformer", input)
    }
}

const B1_WIDTHS: [usize; 4] = [64, 128, 320, 512];
const B0: SegFormerConfig = SegFormerConfig::published([32, 64, 160, 256], [2, 2, 2, 2], 256);
const B1: SegFormerConfig = SegFormerConfig::published(B1_WIDTHS, [2, 2, 2, 2], 256);
const B2: SegFormerConfig = SegFormerConfig::published(B1_WIDTHS, [3, 4, 6, 3], 768);
const B3: SegFormerConfig = SegFormerConfig::published(B1_WIDTHS, [3, 4, 18, 3], 768);
const B4: SegFormerConfig = SegFormerConfig::published(B1_WIDTHS, [3, 8, 27, 3], 768);
const B5: SegFormerConfig = SegFormerConfig::published(B1_WIDTHS, [3, 6, 40, 3], 768);

macro_rules! entry {
    ($name:literal, $config:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "segformer",
            task: TaskKind::Segmentation,
            size: 512,
            classes: 150,
            sizes: ImageSizes::AtLeast(SHORTEST_SIDE),
            build: |builder, input| Ok(Box::new(SegFormer::new(builder, input, $config)?)),
        }
    };
}

/// The family's models, with the size and the classes of ADE20K.
pub static MODELS: &[ModelEntry] = &[
    entry!("segformer_b0", B0, &["segformer_mit_b0"]),
    entry!("segformer_b1", B1, &["segformer_mit_b1"]),
    entry!("segformer_b2", B2, &["segformer_mit_b2"]),
    entry!("segformer_b3", B3, &["segformer_mit_b3"]),
    entry!("segformer_b4", B4, &["segformer_mit_b4"]),
    entry!("segformer_b5", B5, &["segformer_mit_b5"]),
];

/// A SegFormer.
#[derive(Debug)]
pub struct SegFormer {
    encoder: Encoder,
    head: Head,
}

impl SegFormer {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Widths that heads do not divide, images of less than 29 pixels, settings out of range.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: SegFormerConfig,
    ) -> Result<Self, NnError> {
        config.check(input)?;
        let config = config.at_width(builder);
        Ok(Self {
            encoder: Encoder::new(builder.sub("backbone"), input.channels, &config),
            head: Head::new(builder.sub("decode_head"), &config, input.classes),
        })
    }
}

impl Architecture for SegFormer {
    fn tap_names(&self) -> Vec<String> {
        let stage = |stage| ["embed", "attention", "stage"].map(|tap| format!("{tap}{stage}"));
        let stages = (1..=4).flat_map(stage);
        stages.chain(["feature".to_owned()]).collect()
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let stages = self.encoder.forward(pass, images);
        Feature::Map(self.head.forward(pass, stages))
    }

    fn backbone_prefix(&self) -> Option<&str> {
        Some("backbone.")
    }

    fn head_tap(&self) -> Option<String> {
        Some("feature".to_owned())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        match feature {
            Feature::Map(map) => Some(Feature::Map(self.head.classify(pass, map))),
            _ => None,
        }
    }
}
