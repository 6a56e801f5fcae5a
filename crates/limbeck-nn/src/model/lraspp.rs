//! LR-ASPP, in torchvision's layout.
//!
//! Howard et al. "Searching for MobileNetV3". ICCV 2019, section 6.4 and figure 10: the last map is
//! brought to 128 channels and gated by its average, and meets the second stage's (an eighth of the
//! size) in the logits. torchvision averages the whole image where the paper averages large windows.
//! State-dict names: `backbone.` with the body's own names, `classifier.cbr.{0,1}`,
//! `classifier.scale.1`, `classifier.low_classifier`, `classifier.high_classifier`. Taps: those of the
//! backbone, `feature` (the gated map, at the second stage's size), `joined` (the second stage and that
//! map side by side, which is what the two classifiers read), `logits` at an eighth of the size.
//! A suffix makes any of them narrower or wider: `lraspp_mobilenet_v2_x0.5`.

use burn::tensor::{Tensor, activation::sigmoid};

use super::{
    ImageSizes, ModelEntry,
    backbone::{Backbone, BackboneKind, OutputStride},
};
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind,
    layer::{Conv2d, Conv2dConfig, ConvNorm, adaptive_avg_pool2d, resize_bilinear},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

/// Channels of the gated map (Howard et al. 2019, table 7, with full filters).
const CHANNELS: usize = 128;

/// The tap of what the two classifiers read, side by side.
const JOINED: &str = "joined";

/// The stage at an eighth of the size.
const LOW_STAGE: usize = 2;

macro_rules! entry {
    ($name:literal, $backbone:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "lraspp",
            task: TaskKind::Segmentation,
            size: 520,
            classes: 21,
            sizes: SIZES,
            build: |builder, input| Ok(Box::new(LrAspp::new(builder, input, $backbone)?)),
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[entry!(
    "lraspp_mobilenet_v2",
    BackboneKind::MobileNetV2,
    &[]
)];

/// A backbone at an output stride of 16, and a head of few products.
#[derive(Debug)]
pub struct LrAspp {
    backbone: Backbone,
    high: ConvNorm,
    gate: Conv2d,
    low_classifier: Conv2d,
    high_classifier: Conv2d,
    /// Channels of the second stage.
    low_channels: usize,
}

impl LrAspp {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        kind: BackboneKind,
    ) -> Result<Self, NnError> {
        SIZES.check("lraspp", input)?;
        let mut below = builder.sub("backbone");
        let backbone = Backbone::new(&mut below, input.channels, kind, OutputStride::Sixteen);
        let [_, second, _, fourth] = backbone.widths();
        let channels = builder.channels(CHANNELS);
        let mut builder = builder.sub("classifier");
        let point = Conv2dConfig::new(fourth, channels, 1);
        let high = ConvNorm::new(&mut builder, "cbr.0", "cbr.1", point);
        let gate = Conv2d::new(builder.sub("scale.1"), point);
        let classifier =
            |input_channels| Conv2dConfig::new(input_channels, input.classes, 1).bias();
        let low_classifier = Conv2d::new(builder.sub("low_classifier"), classifier(second));
        let high_classifier = Conv2d::new(builder.sub("high_classifier"), classifier(channels));
        Ok(Self {
            backbone,
            high,
            gate,
            low_classifier,
            high_classifier,
            low_channels: second,
        })
    }

    /// The second stage's map and the gated one, of one size → logits.
    fn classify(&self, pass: &mut Pass<'_>, low: Tensor<4>, high: Tensor<4>) -> Feature {
        let high = self.high_classifier.forward(pass, high);
        Feature::Map(self.low_classifier.forward(pass, low) + high)
    }
}

impl Architecture for LrAspp {
    fn tap_names(&self) -> Vec<String> {
        let mut names = self.backbone.tap_names();
        names.extend(["feature", JOINED].map(str::to_owned));
        names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let [low, high] = self.backbone.forward(pass, images, LOW_STAGE);
        let [_, _, height, width] = low.dims();
        let gate = self
            .gate
            .forward(pass, adaptive_avg_pool2d(high.clone(), [1, 1]));
        let x = self.high.forward_relu(pass, high) * sigmoid(gate);
        let x = resize_bilinear(x, [height, width], false);
        pass.tap_map("feature", &x);
        pass.tap(JOINED, || {
            Feature::Map(Tensor::cat(vec![low.clone(), x.clone()], 1))
        });
        self.classify(pass, low, x)
    }

    fn backbone_prefix(&self) -> Option<&str> {
        Some("backbone.")
    }

    fn head_tap(&self) -> Option<String> {
        Some(JOINED.to_owned())
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let Feature::Map(joined) = feature else {
            return None;
        };
        let [_, channels, ..] = joined.dims();
        let low = self.low_channels;
        let high = channels.checked_sub(low).filter(|high| *high > 0)?;
        let low_map = joined.clone().narrow(1, 0, low);
        Some(self.classify(pass, low_map, joined.narrow(1, low, high)))
    }
}
