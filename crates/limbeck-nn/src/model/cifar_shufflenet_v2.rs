//! ShuffleNetV2 for 32×32 images, in the layout of RepDistiller and mdistiller.
//!
//! Ma, Zhang, Zheng, Sun. "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
//! Design". ECCV 2018, table 5 (1×), with a 1×1 stem. State-dict names: `conv1`, `bn1`,
//! `layer{1..3}.{i}.*`, `conv2`, `bn2`, `linear`. `stageN.preact` is not shuffled, `stageN` is. Three
//! stages at a half, a quarter and an eighth of the size. `feature` is the map that is averaged.

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry, averaged::averaged, residual::stage_taps};
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind,
    layer::{ClassHead, Conv2dConfig, ConvNorm, global_avg_pool2d, interleave_channels},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(5);

const STEM_CHANNELS: usize = 24;
/// `(output channels, blocks after the halving one)`.
const STAGES: [(usize, usize); 3] = [(116, 3), (232, 7), (464, 3)];
const LAST_CHANNELS: usize = 1024;
/// The tap of the map that is averaged.
const FEATURE: &str = "feature";

/// The family's models.
pub static MODELS: &[ModelEntry] = &[ModelEntry {
    name: "shufflev2",
    aliases: &["shufflenetv2", "shufflenet_v2", "cifar_shufflenet_v2"],
    family: "cifar_shufflenet_v2",
    task: TaskKind::Classification,
    size: 32,
    classes: 100,
    sizes: SIZES,
    build: |builder, input| Ok(Box::new(ShuffleNetV2::new(builder, input)?)),
}];

/// ShuffleNetV2.
#[derive(Debug)]
pub struct ShuffleNetV2 {
    conv1: ConvNorm,
    stages: Vec<(DownBlock, Vec<BasicBlock>)>,
    conv2: ConvNorm,
    linear: ClassHead,
}

impl ShuffleNetV2 {
    /// Makes the parameters, all drawn by PyTorch's defaults.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(builder: &mut Builder<'_>, input: InputShape) -> Result<Self, NnError> {
        SIZES.check("shufflev2", input)?;
        let first = Conv2dConfig::new(input.channels, STEM_CHANNELS, 1);
        let conv1 = ConvNorm::new(builder, "conv1", "bn1", first);
        let mut channels = STEM_CHANNELS;
        let mut stages = Vec::new();
        for (index, (output, blocks)) in (1..).zip(STAGES) {
            let down = DownBlock::new(builder.sub(format!("layer{index}.0")), channels, output);
            let basic = (1..=blocks)
                .map(|i| BasicBlock::new(builder.sub(format!("layer{index}.{i}")), output))
                .collect();
            stages.push((down, basic));
            channels = output;
        }
        let last = Conv2dConfig::new(channels, LAST_CHANNELS, 1);
        let conv2 = ConvNorm::new(builder, "conv2", "bn2", last);
        let linear = ClassHead::new(builder.sub("linear"), LAST_CHANNELS, input.classes);
        Ok(Self {
            conv1,
            stages,
            conv2,
            linear,
        })
    }
}

impl Architecture for ShuffleNetV2 {
    fn tap_names(&self) -> Vec<String> {
        let mut names = stage_taps(self.stages.len());
        names.insert(names.len() - 1, FEATURE.to_owned());
        names
    }

    fn head_names(&self) -> &[&str] {
        &["linear."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = self.conv1.forward_relu(pass, images);
        pass.tap_map("stem", &x);
        for (index, (down, blocks)) in (1..).zip(&self.stages) {
            let down = *down;
            x = pass.unit(x, move |pass, x| down.forward(pass, x));
            for (i, block) in blocks.iter().enumerate() {
                let block = *block;
                let preact = (i + 1 == blocks.len()).then(|| format!("stage{index}.preact"));
                x = pass.unit(x, move |pass, x| block.forward(pass, x, preact.as_ref()));
            }
            pass.tap_map(&format!("stage{index}"), &x);
        }
        let x = self.conv2.forward_relu(pass, x);
        pass.tap_map(FEATURE, &x);
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.linear.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(FEATURE.to_owned())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.linear.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}

/// Layers `conv{i}`/`bn{i}` from 1 on.
fn layers<const N: usize>(builder: &mut Builder<'_>, configs: [Conv2dConfig; N]) -> [ConvNorm; N] {
    let mut number = 0;
    configs.map(|config| {
        number += 1;
        let (conv, norm) = (format!("conv{number}"), format!("bn{number}"));
        ConvNorm::new(builder, conv, norm, config)
    })
}

fn depthwise(channels: usize, stride: usize) -> Conv2dConfig {
    Conv2dConfig::new(channels, channels, 3)
        .stride(stride)
        .padding(1)
        .groups(channels)
}

/// Two branches over all channels, each halving the size.
#[derive(Clone, Copy, Debug)]
struct DownBlock {
    layers: [ConvNorm; 5],
}

impl DownBlock {
    fn new(mut builder: Builder<'_>, input: usize, output: usize) -> Self {
        let half = output / 2;
        let configs = [
            depthwise(input, 2),
            Conv2dConfig::new(input, half, 1),
            Conv2dConfig::new(input, half, 1),
            depthwise(half, 2),
            Conv2dConfig::new(half, half, 1),
        ];
        Self {
            layers: layers(&mut builder, configs),
        }
    }

    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let [
            left_depthwise,
            left_last,
            right_first,
            right_depthwise,
            right_last,
        ] = &self.layers;
        let left = left_depthwise.forward(pass, x.clone());
        let left = left_last.forward_relu(pass, left);
        let right = right_first.forward_relu(pass, x);
        let right = right_depthwise.forward(pass, right);
        let right = right_last.forward_relu(pass, right);
        interleave_channels(left, right)
    }
}

/// One half of the channels is handed on, the other goes through three convolutions.
#[derive(Clone, Copy, Debug)]
struct BasicBlock {
    layers: [ConvNorm; 3],
}

impl BasicBlock {
    fn new(mut builder: Builder<'_>, channels: usize) -> Self {
        let half = channels / 2;
        let configs = [
            Conv2dConfig::new(half, half, 1),
            depthwise(half, 1),
            Conv2dConfig::new(half, half, 1),
        ];
        Self {
            layers: layers(&mut builder, configs),
        }
    }

    /// `preact` is the tap to record both halves as, before the last ReLU and the shuffle.
    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>, preact: Option<&String>) -> Tensor<4> {
        let [first, depthwise, last] = &self.layers;
        let half = x.dims()[1] / 2;
        let kept = x.clone().narrow(1, 0, half);
        let y = first.forward_relu(pass, x.narrow(1, half, half));
        let y = depthwise.forward(pass, y);
        let y = match preact.filter(|tap| pass.wants(tap)) {
            Some(tap) => {
                let y = last.forward(pass, y);
                pass.tap_map(tap, &Tensor::cat(vec![kept.clone(), y.clone()], 1));
                last.activate(pass, y)
            }
            None => last.forward_relu(pass, y),
        };
        interleave_channels(kept, y)
    }
}
