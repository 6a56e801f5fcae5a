//! ShuffleNet (3 groups) for 32×32 images, in the layout of RepDistiller and mdistiller.
//!
//! Zhang, Zhou, Lin, Sun. "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
//! Mobile Devices". CVPR 2018, table 1, with a 1×1 stem and a ReLU after the depthwise convolution
//! too. State-dict names: `conv1`, `bn1`, `layer{1..3}.{i}.*`, `linear`. Three stages at a half, a
//! quarter and an eighth of the size.

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry, averaged::averaged, residual::stage_taps};
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind,
    layer::{
        Activation, ClassHead, Conv2dConfig, ConvNorm, avg_pool2d, channel_shuffle,
        global_avg_pool2d,
    },
};

const SIZES: ImageSizes = ImageSizes::AtLeast(5);

const GROUPS: usize = 3;
const STEM_CHANNELS: usize = 24;
/// `(output channels, blocks)`; the first block of each stage halves the size.
const STAGES: [(usize, usize); 3] = [(240, 4), (480, 8), (960, 4)];

/// The family's models.
pub static MODELS: &[ModelEntry] = &[ModelEntry {
    name: "shufflev1",
    aliases: &["shufflenetv1", "shufflenet_v1", "cifar_shufflenet_v1"],
    family: "cifar_shufflenet_v1",
    task: TaskKind::Classification,
    size: 32,
    classes: 100,
    sizes: SIZES,
    build: |builder, input| Ok(Box::new(ShuffleNetV1::new(builder, input)?)),
}];

/// ShuffleNet.
#[derive(Debug)]
pub struct ShuffleNetV1 {
    conv1: ConvNorm,
    stages: Vec<Vec<ShuffleBlock>>,
    linear: ClassHead,
}

impl ShuffleNetV1 {
    /// Makes the parameters, all drawn by PyTorch's defaults.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(builder: &mut Builder<'_>, input: InputShape) -> Result<Self, NnError> {
        SIZES.check("shufflev1", input)?;
        let first = Conv2dConfig::new(input.channels, STEM_CHANNELS, 1);
        let conv1 = ConvNorm::new(builder, "conv1", "bn1", first);
        let mut channels = STEM_CHANNELS;
        let mut stages = Vec::new();
        for (index, (output, blocks)) in (1..).zip(STAGES) {
            let mut stage = Vec::new();
            for i in 0..blocks {
                let builder = builder.sub(format!("layer{index}.{i}"));
                stage.push(ShuffleBlock::new(builder, channels, output, i == 0));
                channels = output;
            }
            stages.push(stage);
        }
        let linear = ClassHead::new(builder.sub("linear"), channels, input.classes);
        Ok(Self {
            conv1,
            stages,
            linear,
        })
    }
}

impl Architecture for ShuffleNetV1 {
    fn tap_names(&self) -> Vec<String> {
        stage_taps(self.stages.len())
    }

    fn head_names(&self) -> &[&str] {
        &["linear."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = self.conv1.forward_relu(pass, images);
        pass.tap_map("stem", &x);
        for (index, stage) in (1..).zip(&self.stages) {
            for (i, block) in stage.iter().enumerate() {
                let preact = (i + 1 == stage.len()).then(|| format!("stage{index}.preact"));
                let block = *block;
                x = pass.unit(x, move |pass, x| {
                    block.forward_relu(pass, x, preact.as_deref())
                });
            }
            pass.tap_map(&format!("stage{index}"), &x);
        }
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.linear.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(format!("stage{}", self.stages.len()))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.linear.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}

#[derive(Clone, Copy, Debug)]
struct ShuffleBlock {
    layers: [ConvNorm; 3],
    /// Groups of the first convolution, and of the shuffle after it.
    groups: usize,
    /// Whether the block halves the size: its input is then pooled and concatenated, not added.
    halves: bool,
}

impl ShuffleBlock {
    fn new(mut builder: Builder<'_>, input: usize, output: usize, halves: bool) -> Self {
        let (stride, branch) = match halves {
            true => (2, output - input),
            false => (1, output),
        };
        let inner = branch / 4;
        // Too few channels for groups come from the stem.
        let groups = if input == STEM_CHANNELS { 1 } else { GROUPS };
        let configs = [
            Conv2dConfig::new(input, inner, 1).groups(groups),
            Conv2dConfig::new(inner, inner, 3)
                .stride(stride)
                .padding(1)
                .groups(inner),
            Conv2dConfig::new(inner, branch, 1).groups(GROUPS),
        ];
        let mut number = 0;
        let layers = configs.map(|config| {
            number += 1;
            let (conv, norm) = (format!("conv{number}"), format!("bn{number}"));
            ConvNorm::new(&mut builder, conv, norm, config)
        });
        Self {
            layers,
            groups,
            halves,
        }
    }

    /// What the last ReLU is given is recorded as the tap `before` where that is asked for.
    fn forward_relu(&self, pass: &mut Pass<'_>, x: Tensor<4>, before: Option<&str>) -> Tensor<4> {
        let [first, depthwise, last] = &self.layers;
        let y = first.forward_relu(pass, x.clone());
        let y = channel_shuffle(y, self.groups);
        let y = depthwise.forward_relu(pass, y);
        let before = before.filter(|tap| pass.wants(tap));
        if !self.halves && before.is_none() {
            return last.forward_with(pass, y, Some(x), Activation::Relu);
        }
        let y = match self.halves {
            true => Tensor::cat(vec![last.forward(pass, y), avg_pool2d(x, 3, 2, 1)], 1),
            false => last.forward_with(pass, y, Some(x), Activation::Identity),
        };
        if let Some(tap) = before {
            pass.tap_map(tap, &y);
        }
        last.activate(pass, y)
    }
}
