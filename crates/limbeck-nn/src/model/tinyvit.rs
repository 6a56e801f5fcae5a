//! TinyViT: a stage of inverted bottlenecks, then three of attention in windows.
//!
//! Wu, Zhang, Peng, Liu, Xiao, Fu, Yuan. "TinyViT: Fast Pretraining Distillation for Small Vision
//! Transformers". ECCV 2022; table 1 and the released networks. State-dict names: `patch_embed.seq`,
//! `layers.{stage}.blocks.{block}`, `layers.{stage}.downsample`, `norm_head`, `head`; each
//! convolution with its batch norm is `c` and `bn`.
//!
//! The `tiny_vit_5m`, `11m` and `21m` nets are the published ones; the 21M net for 384 and 512
//! pixels has wider windows. `tiny_vit_nano` is Limbeck's own, for images of 32 to 64 pixels. Any
//! other net of the family is named by its factors, as `limbeck contract` finds them:
//! `tinyvit:widths=64-128-160-320,depths=2-2-6-2,windows=7-14-7,head=32,expansion=4,mlp=4`.
//!
//! Taps: `stem` and `stage1` are maps, `stage2` to `stage4` tokens; each stage is taken before its
//! map is halved for the next one, and `merging1` to `merging3` are the tokens after that. `blockN`
//! is what block N gives out, counted from 0 over all stages. `pooled` is what the head reads.

mod block;
mod contraction;
mod factors;
mod window;

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry, averaged::averaged};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, Pass, TaskKind,
    layer::{
        ClassHead, Conv2dConfig, ConvNorm, LayerNorm, Linear, global_avg_pool2d, tokens_to_map,
    },
};
use block::{Bottleneck, Merging, WindowBlock, WindowBlockShape};

pub use contraction::{Limits, Measures, neighbours};
pub use factors::{TinyVitFactors, tells_factors};

/// Released code: linear maps.
const INIT: Init = Init::TruncatedNormal(0.02);
/// PyTorch's default, which the released networks keep.
const EPSILON: f64 = 1e-5;
/// What the sides of images are multiples of: the stem quarters them, three mergings halve them.
const REDUCTION: usize = 32;
/// Most blocks in one stage: no published net has more than 6, and a name must not ask for a
/// network that nothing can hold.
const MOST_BLOCKS: usize = 64;
/// Most channels of a stage, for the same reason; published nets end at 576.
const MOST_CHANNELS: usize = 4096;
/// Longest side of a window in tokens; the net for 512 pixels has 32.
const LONGEST_WINDOW: usize = 64;

/// Shape of a [`TinyVit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TinyVitConfig {
    /// Channels of the four stages.
    pub widths: [usize; 4],
    /// Blocks of the four stages.
    pub depths: [usize; 4],
    /// Attention heads of the last three stages; each divides its stage's width.
    pub heads: [usize; 3],
    /// Sides of the last three stages' windows, in tokens.
    pub windows: [usize; 3],
    /// Channels inside a bottleneck of the first stage, in widths.
    pub expansion: f64,
    /// Neurons of a block's perceptron, in widths.
    pub mlp_ratio: f64,
    /// Probability with which training omits the branches of the last block; it rises linearly
    /// from 0 at the first.
    pub drop_path: f64,
}

impl TinyVitConfig {
    /// As published: two, two, six and two blocks, 32 numbers a head, windows of 7, 14 and 7,
    /// bottlenecks and perceptrons four times as wide. `drop_path` is that of training on
    /// ImageNet-1k from scratch (released configurations).
    pub const fn published(widths: [usize; 4], drop_path: f64) -> Self {
        Self {
            widths,
            depths: [2, 2, 6, 2],
            heads: [widths[1] / 32, widths[2] / 32, widths[3] / 32],
            windows: [7, 14, 7],
            expansion: 4.0,
            mlp_ratio: 4.0,
            drop_path,
        }
    }

    const fn with_windows(mut self, windows: [usize; 3]) -> Self {
        self.windows = windows;
        self
    }

