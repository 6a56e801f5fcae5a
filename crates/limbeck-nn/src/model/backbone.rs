//! Classifiers' bodies as backbones of networks that segment: their last stages keep the size and
//! are dilated instead.

use burn::tensor::Tensor;

use super::{
    Block,
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
}

impl BackboneKind {
    /// Channels inside CIRKD's heads: fewer where the backbone's last map has few.
    pub(crate) fn head_channels(self) -> usize {
        match self {
            Self::ResNet {
                block: Block::Basic,
                ..
            } => 128,
            Self::ResNet {
                block: Block::Bottleneck,
                ..
            } => 256,
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
        }
    }

    /// `[B, C, H, W]` → the last stage's map; `see` is shown what each stage gives out, by its
    /// number from 1.
    pub(crate) fn forward(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        see: &mut dyn FnMut(usize, &Tensor<4>),
    ) -> Tensor<4> {
        match &self.body {
            Body::ResNet(body) => body.forward(pass, images, see),
        }
    }
}
