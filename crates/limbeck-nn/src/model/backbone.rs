//! Classifiers' bodies as backbones of networks that segment: their last stages keep the size and
//! are dilated instead.

use burn::tensor::Tensor;

use super::{
    Block,
    mobilenet_v2_body::MobileNetV2Body,
    residual_body::{BodyConfig, ResidualBody, Stem},
};
use crate::{Builder, Pass};

/// Pixels of the image between two positions of the last map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStride {
    /// The last two stages are dilated.
    Eight,
    /// The last stage is dilated.
    Sixteen,
}

impl OutputStride {
    /// How many of four stages are dilated.
    fn dilated(self) -> usize {
        match self {
            OutputStride::Eight => 2,
            OutputStride::Sixteen => 1,
        }
    }
}

/// Which body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackboneKind {
    /// ImageNet's ResNet with this many blocks in its four stages.
    ResNet {
        /// Kind of block.
        block: Block,
        /// Blocks of each stage.
        blocks: [usize; 4],
        /// Three 3×3 convolutions in place of the 7×7 one.
        deep_stem: bool,
    },
    /// ImageNet's MobileNetV2 up to its last block.
    MobileNetV2,
}

impl BackboneKind {
    /// ResNet-18 with torchvision's stem.
    pub const RESNET18: Self = Self::resnet(Block::Basic, [2, 2, 2, 2]);
    /// ResNet-50 with torchvision's stem.
    pub const RESNET50: Self = Self::resnet(Block::Bottleneck, [3, 4, 6, 3]);
    /// ResNet-101 with torchvision's stem.
    pub const RESNET101: Self = Self::resnet(Block::Bottleneck, [3, 4, 23, 3]);

    const fn resnet(block: Block, blocks: [usize; 4]) -> Self {
        Self::ResNet {
            block,
            blocks,
            deep_stem: false,
        }
    }

    /// A ResNet with the deep stem; others are as they are.
    pub const fn deep(self) -> Self {
        match self {
            Self::ResNet { block, blocks, .. } => Self::ResNet {
                block,
                blocks,
                deep_stem: true,
            },
            other => other,
        }
    }

    /// Channels inside CIRKD's heads: fewer where the backbone's last map has few.
    pub(crate) const fn head_channels(self) -> usize {
        match self {
            Self::ResNet {
                block: Block::Bottleneck,
                ..
            } => 256,
            _ => 128,
        }
    }
}

/// A body of four stages.
#[derive(Debug)]
pub(crate) struct Backbone {
    body: Body,
    widths: [usize; 4],
}

#[derive(Debug)]
enum Body {
    ResNet(ResidualBody),
    MobileNetV2(MobileNetV2Body),
}

impl Backbone {
    /// Makes the parameters at the builder's level and width.
    pub(crate) fn new(
        builder: &mut Builder<'_>,
        channels: usize,
        kind: BackboneKind,
        stride: OutputStride,
    ) -> Self {
        match kind {
            BackboneKind::ResNet {
                block,
                blocks,
                deep_stem,
            } => {
                let inner = [64, 128, 256, 512].map(|width| builder.channels(width));
                let stages: Vec<_> = inner.into_iter().zip(blocks).collect();
                let config = BodyConfig {
                    stem: if deep_stem { Stem::Deep } else { Stem::Large },
                    stem_width: builder.channels(64),
                    stages: &stages,
                    dilated: stride.dilated(),
                    block,
                    shortcut: "downsample",
                };
                Self {
                    body: Body::ResNet(ResidualBody::new(builder, channels, config)),
                    widths: inner.map(|width| width * block.expansion()),
                }
            }
            BackboneKind::MobileNetV2 => {
                let body = MobileNetV2Body::new(builder, channels, stride.dilated());
                Self {
                    widths: body.stage_widths(),
                    body: Body::MobileNetV2(body),
                }
            }
        }
    }

    /// Channels that the four stages give out.
    pub(crate) fn widths(&self) -> [usize; 4] {
        self.widths
    }

    /// Names of all taps in forward order.
    pub(crate) fn tap_names(&self) -> Vec<String> {
        match &self.body {
            Body::ResNet(body) => body.tap_names(),
            Body::MobileNetV2(body) => body.tap_names(),
        }
    }

    /// `[B, C, H, W]` → the maps of the stage with the number `stage`, from 1, and of the last one.
    pub(crate) fn forward(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        stage: usize,
    ) -> [Tensor<4>; 2] {
        let mut kept = None;
        let mut see = |number: usize, map: &Tensor<4>| {
            if number == stage {
                kept = Some(map.clone());
            }
        };
        let last = match &self.body {
            Body::ResNet(body) => body.forward(pass, images, &mut see),
            Body::MobileNetV2(body) => body.forward(pass, images, &mut see),
        };
        [kept.unwrap_or_else(|| last.clone()), last]
    }
}
