//! ImageNet's MobileNet, in mdistiller's layout.
//!
//! Howard et al. "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
//! Applications". arXiv 1704.04861, table 1. State-dict names: `model.{i}.{j}`, `fc`. `stem` is the
//! output of `model.0`; the stages end with `model.3`, `.5`, `.11` and `.13`: a quarter, an eighth, a
//! sixteenth and a thirty-second of the size.

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry, averaged::averaged, residual::stage_taps};
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind,
    layer::{ClassHead, Conv2dConfig, ConvNorm, global_avg_pool2d},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

const STEM_CHANNELS: usize = 32;
/// `(output channels, stride)` of the depthwise separable convolutions.
const LAYERS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// Indices in `model` of the layers that end a stage.
const STAGE_ENDS: [usize; 4] = [3, 5, 11, 13];

/// The family's models.
pub static MODELS: &[ModelEntry] = &[ModelEntry {
    name: "mobilenet_v1",
    aliases: &["mobilenetv1", "mobilenet"],
    family: "mobilenet_v1",
    task: TaskKind::Classification,
    size: 224,
    classes: 1000,
    sizes: SIZES,
    build: |builder, input| Ok(Box::new(MobileNetV1::new(builder, input)?)),
}];

/// MobileNet.
#[derive(Debug)]
pub struct MobileNetV1 {
    first: ConvNorm,
    /// Depthwise 3×3 and 1×1.
    layers: Vec<[ConvNorm; 2]>,
    fc: ClassHead,
}

impl MobileNetV1 {
    /// Makes the parameters, all drawn by PyTorch's defaults.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(builder: &mut Builder<'_>, input: InputShape) -> Result<Self, NnError> {
        SIZES.check("mobilenet_v1", input)?;
        let config = Conv2dConfig::new(input.channels, STEM_CHANNELS, 3)
            .stride(2)
            .padding(1);
        let first = ConvNorm::new(builder, "model.0.0", "model.0.1", config);
        let mut channels = STEM_CHANNELS;
        let mut layers = Vec::new();
        for (index, (output, stride)) in (1..).zip(LAYERS) {
            let mut builder = builder.sub(format!("model.{index}"));
            let depthwise = Conv2dConfig::new(channels, channels, 3)
                .stride(stride)
                .padding(1)
                .groups(channels);
            let pointwise = Conv2dConfig::new(channels, output, 1);
            layers.push([
                ConvNorm::new(&mut builder, 0, 1, depthwise),
                ConvNorm::new(&mut builder, 3, 4, pointwise),
            ]);
            channels = output;
        }
        let fc = ClassHead::new(builder.sub("fc"), channels, input.classes);
        Ok(Self { first, layers, fc })
    }
}

impl Architecture for MobileNetV1 {
    fn tap_names(&self) -> Vec<String> {
        stage_taps(STAGE_ENDS.len())
    }

    fn head_names(&self) -> &[&str] {
        &["fc."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = self.first.forward_relu(pass, images);
        pass.tap_map("stem", &x);
        for (index, [depthwise, pointwise]) in (1..).zip(&self.layers) {
            let stage = STAGE_ENDS.iter().position(|&end| end == index);
            let preact = stage.map(|stage| format!("stage{}.preact", stage + 1));
            let (depthwise, pointwise) = (*depthwise, *pointwise);
            x = pass.unit(x, move |pass, x| {
                let x = depthwise.forward_relu(pass, x);
                pointwise.forward_relu_tapped(pass, x, preact.as_deref())
            });
            if let Some(stage) = stage {
                pass.tap_map(&format!("stage{}", stage + 1), &x);
            }
        }
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.fc.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(format!("stage{}", STAGE_ENDS.len()))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.fc.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}
