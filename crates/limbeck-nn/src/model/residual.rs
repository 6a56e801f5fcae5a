//! The body that all ResNets share: a stem, stages of residual blocks, global average, one
//! linear map.
//!
//! Taps: `stem`, `blockN` (after block N, from 0, over all stages), `stageN.preact` (the sum before a
//! stage's last ReLU), `stageN`, `pooled`.

use burn::tensor::Tensor;

use crate::{
    Architecture, Builder, Feature, Pass,
    layer::{
        Activation, Conv2dConfig, ConvNorm, Linear, Residual, global_avg_pool2d, max_pool2d, relu,
    },
};

/// Kind of residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Two 3×3 convolutions, the first with the stride.
    Basic,
    /// 1×1, 3×3 (with the stride) and 1×1 with four times the channels.
    Bottleneck,
}

impl Block {
    /// Output channels per channel of the block's inner width.
    pub fn expansion(self) -> usize {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }
}

/// What stands before the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stem {
    /// 3×3 convolution: keeps the size.
    Small,
    /// 7×7 convolution with stride 2 and 3×3 max-pooling with stride 2: a quarter of the size.
    Large,
}

/// What tells one ResNet from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResidualConfig<'a> {
    /// What stands before the stages.
    pub stem: Stem,
    /// Output channels of the stem.
    pub stem_width: usize,
    /// `(inner width, number of blocks)` of each stage; all stages but the first halve the size.
    pub stages: &'a [(usize, usize)],
    /// Kind of block.
    pub block: Block,
    /// State-dict name of the 1×1 projection beside a block.
    pub shortcut: &'static str,
    /// State-dict name of the last linear map.
    pub head: &'static str,
}

/// A ResNet.
#[derive(Debug)]
pub struct ResidualNetwork {
    stem: Stem,
    conv1: ConvNorm,
    stages: Vec<Vec<ResidualBlock>>,
    head: Linear,
}

impl ResidualNetwork {
    pub(crate) fn new(
        builder: &mut Builder<'_>,
        channels: usize,
        classes: usize,
        config: ResidualConfig<'_>,
    ) -> Self {
        let first = match config.stem {
            Stem::Small => Conv2dConfig::new(channels, config.stem_width, 3).padding(1),
            Stem::Large => Conv2dConfig::new(channels, config.stem_width, 7)
                .stride(2)
                .padding(3),
        };
        let conv1 = ConvNorm::new(builder, "conv1", "bn1", first.kaiming_fan_out());
        let mut width = config.stem_width;
        let mut stages = Vec::new();
        for (index, &(inner, blocks)) in config.stages.iter().enumerate() {
            let mut stage = Vec::new();
            for i in 0..blocks {
                let stride = if index > 0 && i == 0 { 2 } else { 1 };
                let builder = builder.sub(format!("layer{}.{i}", index + 1));
                stage.push(ResidualBlock::new(
                    builder,
                    [width, inner, stride],
                    config.block,
                    config.shortcut,
                ));
                width = inner * config.block.expansion();
            }
            stages.push(stage);
        }
        let head = Linear::new(builder.sub(config.head), width, classes);
        Self {
            stem: config.stem,
            conv1,
            stages,
            head,
        }
    }
}

impl Architecture for ResidualNetwork {
    fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["stem".to_owned()];
        let mut number = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            names.extend((number..number + stage.len()).map(|number| format!("block{number}")));
            number += stage.len();
            // The sum is there before the last block is done.
            names.insert(names.len() - 1, format!("stage{}.preact", index + 1));
            names.push(format!("stage{}", index + 1));
        }
        names.push("pooled".to_owned());
        names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = self.conv1.forward_relu(pass, images);
        if self.stem == Stem::Large {
            x = max_pool2d(x, 3, 2, 1);
        }
        pass.tap_map("stem", &x);
        let mut number = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            for (i, block) in stage.iter().enumerate() {
                let preact = format!("stage{}.preact", index + 1);
                if i + 1 == stage.len() && pass.wants(&preact) {
                    let sum = block.forward(pass, x);
                    pass.tap_map(&preact, &sum);
                    x = relu(sum);
                } else {
                    x = block.forward_relu(pass, x);
                }
                pass.tap_map(&format!("block{number}"), &x);
                number += 1;
            }
            pass.tap_map(&format!("stage{}", index + 1), &x);
        }
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.head.forward(pass, pooled))
    }
}

