//! ImageNet's MobileNetV2, in torchvision's layout.
//!
//! Sandler et al. "MobileNetV2: Inverted Residuals and Linear Bottlenecks". CVPR 2018, table 2,
//! with ReLU6 and dropout of 0.2 before the classifier. State-dict names: `features.{i}`,
//! `classifier.1`. The stages end with `features.3`, `.6`, `.13` and `.17`: a quarter, an eighth, a
//! sixteenth and a thirty-second of the size. Blocks end without activation: `stageN.preact` and
//! `stageN` are the same. Further taps: `features.0` to `features.18`.

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry, averaged::averaged, mobilenet_v2_body::MobileNetV2Body};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, Pass, TaskKind,
    layer::{Activation, ClassHead, Conv2dConfig, ConvNorm, dropout, global_avg_pool2d},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

const LAST_CHANNELS: usize = 1280;
/// Sandler et al., as released and as in torchvision.
const DROPOUT: f64 = 0.2;

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
    body: MobileNetV2Body,
    last: ConvNorm,
    classifier: ClassHead,
}

impl MobileNetV2 {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(builder: &mut Builder<'_>, input: InputShape) -> Result<Self, NnError> {
        SIZES.check("mobilenet_v2", input)?;
        let body = MobileNetV2Body::new(builder, input.channels, 0);
        let [_, _, _, channels] = body.stage_widths();
        let config = Conv2dConfig::new(channels, LAST_CHANNELS, 1).kaiming_fan_out();
        let name = format!("features.{}", body.block_count() + 1);
        let last = ConvNorm::new(
            builder,
            format_args!("{name}.0"),
            format_args!("{name}.1"),
            config,
        );
        let classifier = ClassHead::with_init(
            builder.sub("classifier.1"),
            LAST_CHANNELS,
            input.classes,
            Init::Normal(0.01),
            Some(Init::Constant(0.0)),
        );
        Ok(Self {
            body,
            last,
            classifier,
        })
    }

    /// The tap of the map that is averaged.
    fn last_tap(&self) -> String {
        format!("features.{}", self.body.block_count() + 1)
    }

    /// `[B, C]` → logits `[B, K]`.
    fn classify(&self, pass: &mut Pass<'_>, pooled: Tensor<2>) -> Feature {
        let pooled = dropout(pass, pooled, DROPOUT);
        Feature::Vector(self.classifier.forward(pass, pooled))
    }
}

impl Architecture for MobileNetV2 {
    fn tap_names(&self) -> Vec<String> {
        let mut names = self.body.tap_names();
        names.push(self.last_tap());
        names.push("pooled".to_owned());
        names
    }

    fn head_names(&self) -> &[&str] {
        &["classifier."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let x = self.body.forward(pass, images, &mut |_, _| ());
        let x = self.last.forward_with(pass, x, None, Activation::Relu6);
        pass.tap_map(&self.last_tap(), &x);
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        self.classify(pass, pooled)
    }

    fn head_tap(&self) -> Option<String> {
        Some(self.last_tap())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        Some(self.classify(pass, averaged(feature)?))
    }
}
