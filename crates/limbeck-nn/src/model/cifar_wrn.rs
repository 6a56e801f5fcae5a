//! Wide ResNets for 32×32 images, in the layout of RepDistiller and mdistiller.
//!
//! Zagoruyko, Komodakis. "Wide Residual Networks". BMVC 2016. State-dict names: `conv1`,
//! `block{1..3}.layer.{i}.*`, `bn1`, `fc`. Norms and activations stand before the convolutions:
//! `stem` and `stageN` are raw sums, and `stageN.preact` is the sum after the batch norm that reads
//! it next, before its ReLU; `feature` is the map that is averaged. Three stages at full, half and
//! quarter size.

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry, averaged::averaged};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, Pass, TaskKind,
    layer::{BatchNorm2d, ClassHead, Conv2d, Conv2dConfig, ConvNorm, dropout, global_avg_pool2d},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(3);

/// The tap of the map that is averaged.
const FEATURE: &str = "feature";

macro_rules! entry {
    ($name:literal, $depth:literal, $widening:literal, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "cifar_wrn",
            task: TaskKind::Classification,
            size: 32,
            classes: 100,
            sizes: SIZES,
            build: |builder, input| {
                let net = WideResNet::new(builder, input, $depth, $widening, 0.0)?;
                Ok(Box::new(net))
            },
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("wrn_16_1", 16, 1, &["wrn16_1"]),
    entry!("wrn_16_2", 16, 2, &["wrn16_2"]),
    entry!("wrn_40_1", 40, 1, &["wrn40_1"]),
    entry!("wrn_40_2", 40, 2, &["wrn40_2"]),
];

/// A wide ResNet.
#[derive(Debug)]
pub struct WideResNet {
    conv1: Conv2d,
    stages: Vec<Vec<WideBlock>>,
    bn1: BatchNorm2d,
    fc: ClassHead,
}

impl WideResNet {
    /// `widening` times 16, 32 and 64 channels; `dropout_rate` (in `[0, 1)`, 0 in the zoo) follows
    /// the activation between a block's two convolutions.
    ///
    /// # Errors
    /// A depth that is not 6n + 4, a widening of 0, a dropout rate outside `[0, 1)`, images that
    /// are too small.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        depth: usize,
        widening: usize,
        dropout_rate: f64,
    ) -> Result<Self, NnError> {
        let model = format!("wrn_{depth}_{widening}");
        SIZES.check(&model, input)?;
        let refuse = |reason| Err(NnError::Unsupported { model, reason });
        if depth < 10 || !(depth - 4).is_multiple_of(6) {
            return refuse(format!("found a depth of {depth}, it needs 6n + 4"));
        }
        if widening == 0 {
            return refuse("found a widening of 0, it needs at least 1".to_owned());
        }
        if !(0.0..1.0).contains(&dropout_rate) {
            return refuse(format!(
                "found a dropout rate of {dropout_rate}, it needs a number from 0 to below 1"
            ));
        }
        let conv1 = Conv2d::new(
            builder.sub("conv1"),
            Conv2dConfig::new(input.channels, 16, 3)
                .padding(1)
                .kaiming_fan_out(),
        );
        let mut channels = 16;
        let mut stages = Vec::new();
        for (index, width) in [16, 32, 64].into_iter().enumerate() {
            let width = width * widening;
            let mut stage = Vec::new();
            for i in 0..(depth - 4) / 6 {
                let stride = if index > 0 && i == 0 { 2 } else { 1 };
                let builder = builder.sub(format!("block{}.layer.{i}", index + 1));
                let shape = [channels, width, stride];
                stage.push(WideBlock::new(builder, shape, dropout_rate));
                channels = width;
            }
            stages.push(stage);
        }
        let bn1 = BatchNorm2d::new(builder.sub("bn1"), channels);
        let fc = ClassHead::with_init(
            builder.sub("fc"),
            channels,
            input.classes,
            Init::pytorch_default(channels),
            Some(Init::Constant(0.0)),
        );
        Ok(Self {
            conv1,
            stages,
            bn1,
            fc,
        })
    }
}

