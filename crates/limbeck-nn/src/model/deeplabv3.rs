//! DeepLabV3, in CIRKD's layout.
//!
//! Chen et al. "Rethinking Atrous Convolution for Semantic Image Segmentation". 2017, with the head
//! and the sizes of CIRKD (Yang et al. CVPR 2022, table 1): atrous spatial pyramid pooling to 128
//! channels (256 on bottlenecks), a 3×3 convolution, the classifier. State-dict names: `pretrained.`
//! (the backbone), `head.aspp.b{0..4}.*`, `head.aspp.project.{0,1}`, `head.block.{0,1,4}`, and
//! `auxlayer.block.{0,1,4}`, the auxiliary classifier on the third stage; torchvision's
//! `deeplabv3_resnet50` and `deeplabv3_resnet101` have the same structure, and their files are read
//! under their own names. Output stride 8, rates 12, 24 and 36; with the suffix `_os16` 16, and 6, 12
//! and 18. Backbones are torchvision's (`vanilla` in CIRKD); those called `deep` have CIRKD's stem of
//! three 3×3 convolutions. The pyramid averages the whole image: batch norm after it wants batches of
//! two at least. Taps: those of the backbone, `feature` (what the last convolution reads),
//! `auxiliary` (logits of the auxiliary classifier, computed where asked for), `logits` at the output
//! stride. A suffix makes any of them narrower or wider: `deeplabv3_resnet18_x0.25`.

use burn::tensor::Tensor;

use super::{
    ImageSizes, ModelEntry,
    aspp::{self, Aspp, AsppConfig},
    backbone::{Backbone, BackboneKind, OutputStride},
    segmentation_head::{AuxiliaryHead, ClassifierBlock},
};
use crate::{Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

/// Dropout behind the pyramid (CIRKD's `models/deeplabv3.py`, torchvision's too).
const DROPOUT: f64 = 0.5;

macro_rules! entry {
    ($name:literal, $backbone:expr, $stride:ident, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "deeplabv3",
            task: TaskKind::Segmentation,
            size: 512,
            classes: 19,
            sizes: SIZES,
            build: |builder, input| {
                let config = DeepLabV3Config {
                    backbone: $backbone,
                    output_stride: OutputStride::$stride,
                    aspp_channels: $backbone.head_channels(),
                };
                Ok(Box::new(DeepLabV3::new(builder, input, config)?))
            },
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!(
        "deeplabv3_resnet18",
        BackboneKind::RESNET18,
        Eight,
        &["deeplabv3_resnet18_os8", "deeplabv3_resnet18_vanilla"]
    ),
    entry!(
        "deeplabv3_resnet50",
        BackboneKind::RESNET50,
        Eight,
        &["deeplabv3_resnet50_os8", "deeplabv3_resnet50_vanilla"]
    ),
    entry!(
        "deeplabv3_resnet101",
        BackboneKind::RESNET101,
        Eight,
        &["deeplabv3_resnet101_os8", "deeplabv3_resnet101_vanilla"]
    ),
    entry!(
        "deeplabv3_mobilenet_v2",
        BackboneKind::MobileNetV2,
        Eight,
        &["deeplabv3_mobilenet_v2_os8"]
    ),
    entry!(
        "deeplabv3_resnet18_deep",
        BackboneKind::RESNET18.deep(),
        Eight,
        &["deeplabv3_resnet18_deep_os8"]
    ),
    entry!(
        "deeplabv3_resnet50_deep",
        BackboneKind::RESNET50.deep(),
        Eight,
        &["deeplabv3_resnet50_deep_os8"]
    ),
    entry!(
        "deeplabv3_resnet101_deep",
        BackboneKind::RESNET101.deep(),
        Eight,
        &["deeplabv3_resnet101_deep_os8"]
    ),
    entry!(
        "deeplabv3_resnet18_os16",
        BackboneKind::RESNET18,
        Sixteen,
        &[]
    ),
    entry!(
        "deeplabv3_resnet50_os16",
        BackboneKind::RESNET50,
        Sixteen,
        &[]
    ),
    entry!(
        "deeplabv3_resnet101_os16",
        BackboneKind::RESNET101,
        Sixteen,
        &[]
    ),
    entry!(
        "deeplabv3_mobilenet_v2_os16",
        BackboneKind::MobileNetV2,
        Sixteen,
        &[]
    ),
];

/// What tells one DeepLabV3 from another.
#[derive(Clone, Copy, Debug)]
pub struct DeepLabV3Config {
    /// Which backbone.
    pub backbone: BackboneKind,
    /// Pixels of the image between two positions of the last map.
    pub output_stride: OutputStride,
    /// Channels of the pyramid's branches and of the feature, before the builder's width.
    pub aspp_channels: usize,
}

/// A dilated backbone, atrous spatial pyramid pooling, and two classifiers.
#[derive(Debug)]
pub struct DeepLabV3 {
    backbone: Backbone,
    aspp: Aspp,
    head: ClassifierBlock,
    auxiliary: AuxiliaryHead,
}

impl DeepLabV3 {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: DeepLabV3Config,
    ) -> Result<Self, NnError> {
        SIZES.check("deeplabv3", input)?;
        let DeepLabV3Config {
            backbone,
            output_stride,
            aspp_channels,
        } = config;
        let mut below = builder.sub("pretrained");
        let backbone = Backbone::new(&mut below, input.channels, backbone, output_stride);
        let [_, _, third, fourth] = backbone.widths();
        let channels = builder.channels(aspp_channels);
        let pyramid = AsppConfig {
            input: fourth,
            output: channels,
            rates: output_stride.rates(),
            names: aspp::CIRKD,
            dropout: DROPOUT,
            kaiming: false,
        };
        let aspp = Aspp::new(builder.sub("head.aspp"), pyramid);
        let shape = [channels, channels, input.classes];
        let head = ClassifierBlock::new(builder.sub("head"), shape, "block.4");
        let auxiliary = AuxiliaryHead::new(builder, third, input.classes);
        Ok(Self {
            backbone,
            aspp,
            head,
            auxiliary,
        })
    }
}

impl Architecture for DeepLabV3 {
    fn tap_names(&self) -> Vec<String> {
        let mut names = self.backbone.tap_names();
        names.extend(["feature".to_owned(), AuxiliaryHead::TAP.to_owned()]);
        names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let [third, x] = self.backbone.forward(pass, images, AuxiliaryHead::STAGE);
        let x = self.aspp.forward(pass, x);
        let logits = self.head.forward(pass, x, Some("feature"));
        self.auxiliary.run(pass, third);
        Feature::Map(logits)
    }

    fn backbone_prefix(&self) -> Option<&str> {
        Some("pretrained.")
    }

    fn head_tap(&self) -> Option<String> {
        Some("feature".to_owned())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        match feature {
            Feature::Map(map) => Some(Feature::Map(self.head.classify(pass, map))),
            _ => None,
        }
    }
}
