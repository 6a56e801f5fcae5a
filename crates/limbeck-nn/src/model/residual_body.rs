//! The body that all ResNets share, with and without dilation: a stem, then stages of residual
//! blocks.
//!
//! A dilated stage keeps the size and spreads its kernels instead, so that each looks at as much of
//! the image as it would with the stride. Its first block still spreads them as the stage before did
//! (torchvision's `replace_stride_with_dilation`; in basic blocks, of which torchvision says nothing,
//! the second convolution has the new dilation already, as in GluonCV's and CIRKD's `resnetv1b`).

use burn::tensor::Tensor;

use super::residual_block::{Block, BlockShape, ResidualBlock};
use crate::{
    Builder, Pass,
    layer::{Conv2dConfig, ConvNorm, max_pool2d},
};

/// What stands before the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stem {
    /// 3×3 convolution: keeps the size.
    Small,
    /// 7×7 convolution with stride 2 and 3×3 max-pooling with stride 2: a quarter of the size.
    Large,
    /// Three 3×3 convolutions, the first with stride 2, the last with twice the channels, and
    /// 3×3 max-pooling with stride 2: a quarter of the size (`v1s` in GluonCV and CIRKD).
    Deep,
}

/// What tells one body from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyConfig<'a> {
    /// What stands before the stages.
    pub stem: Stem,
    /// Output channels of the stem's first convolution.
    pub stem_width: usize,
    /// `(inner width, number of blocks)` of each stage; all stages but the first halve the size.
    pub stages: &'a [(usize, usize)],
    /// How many of the last stages keep the size and are dilated instead.
    pub dilated: usize,
    /// Kind of block.
    pub block: Block,
    /// State-dict name of the 1×1 projection beside a block.
    pub shortcut: &'static str,
}

/// Stem and stages. Taps: `stem`, `blockN` (after block N, from 0, over all stages),
/// `stageN.preact` (the sum before a stage's last ReLU), `stageN`.
#[derive(Debug)]
pub(crate) struct ResidualBody {
    stem: Vec<ConvNorm>,
    pools: bool,
    stages: Vec<Vec<ResidualBlock>>,
    /// Output channels.
    width: usize,
}

impl ResidualBody {
    pub(crate) fn new(builder: &mut Builder<'_>, channels: usize, config: BodyConfig<'_>) -> Self {
        let (stem, mut width) = make_stem(builder, channels, config.stem, config.stem_width);
        let mut stages = Vec::new();
        let mut dilation = 1;
        for (index, &(inner, blocks)) in config.stages.iter().enumerate() {
            let before = dilation;
            let is_dilated = index + config.dilated >= config.stages.len();
            if is_dilated {
                dilation *= 2;
            }
            let mut stage = Vec::new();
            for i in 0..blocks {
                let halves = index > 0 && i == 0 && !is_dilated;
                let shape = BlockShape {
                    input: width,
                    inner,
                    stride: if halves { 2 } else { 1 },
                    first_dilation: if i == 0 { before } else { dilation },
                    dilation,
                };
                let builder = builder.sub(format!("layer{}.{i}", index + 1));
                let block = ResidualBlock::new(builder, shape, config.block, config.shortcut);
                stage.push(block);
                width = inner * config.block.expansion();
            }
            stages.push(stage);
        }
        Self {
            stem,
            pools: config.stem != Stem::Small,
            stages,
            width,
        }
    }

    /// Output channels.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Number of stages.
    pub(crate) fn stage_count(&self) -> usize {
        self.stages.len()
    }

    /// Names of all taps in forward order.
    pub(crate) fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["stem".to_owned()];
        let mut number = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            names.extend((number..number + stage.len()).map(|number| format!("block{number}")));
            number += stage.len();
            // The sum is there before the last block is done.
            names.insert(names.len() - 1, format!("stage{}.preact", index + 1));
            names.push(format!("stage{}", index + 1));
        }
        names
    }

    /// `[B, C, H, W]` → the last stage's map; `see` is shown what each stage gives out, by its
    /// number from 1.
    pub(crate) fn forward(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        see: &mut dyn FnMut(usize, &Tensor<4>),
    ) -> Tensor<4> {
        let stem = self.stem.iter();
        let mut x = stem.fold(images, |x, layer| layer.forward_relu(pass, x));
        if self.pools {
            x = max_pool2d(pass, x, 3, 2, 1);
        }
        pass.tap_map("stem", &x);
        let mut number = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            for (i, block) in stage.iter().enumerate() {
                let preact = format!("stage{}.preact", index + 1);
                if i + 1 == stage.len() && pass.wants(&preact) {
                    let sum = block.forward(pass, x);
                    pass.tap_map(&preact, &sum);
                    x = block.activate(pass, sum);
                } else {
                    let block = block.clone();
                    x = pass.unit(x, move |pass, x| block.forward_relu(pass, x));
                }
                pass.tap_map(&format!("block{number}"), &x);
                number += 1;
            }
            pass.tap_map(&format!("stage{}", index + 1), &x);
            see(index + 1, &x);
        }
        x
    }
}

/// The stem's convolutions, and the channels that the last of them gives out.
fn make_stem(
    builder: &mut Builder<'_>,
    channels: usize,
    stem: Stem,
    width: usize,
) -> (Vec<ConvNorm>, usize) {
    let small = |input, output| Conv2dConfig::new(input, output, 3).padding(1);
    let large = |input, output| Conv2dConfig::new(input, output, 7).stride(2).padding(3);
    let configs = match stem {
        Stem::Small => vec![small(channels, width)],
        Stem::Large => vec![large(channels, width)],
        Stem::Deep => vec![
            small(channels, width).stride(2),
            small(width, width),
            small(width, 2 * width),
        ],
    };
    let output = match stem {
        Stem::Small | Stem::Large => width,
        Stem::Deep => 2 * width,
    };
    let layers = (1..).zip(configs).map(|(i, config)| {
        let (convolution, norm) = (format!("conv{i}"), format!("bn{i}"));
        ConvNorm::new(builder, convolution, norm, config.kaiming_fan_out())
    });
    (layers.collect(), output)
}
