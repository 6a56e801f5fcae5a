//! PSPNet, in CIRKD's layout.
//!
//! Zhao et al. "Pyramid Scene Parsing Network". CVPR 2017, with the head and the sizes of CIRKD
//! (Yang et al. CVPR 2022), at an output stride of 8. State-dict names: `pretrained.` (the backbone),
//! `head.psp.conv{1..4}.{0,1}`, `head.block.{0,1}`, `head.classifier`, and `auxlayer.block.{0,1,4}`, the
//! auxiliary classifier on the third stage. Backbones are torchvision's (`vanilla` in CIRKD); those
//! called `deep` have CIRKD's stem of three 3×3 convolutions, with which the literature's sizes are
//! counted. Taps: those of the backbone, `feature` (what the last convolution reads), `auxiliary`
//! (logits of the auxiliary classifier, computed where asked for), `logits` at an eighth of the size.
//! A suffix makes any of them narrower or wider: `pspnet_resnet18_x0.25`.

use burn::tensor::Tensor;

use super::{
    ImageSizes, ModelEntry,
    backbone::{Backbone, BackboneKind, OutputStride},
    segmentation_head::{AuxiliaryHead, ClassifierBlock},
};
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind,
    layer::{Conv2dConfig, ConvNorm, adaptive_avg_pool2d, resize_bilinear},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

/// Rows and columns of the pyramid's levels (Zhao et al. section 3.2).
const BINS: [usize; 4] = [1, 2, 3, 6];

macro_rules! entry {
    ($name:literal, $backbone:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "pspnet",
            task: TaskKind::Segmentation,
            size: 512,
            classes: 19,
            sizes: SIZES,
            build: |builder, input| Ok(Box::new(PspNet::new(builder, input, $backbone)?)),
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!(
        "pspnet_resnet18",
        BackboneKind::RESNET18,
        &["pspnet_resnet18_vanilla"]
    ),
    entry!(
        "pspnet_resnet50",
        BackboneKind::RESNET50,
        &["pspnet_resnet50_vanilla"]
    ),
    entry!(
        "pspnet_resnet101",
        BackboneKind::RESNET101,
        &["pspnet_resnet101_vanilla"]
    ),
    entry!("pspnet_mobilenet_v2", BackboneKind::MobileNetV2, &[]),
    entry!("pspnet_resnet18_deep", BackboneKind::RESNET18.deep(), &[]),
    entry!("pspnet_resnet50_deep", BackboneKind::RESNET50.deep(), &[]),
    entry!("pspnet_resnet101_deep", BackboneKind::RESNET101.deep(), &[]),
];

/// A dilated backbone, a pyramid of averages beside its last map, and two classifiers.
#[derive(Debug)]
pub struct PspNet {
    backbone: Backbone,
    pyramid: Vec<ConvNorm>,
    head: ClassifierBlock,
    auxiliary: AuxiliaryHead,
}

impl PspNet {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        kind: BackboneKind,
    ) -> Result<Self, NnError> {
        SIZES.check("pspnet", input)?;
        let backbone = Backbone::new(
            &mut builder.sub("pretrained"),
            input.channels,
            kind,
            OutputStride::Eight,
        );
        let [_, _, third, fourth] = backbone.widths();
        let level = (fourth / BINS.len()).max(1);
        let pyramid = (1..=BINS.len()).map(|i| {
            let config = Conv2dConfig::new(fourth, level, 1);
            let mut builder = builder.sub(format!("head.psp.conv{i}"));
            ConvNorm::new(&mut builder, "0", "1", config)
        });
        let pyramid = pyramid.collect();
        let inner = builder.channels(kind.head_channels());
        let channels = [fourth + BINS.len() * level, inner, input.classes];
        let head = ClassifierBlock::new(builder.sub("head"), channels, "classifier");
        let auxiliary = AuxiliaryHead::new(builder, third, input.classes);
        Ok(Self {
            backbone,
            pyramid,
            head,
            auxiliary,
        })
    }
}

impl Architecture for PspNet {
    fn tap_names(&self) -> Vec<String> {
        let mut names = self.backbone.tap_names();
        names.extend(["feature".to_owned(), AuxiliaryHead::TAP.to_owned()]);
        names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let [third, x] = self.backbone.forward(pass, images, AuxiliaryHead::STAGE);
        let [_, _, height, width] = x.dims();
        let mut maps = vec![x.clone()];
        for (level, bins) in self.pyramid.iter().zip(BINS) {
            let averages = adaptive_avg_pool2d(x.clone(), [bins; 2]);
            let averages = level.forward_relu(pass, averages);
            maps.push(resize_bilinear(averages, [height, width], true));
        }
        let logits = self
            .head
            .forward(pass, Tensor::cat(maps, 1), Some("feature"));
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