    /// Refuses what cannot be built for `input`.
    fn check(&self, input: InputShape) -> Result<(), NnError> {
        let refuse = |reason| {
            Err(NnError::Unsupported {
                model: "tinyvit".to_owned(),
                reason,
            })
        };
        let inside = |values: &[usize], most| values.iter().all(|n| (1..=most).contains(n));
        if !inside(&self.widths, MOST_CHANNELS) || !self.widths[0].is_multiple_of(2) {
            return refuse(format!(
                "found widths of {:?}, they go from 1 to {MOST_CHANNELS} and the first is even",
                self.widths
            ));
        }
        if !inside(&self.depths, MOST_BLOCKS) {
            return refuse(format!(
                "found depths of {:?}, they go from 1 to {MOST_BLOCKS}",
                self.depths
            ));
        }
        if !inside(&self.windows, LONGEST_WINDOW) {
            return refuse(format!(
                "found windows of {:?}, they go from 1 to {LONGEST_WINDOW}",
                self.windows
            ));
        }
        for (&width, &heads) in self.widths[1..].iter().zip(&self.heads) {
            if heads == 0 || !width.is_multiple_of(heads) {
                return refuse(format!(
                    "found a width of {width}, it needs a multiple of its {heads} heads"
                ));
            }
        }
        for (name, ratio) in [("expansion", self.expansion), ("mlp_ratio", self.mlp_ratio)] {
            let narrowest = self
                .widths
                .iter()
                .min()
                .map_or(0, |&width| inner(width, ratio));
            if !(0.0..=16.0).contains(&ratio) || narrowest == 0 {
                return refuse(format!(
                    "found an {name} of {ratio}, it goes up to 16 and leaves one channel at least"
                ));
            }
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return refuse(format!(
                "found a drop path of {}, it needs a number from 0 to below 1",
                self.drop_path
            ));
        }
        ImageSizes::MultipleOf(REDUCTION).check("tinyvit", input)
    }

    /// Drop path of block `index`, counted from 0 over all stages.
    fn drop_path(&self, index: usize) -> f64 {
        let last = self.depths.iter().sum::<usize>().saturating_sub(1).max(1);
        self.drop_path * index as f64 / last as f64
    }
}

/// Channels of an inner layer.
fn inner(width: usize, ratio: f64) -> usize {
    (width as f64 * ratio) as usize
}

macro_rules! entry {
    ($index:literal, $size:literal, $classes:literal, $aliases:expr) => {
        ModelEntry {
            name: CONFIGS[$index].0,
            aliases: $aliases,
            family: "tinyvit",
            task: TaskKind::Classification,
            size: $size,
            classes: $classes,
            sizes: ImageSizes::MultipleOf(REDUCTION),
            build: |builder, input| Ok(Box::new(TinyVit::new(builder, input, CONFIGS[$index].1)?)),
        }
    };
}

const FIVE: TinyVitConfig = TinyVitConfig::published([64, 128, 160, 320], 0.0);
const ELEVEN: TinyVitConfig = TinyVitConfig::published([64, 128, 256, 448], 0.1);
const TWENTY_ONE: TinyVitConfig = TinyVitConfig::published([96, 192, 384, 576], 0.2);
/// For images of few pixels: windows of four and two tokens, no drop path.
const NANO: TinyVitConfig = TinyVitConfig {
    widths: [16, 32, 48, 64],
    depths: [1, 1, 2, 1],
    heads: [2, 3, 4],
    windows: [4, 2, 2],
    expansion: 4.0,
    mlp_ratio: 4.0,
    drop_path: 0.0,
};

/// The zoo's own nets by name.
const CONFIGS: [(&str, TinyVitConfig); 6] = [
    ("tiny_vit_5m_224", FIVE),
    ("tiny_vit_11m_224", ELEVEN),
    ("tiny_vit_21m_224", TWENTY_ONE),
    ("tiny_vit_21m_384", TWENTY_ONE.with_windows([12, 24, 12])),
    ("tiny_vit_21m_512", TWENTY_ONE.with_windows([16, 32, 16])),
    ("tiny_vit_nano", NANO),
];

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!(0, 224, 1000, &["tiny_vit_5m", "tinyvit_5m"]),
    entry!(1, 224, 1000, &["tiny_vit_11m", "tinyvit_11m"]),
    entry!(2, 224, 1000, &["tiny_vit_21m", "tinyvit_21m"]),
    entry!(3, 384, 1000, &[]),
    entry!(4, 512, 1000, &[]),
    entry!(5, 32, 100, &["tinyvit_nano"]),
];

/// A TinyViT.
#[derive(Debug)]
pub struct TinyVit {
    stem: [ConvNorm; 2],
    bottlenecks: Vec<Bottleneck>,
    /// In front of each of `stages`.
    mergings: Vec<Merging>,
    stages: Vec<Vec<WindowBlock>>,
    norm: LayerNorm,
    head: ClassHead,
}

