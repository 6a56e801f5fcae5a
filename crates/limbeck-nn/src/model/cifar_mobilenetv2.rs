//! MobileNetV2 of half width for 32×32 images, in the layout of RepDistiller and mdistiller.
//!
//! Sandler et al. "MobileNetV2: Inverted Residuals and Linear Bottlenecks". CVPR 2018, table 2,
//! with plain ReLU, half the channels, fewer strides and a first 1×1 convolution in every block,
//! an expansion of 1 included. State-dict names: `conv1`,
//! `blocks.{s}.{i}.conv`, `conv2`, `classifier.0`. The stages end with `blocks.1`, `.2`, `.4` and
//! `.6`: a half, a quarter, an eighth and a sixteenth of the size. Blocks end without activation:
//! `stageN.preact` and `stageN` are the same. `feature` is the map that is averaged.

use burn::tensor::Tensor;

use super::{
    ImageSizes, ModelEntry,
    averaged::averaged,
    inverted_residual::{InvertedResidual, InvertedShape},
    residual::stage_taps,
};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, Pass, TaskKind,
    layer::{Activation, ClassHead, Conv2dConfig, ConvNorm, global_avg_pool2d},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(9);

/// `(expansion, output channels, blocks, stride of the first)`, channels halved already.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 8, 1, 1),
    (6, 12, 2, 1),
    (6, 16, 3, 2),
    (6, 32, 4, 2),
    (6, 48, 3, 1),
    (6, 80, 3, 2),
    (6, 160, 1, 1),
];
const STEM_CHANNELS: usize = 16;
const LAST_CHANNELS: usize = 1280;
/// The tap of the map that is averaged.
const FEATURE: &str = "feature";

/// Indices of the blocks that end a stage.
const STAGE_ENDS: [usize; 4] = [1, 2, 4, 6];

/// The family's models.
pub static MODELS: &[ModelEntry] = &[ModelEntry {
    name: "mobilenetv2",
    aliases: &["mobile_half", "cifar_mobilenetv2"],
    family: "cifar_mobilenetv2",
    task: TaskKind::Classification,
    size: 32,
    classes: 100,
    sizes: SIZES,
    build: |builder, input| Ok(Box::new(CifarMobileNetV2::new(builder, input)?)),
}];

/// MobileNetV2 of half width.
#[derive(Debug)]
pub struct CifarMobileNetV2 {
    conv1: ConvNorm,
    blocks: Vec<Vec<InvertedResidual>>,
    conv2: ConvNorm,
    classifier: ClassHead,
}

impl CifarMobileNetV2 {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(builder: &mut Builder<'_>, input: InputShape) -> Result<Self, NnError> {
        SIZES.check("mobilenetv2", input)?;
        let first = Conv2dConfig::new(input.channels, STEM_CHANNELS, 3)
            .stride(2)
            .padding(1)
            .kaiming_fan_out();
        let conv1 = ConvNorm::new(builder, "conv1.0", "conv1.1", first);
        let mut channels = STEM_CHANNELS;
        let mut blocks = Vec::new();
        for (s, (expansion, output, count, stride)) in STAGES.into_iter().enumerate() {
            let mut stage = Vec::new();
            for i in 0..count {
                let shape = InvertedShape {
                    input: channels,
                    output,
                    expansion,
                    stride: if i == 0 { stride } else { 1 },
                    dilation: 1,
                };
                stage.push(InvertedResidual::new(
                    builder.sub(format!("blocks.{s}.{i}.conv")),
                    shape,
                    &[("0", "1"), ("3", "4"), ("6", "7")],
                    Activation::Relu,
                ));
                channels = output;
            }
            blocks.push(stage);
        }
        let last = Conv2dConfig::new(channels, LAST_CHANNELS, 1).kaiming_fan_out();
        let conv2 = ConvNorm::new(builder, "conv2.0", "conv2.1", last);
        let classifier = ClassHead::with_init(
            builder.sub("classifier.0"),
            LAST_CHANNELS,
            input.classes,
            Init::Normal(0.01),
            Some(Init::Constant(0.0)),
        );
        Ok(Self {
            conv1,
            blocks,
            conv2,
            classifier,
        })
    }
}

impl Architecture for CifarMobileNetV2 {
    fn tap_names(&self) -> Vec<String> {
        let mut names = stage_taps(STAGE_ENDS.len());
        names.insert(names.len() - 1, FEATURE.to_owned());
        names
    }

    fn head_names(&self) -> &[&str] {
        &["classifier."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = self.conv1.forward_relu(pass, images);
        pass.tap_map("stem", &x);
        for (index, stage) in self.blocks.iter().enumerate() {
            for block in stage {
                let block = block.clone();
                x = pass.unit(x, move |pass, x| block.forward(pass, x));
            }
            if let Some(stage) = STAGE_ENDS.iter().position(|&end| end == index) {
                pass.tap_map(&format!("stage{}.preact", stage + 1), &x);
                pass.tap_map(&format!("stage{}", stage + 1), &x);
            }
        }
        let x = self.conv2.forward_relu(pass, x);
        pass.tap_map(FEATURE, &x);
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.classifier.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(FEATURE.to_owned())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.classifier.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}
