//! DeepLabV3+, in VainF's layout.
//!
//! Chen et al. "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation".
//! ECCV 2018, section 3, with plain convolutions, as in VainF/DeepLabV3Plus-Pytorch. State-dict names:
//! `backbone.`, `classifier.project.{0,1}` (the first stage to 48 channels), `classifier.aspp.*`,
//! `classifier.classifier.{0,1,3}`. Output stride 16, rates 6, 12 and 18; with the suffix `_os8` 8, and
//! 12, 24 and 36. The pyramid averages the whole image: batch norm after it wants batches of two at
//! least. Taps: those of the backbone, `aspp` (what the pyramid gives out), `feature` (what the last
//! convolution reads), `logits` at a quarter of the size. A suffix makes any of them narrower or
//! wider: `deeplabv3plus_resnet18_x0.25`.

use burn::tensor::Tensor;

use super::{
    ImageSizes, ModelEntry,
    aspp::{self, Aspp, AsppConfig, kaiming_fan_in},
    backbone::{Backbone, BackboneKind, OutputStride},
};
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind,
    layer::{Conv2d, Conv2dConfig, ConvNorm, resize_bilinear},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

/// Channels of the pyramid and of the decoder (Chen et al. 2018, section 4).
const CHANNELS: usize = 256;
/// Channels that the first stage is brought to (Chen et al. 2018, table 1).
const LOW_CHANNELS: usize = 48;
/// Dropout behind the pyramid (VainF's `network/_deeplab.py`).
const DROPOUT: f64 = 0.1;

macro_rules! entry {
    ($name:literal, $backbone:expr, $stride:ident, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "deeplabv3plus",
            task: TaskKind::Segmentation,
            size: 513,
            classes: 21,
            sizes: SIZES,
            build: |builder, input| {
                let stride = OutputStride::$stride;
                Ok(Box::new(DeepLabV3Plus::new(
                    builder, input, $backbone, stride,
                )?))
            },
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!(
        "deeplabv3plus_resnet18",
        BackboneKind::RESNET18,
        Sixteen,
        &["deeplabv3plus_resnet18_os16"]
    ),
    entry!(
        "deeplabv3plus_resnet50",
        BackboneKind::RESNET50,
        Sixteen,
        &["deeplabv3plus_resnet50_os16"]
    ),
    entry!(
        "deeplabv3plus_resnet101",
        BackboneKind::RESNET101,
        Sixteen,
        &["deeplabv3plus_resnet101_os16"]
    ),
    entry!(
        "deeplabv3plus_mobilenet_v2",
        BackboneKind::MobileNetV2,
        Sixteen,
        &["deeplabv3plus_mobilenet_v2_os16", "deeplabv3plus_mobilenet"]
    ),
    entry!(
        "deeplabv3plus_resnet18_os8",
        BackboneKind::RESNET18,
        Eight,
        &[]
    ),
    entry!(
        "deeplabv3plus_resnet50_os8",
        BackboneKind::RESNET50,
        Eight,
        &[]
    ),
    entry!(
        "deeplabv3plus_resnet101_os8",
        BackboneKind::RESNET101,
        Eight,
        &[]
    ),
    entry!(
        "deeplabv3plus_mobilenet_v2_os8",
        BackboneKind::MobileNetV2,
        Eight,
        &[]
    ),
];

/// A dilated backbone, atrous spatial pyramid pooling, and a decoder that sees the first stage.
#[derive(Debug)]
pub struct DeepLabV3Plus {
    backbone: Backbone,
    low: ConvNorm,
    aspp: Aspp,
    decoder: ConvNorm,
    classifier: Conv2d,
}

impl DeepLabV3Plus {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        kind: BackboneKind,
        stride: OutputStride,
    ) -> Result<Self, NnError> {
        SIZES.check("deeplabv3plus", input)?;
        let mut below = builder.sub("backbone");
        let backbone = Backbone::new(&mut below, input.channels, kind, stride);
        let [first, _, _, fourth] = backbone.widths();
        let channels = builder.channels(CHANNELS);
        let low_channels = builder.channels(LOW_CHANNELS);
        let mut builder = builder.sub("classifier");
        let config = kaiming_fan_in(Conv2dConfig::new(first, low_channels, 1));
        let low = ConvNorm::new(&mut builder, "project.0", "project.1", config);
        let pyramid = AsppConfig {
            input: fourth,
            output: channels,
            rates: stride.rates(),
            names: aspp::TORCHVISION,
            dropout: DROPOUT,
            kaiming: true,
        };
        let aspp = Aspp::new(builder.sub("aspp"), pyramid);
        let config = Conv2dConfig::new(low_channels + channels, channels, 3).padding(1);
        let (convolution, norm) = ("classifier.0", "classifier.1");
        let decoder = ConvNorm::new(&mut builder, convolution, norm, kaiming_fan_in(config));
        let config = Conv2dConfig::new(channels, input.classes, 1).bias();
        let classifier = Conv2d::new(builder.sub("classifier.3"), kaiming_fan_in(config));
        Ok(Self {
            backbone,
            low,
            aspp,
            decoder,
            classifier,
        })
    }
}

impl Architecture for DeepLabV3Plus {
    fn tap_names(&self) -> Vec<String> {
        let mut names = self.backbone.tap_names();
        names.extend(["aspp", "feature"].map(str::to_owned));
        names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let [first, x] = self.backbone.forward(pass, images, 1);
        let x = self.aspp.forward(pass, x);
        pass.tap_map("aspp", &x);
        let [_, _, height, width] = first.dims();
        let low = self.low.forward_relu(pass, first);
        let x = resize_bilinear(x, [height, width], false);
        let x = Tensor::cat(vec![low, x], 1);
        let x = self.decoder.forward_relu(pass, x);
        pass.tap_map("feature", &x);
        Feature::Map(self.classifier.forward(pass, x))
    }

    fn backbone_prefix(&self) -> Option<&str> {
        Some("backbone.")
    }

    fn head_tap(&self) -> Option<String> {
        Some("feature".to_owned())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        match feature {
            Feature::Map(map) => Some(Feature::Map(self.classifier.forward(pass, map))),
            _ => None,
        }
    }
}