/// `stem`, `stage1.preact`, `stage1`, …, `pooled`.
pub(crate) fn stage_taps(stages: usize) -> Vec<String> {
    let mut names = vec!["stem".to_owned()];
    for stage in 1..=stages {
        names.push(format!("stage{stage}.preact"));
        names.push(format!("stage{stage}"));
    }
    names.push("pooled".to_owned());
    names
}

/// Residual blocks one after the other, such as a stage of a ResNet made once more for a classifier
/// beside it. State-dict names `{i}.*`, the 1×1 projection `downsample`.
#[derive(Debug)]
pub struct ResidualStage {
    blocks: Vec<ResidualBlock>,
}

impl ResidualStage {
    /// `count` blocks from `input` to `output` channels, a multiple of [`Block::expansion`]; the
    /// first has the stride.
    pub fn new(
        mut builder: Builder<'_>,
        [input, output, stride]: [usize; 3],
        count: usize,
        block: Block,
    ) -> Self {
        let inner = output / block.expansion();
        let blocks = (0..count).map(|i| {
            let shape = match i {
                0 => [input, inner, stride],
                _ => [output, inner, 1],
            };
            ResidualBlock::new(builder.sub(i), shape, block, "downsample")
        });
        Self {
            blocks: blocks.collect(),
        }
    }

    /// `[B, C, H, W]` → `[B, O, ⌈H/stride⌉, ⌈W/stride⌉]`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let blocks = self.blocks.iter();
        blocks.fold(x, |x, block| block.forward_relu(pass, x))
    }
}

#[derive(Debug)]
struct ResidualBlock {
    /// Each followed by ReLU.
    inner: Vec<ConvNorm>,
    last: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl ResidualBlock {
    fn new(
        mut builder: Builder<'_>,
        [input, width, stride]: [usize; 3],
        block: Block,
        shortcut_name: &str,
    ) -> Self {
        let output = width * block.expansion();
        let shapes = match block {
            Block::Basic => vec![
                Conv2dConfig::new(input, width, 3).stride(stride).padding(1),
                Conv2dConfig::new(width, width, 3).padding(1),
            ],
            Block::Bottleneck => vec![
                Conv2dConfig::new(input, width, 1),
                Conv2dConfig::new(width, width, 3).stride(stride).padding(1),
                Conv2dConfig::new(width, output, 1),
            ],
        };
        let mut inner: Vec<ConvNorm> = (1..)
            .zip(shapes)
            .map(|(i, shape)| {
                let (conv, norm) = (format!("conv{i}"), format!("bn{i}"));
                ConvNorm::new(&mut builder, conv, norm, shape.kaiming_fan_out())
            })
            .collect();
        let last = inner.remove(inner.len() - 1);
        let shortcut = (stride != 1 || input != output).then(|| {
            ConvNorm::new(
                &mut builder,
                format_args!("{shortcut_name}.0"),
                format_args!("{shortcut_name}.1"),
                Conv2dConfig::new(input, output, 1)
                    .stride(stride)
                    .kaiming_fan_out(),
            )
        });
        Self {
            inner,
            last,
            shortcut,
        }
    }

    /// The sum before the block's last ReLU.
    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let (last, y, identity) = self.before_last(pass, x);
        last.forward_joined(pass, y, identity, Activation::Identity)
    }

    /// [`ResidualBlock::forward`], then ReLU.
    fn forward_relu(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let (last, y, identity) = self.before_last(pass, x);
        last.forward_joined(pass, y, identity, Activation::Relu)
    }

    /// The last layer, its input, and what is added to its output.
    fn before_last(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> (&ConvNorm, Tensor<4>, Residual) {
        let (mut y, identity, rest) = match (&self.shortcut, self.inner.as_slice()) {
            (Some(shortcut), [first, rest @ ..]) => {
                let (y, identity) = first.forward_relu_beside(pass, shortcut, x);
                (y, identity, rest)
            }
            (_, inner) => (x.clone(), Residual::Map(x), inner),
        };
        for layer in rest {
            y = layer.forward_relu(pass, y);
        }
        (&self.last, y, identity)
    }
}
