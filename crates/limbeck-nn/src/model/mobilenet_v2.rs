//! ImageNet's MobileNetV2, in torchvision's layout.
//!
//! Sandler et al. "MobileNetV2: Inverted Residuals and Linear Bottlenecks". CVPR 2018, table 2,
//! with ReLU6 and dropout of 0.2 before the classifier. State-dict names: `features.{i}`,
//! `classifier.1`. The stages end with `features.3`, `.6`, `.13` and `.17`: a quarter, an eighth, a
//! sixteenth and a thirty-second of the size. Blocks end without activation: `stageN.preact` and
//! `stageN` are the same. Further taps: `features.0` to `features.18`.

use burn::tensor::Tensor;

use super::{
    ImageSizes, ModelEntry,
    inverted_residual::{InvertedResidual, InvertedShape},
};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, Pass, TaskKind,
    layer::{Activation, Conv2dConfig, ConvNorm, Linear, dropout, global_avg_pool2d},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

/// `(expansion, output channels, blocks, stride of the first)`.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
const STEM_CHANNELS: usize = 32;
const LAST_CHANNELS: usize = 1280;
/// Sandler et al., as released and as in torchvision.
const DROPOUT: f64 = 0.2;

/// Indices in `features` of the blocks that end a stage.
const STAGE_ENDS: [usize; 4] = [3, 6, 13, 17];

/// The family's models.
pub static MODELS: &[ModelEntry] = &[ModelEntry {
    name: "mobilenet_v2",
    aliases: &["imagenet_mobilenetv2"],
    family: "mobilenet_v2",
    task: TaskKind::Classification,
    size: 224,
    classes: 1000,
    sizes: SIZES,
    build: |builder, input| Ok(Box::new(MobileNetV2::new(builder, input)?)),
}];

/// MobileNetV2.
#[derive(Debug)]
pub struct MobileNetV2 {
    first: ConvNorm,
    blocks: Vec<InvertedResidual>,
    last: ConvNorm,
    classifier: Linear,
}

impl MobileNetV2 {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(builder: &mut Builder<'_>, input: InputShape) -> Result<Self, NnError> {
        SIZES.check("mobilenet_v2", input)?;
        let config = Conv2dConfig::new(input.channels, STEM_CHANNELS, 3)
            .stride(2)
            .padding(1)
            .kaiming_fan_out();
        let first = ConvNorm::new(builder, "features.0.0", "features.0.1", config);
        let mut channels = STEM_CHANNELS;
        let mut blocks = Vec::new();
        for (expansion, output, count, stride) in STAGES {
            for i in 0..count {
                let shape = InvertedShape {
                    input: channels,
                    output,
                    expansion,
                    stride: if i == 0 { stride } else { 1 },
                };
                let names: &[(&str, &str)] = match expansion {
                    1 => &[("0.0", "0.1"), ("1", "2")],
                    _ => &[("0.0", "0.1"), ("1.0", "1.1"), ("2", "3")],
                };
                let builder = builder.sub(format!("features.{}.conv", blocks.len() + 1));
                blocks.push(InvertedResidual::new(
                    builder,
                    shape,
                    names,
                    Activation::Relu6,
                ));
                channels = output;
            }
        }
        let config = Conv2dConfig::new(channels, LAST_CHANNELS, 1).kaiming_fan_out();
        let name = format!("features.{}", blocks.len() + 1);
        let last = ConvNorm::new(
            builder,
            format_args!("{name}.0"),
            format_args!("{name}.1"),
            config,
        );
        let classifier = Linear::with_init(
            builder.sub("classifier.1"),
            LAST_CHANNELS,
            input.classes,
            Init::Normal(0.01),
            Some(Init::Constant(0.0)),
        );
        Ok(Self {
            first,
            blocks,
            last,
            classifier,
        })
    }
}

impl Architecture for MobileNetV2 {
    fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["features.0".to_owned(), "stem".to_owned()];
        for index in 1..=self.blocks.len() {
            names.push(format!("features.{index}"));
            if let Some(stage) = STAGE_ENDS.iter().position(|&end| end == index) {
                names.push(format!("stage{}.preact", stage + 1));
                names.push(format!("stage{}", stage + 1));
            }
        }
        names.push(format!("features.{}", self.blocks.len() + 1));
        names.push("pooled".to_owned());
        names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = self
            .first
            .forward_with(pass, images, None, Activation::Relu6);
        pass.tap_map("features.0", &x);
        pass.tap_map("stem", &x);
        for (index, block) in (1..).zip(&self.blocks) {
            x = block.forward(pass, x);
            pass.tap_map(&format!("features.{index}"), &x);
            if let Some(stage) = STAGE_ENDS.iter().position(|&end| end == index) {
                pass.tap_map(&format!("stage{}.preact", stage + 1), &x);
                pass.tap_map(&format!("stage{}", stage + 1), &x);
            }
        }
        let x = self.last.forward_with(pass, x, None, Activation::Relu6);
        pass.tap_map(&format!("features.{}", self.blocks.len() + 1), &x);
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        let pooled = dropout(pass, pooled, DROPOUT);
        Feature::Vector(self.classifier.forward(pass, pooled))
    }
}