impl TinyVit {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images whose sides are not multiples of 32, widths that heads do not divide, factors out of
    /// range.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: TinyVitConfig,
    ) -> Result<Self, NnError> {
        config.check(input)?;
        let widths = config.widths;
        let half = widths[0] / 2;
        let mut stem = |index, input, output| {
            let config = Conv2dConfig::new(input, output, 3).stride(2).padding(1);
            let mut builder = builder.sub(format!("patch_embed.seq.{index}"));
            ConvNorm::new(&mut builder, "c", "bn", config)
        };
        let stem = [stem(0, input.channels, half), stem(2, half, widths[0])];
        let mut index = 0;
        let mut next_drop_path = || {
            index += 1;
            config.drop_path(index - 1)
        };
        let bottlenecks = (0..config.depths[0])
            .map(|block| {
                let builder = builder.sub(format!("layers.0.blocks.{block}"));
                let inner = inner(widths[0], config.expansion);
                Bottleneck::new(builder, widths[0], inner, next_drop_path())
            })
            .collect();
        let mut mergings = Vec::new();
        let mut stages = Vec::new();
        for stage in 1..4 {
            let name = format!("layers.{}.downsample", stage - 1);
            mergings.push(Merging::new(
                builder.sub(name),
                widths[stage - 1],
                widths[stage],
            ));
            let blocks = (0..config.depths[stage])
                .map(|block| {
                    let shape = WindowBlockShape {
                        width: widths[stage],
                        heads: config.heads[stage - 1],
                        window: config.windows[stage - 1],
                        inner: inner(widths[stage], config.mlp_ratio),
                        drop_path: next_drop_path(),
                    };
                    let builder = builder.sub(format!("layers.{stage}.blocks.{block}"));
                    WindowBlock::new(builder, shape)
                })
                .collect();
            stages.push(blocks);
        }
        let norm = LayerNorm::new(builder.sub("norm_head"), widths[3], EPSILON);
        let zero = Some(Init::Constant(0.0));
        let head = ClassHead::with_init(builder.sub("head"), widths[3], input.classes, INIT, zero);
        Ok(Self {
            stem,
            bottlenecks,
            mergings,
            stages,
            norm,
            head,
        })
    }

    /// Mean of the last tokens `[B, D]` → logits `[B, K]`.
    fn classify(&self, pass: &mut Pass<'_>, mean: Tensor<2>) -> Feature {
        let pooled = self.norm.forward(pass, mean);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.head.forward(pass, pooled))
    }
}

impl Architecture for TinyVit {
    fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["stem".to_owned()];
        let mut index = 0;
        let depths = self.stages.iter().map(Vec::len);
        for (stage, depth) in std::iter::once(self.bottlenecks.len())
            .chain(depths)
            .enumerate()
        {
            if stage > 0 {
                names.push(format!("merging{stage}"));
            }
            for _ in 0..depth {
                names.push(format!("block{index}"));
                index += 1;
            }
            names.push(format!("stage{}", stage + 1));
        }
        names.push("pooled".to_owned());
        names
    }

    fn head_names(&self) -> &[&str] {
        &["head."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let x = self.stem[0].forward_gelu(pass, images);
        let mut map = self.stem[1].forward(pass, x);
        pass.tap_map("stem", &map);
        for (index, block) in self.bottlenecks.iter().enumerate() {
            let block = *block;
            map = pass.unit(map, move |pass, x| block.forward(pass, x));
            pass.tap_map(&format!("block{index}"), &map);
        }
        pass.tap_map("stage1", &map);
        let mut index = self.bottlenecks.len();
        for (stage, (merging, blocks)) in self.mergings.iter().zip(&self.stages).enumerate() {
            let (mut x, grid) = merging.forward(pass, map);
            let feature = |x: &Tensor<3>| Feature::Tokens {
                tokens: x.clone(),
                prefix: 0,
                grid,
            };
            pass.tap(&format!("merging{}", stage + 1), || feature(&x));
            for block in blocks {
                let block = *block;
                x = pass.unit(x, move |pass, x| block.forward(pass, x, grid));
                pass.tap(&format!("block{index}"), || feature(&x));
                index += 1;
            }
            pass.tap(&format!("stage{}", stage + 2), || feature(&x));
            map = tokens_to_map(x, grid);
        }
        self.classify(pass, global_avg_pool2d(map))
    }

    fn head_tap(&self) -> Option<String> {
        Some(format!("stage{}", self.stages.len() + 1))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        Some(self.classify(pass, averaged(feature)?))
    }
}

/// Drawn as in the released code.
fn linear(builder: Builder<'_>, input: usize, output: usize) -> Linear {
    Linear::with_init(builder, input, output, INIT, Some(Init::Constant(0.0)))
}