impl Architecture for WideResNet {
    fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["stem".to_owned()];
        let mut number = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            for i in 0..stage.len() {
                // The batch norm that reads a stage's sum is in the next stage's first block.
                if i == 0 && index > 0 {
                    names.push(format!("stage{index}.preact"));
                }
                names.push(format!("block{number}"));
                number += 1;
            }
            names.push(format!("stage{}", index + 1));
        }
        names.push(format!("stage{}.preact", self.stages.len()));
        names.extend([FEATURE, "pooled"].map(str::to_owned));
        names
    }

    fn head_names(&self) -> &[&str] {
        &["fc."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = self.conv1.forward(pass, images);
        pass.tap_map("stem", &x);
        let mut number = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            for (i, block) in stage.iter().enumerate() {
                let ends = (i == 0 && index > 0).then(|| format!("stage{index}.preact"));
                let block = *block;
                x = pass.unit(x, move |pass, x| block.forward(pass, x, ends.as_deref()));
                pass.tap_map(&format!("block{number}"), &x);
                number += 1;
            }
            pass.tap_map(&format!("stage{}", index + 1), &x);
        }
        let preact = format!("stage{}.preact", self.stages.len());
        let x = self.bn1.forward_relu_tapped(pass, x, Some(&preact));
        pass.tap_map(FEATURE, &x);
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.fc.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(FEATURE.to_owned())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.fc.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}

/// Blocks of a wide ResNet one after the other, such as a stage made once more for a classifier
/// beside it. State-dict names `layer.{i}.*`.
#[derive(Debug)]
pub struct WideStage {
    blocks: Vec<WideBlock>,
}

impl WideStage {
    /// `count` blocks from `input` to `output` channels; the first has the stride.
    pub fn new(
        mut builder: Builder<'_>,
        [input, output, stride]: [usize; 3],
        count: usize,
    ) -> Self {
        let blocks = (0..count).map(|i| {
            let shape = match i {
                0 => [input, output, stride],
                _ => [output, output, 1],
            };
            WideBlock::new(builder.sub(format!("layer.{i}")), shape, 0.0)
        });
        Self {
            blocks: blocks.collect(),
        }
    }

    /// Sums that no norm has read yet, `[B, C, H, W]` → `[B, O, ⌈H/stride⌉, ⌈W/stride⌉]`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let blocks = self.blocks.iter();
        blocks.fold(x, |x, block| block.forward(pass, x, None))
    }
}

#[derive(Clone, Copy, Debug)]
struct WideBlock {
    bn1: BatchNorm2d,
    /// `conv1` and `bn2`.
    inner: ConvNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    dropout_rate: f64,
}

impl WideBlock {
    fn new(
        mut builder: Builder<'_>,
        [input, output, stride]: [usize; 3],
        dropout_rate: f64,
    ) -> Self {
        let first = Conv2dConfig::new(input, output, 3)
            .stride(stride)
            .padding(1)
            .kaiming_fan_out();
        let second = Conv2dConfig::new(output, output, 3)
            .padding(1)
            .kaiming_fan_out();
        let projection = Conv2dConfig::new(input, output, 1)
            .stride(stride)
            .kaiming_fan_out();
        Self {
            bn1: BatchNorm2d::new(builder.sub("bn1"), input),
            inner: ConvNorm::new(&mut builder, "conv1", "bn2", first),
            conv2: Conv2d::new(builder.sub("conv2"), second),
            shortcut: (stride != 1 || input != output)
                .then(|| Conv2d::new(builder.sub("convShortcut"), projection)),
            dropout_rate,
        }
    }

    /// `first_norm` is the tap to record the output of the block's first batch norm as.
    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>, first_norm: Option<&str>) -> Tensor<4> {
        let active = self.bn1.forward_relu_tapped(pass, x.clone(), first_norm);
        let identity = match &self.shortcut {
            Some(shortcut) => shortcut.forward(pass, active.clone()),
            None => x,
        };
        let y = self.inner.forward_relu(pass, active);
        let y = dropout(pass, y, self.dropout_rate);
        self.conv2.forward(pass, y) + identity
    }
}
