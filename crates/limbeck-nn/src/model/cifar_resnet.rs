//! ResNets for 32×32 images, in the layout of RepDistiller and mdistiller.
//!
//! He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition". CVPR 2016, section 4.2;
//! the `x4` nets are four times as wide (Tian et al. "Contrastive Representation Distillation".
//! ICLR 2020). State-dict names: `conv1`, `bn1`, `layer{1..3}.{i}.*`, `fc`. Three stages at full,
//! half and quarter size.

use super::{
    Block, ImageSizes, ModelEntry, ResidualNetwork,
    residual_body::{BodyConfig, Stem},
};
use crate::{Builder, InputShape, NnError, TaskKind};

const SIZES: ImageSizes = ImageSizes::AtLeast(3);

/// Channels of the stem and of the three stages.
const NARROW: [usize; 4] = [16, 16, 32, 64];
const WIDE: [usize; 4] = [32, 64, 128, 256];

macro_rules! entry {
    ($name:literal, $depth:literal, $filters:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "cifar_resnet",
            task: TaskKind::Classification,
            size: 32,
            classes: 100,
            sizes: SIZES,
            build: |builder, input| {
                let net = build(builder, input, $depth, $filters, Block::Basic)?;
                Ok(Box::new(net))
            },
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("resnet8", 8, NARROW, &["cifar_resnet8"]),
    entry!("resnet14", 14, NARROW, &["cifar_resnet14"]),
    entry!("resnet20", 20, NARROW, &["cifar_resnet20"]),
    entry!("resnet32", 32, NARROW, &["cifar_resnet32"]),
    entry!("resnet44", 44, NARROW, &["cifar_resnet44"]),
    entry!("resnet56", 56, NARROW, &["cifar_resnet56"]),
    entry!("resnet110", 110, NARROW, &["cifar_resnet110"]),
    entry!("resnet8x4", 8, WIDE, &["resnet_8x4"]),
    entry!("resnet32x4", 32, WIDE, &["resnet_32x4"]),
];

/// Makes a ResNet of three stages; `filters` are the channels of the stem and of the stages
/// (inner channels for bottlenecks).
///
/// # Errors
/// A depth that is not 6n + 2 (basic) or 9n + 2 (bottleneck); images that are too small.
pub fn build(
    builder: &mut Builder<'_>,
    input: InputShape,
    depth: usize,
    filters: [usize; 4],
    block: Block,
) -> Result<ResidualNetwork, NnError> {
    let model = format!("resnet{depth}");
    SIZES.check(&model, input)?;
    let layers = match block {
        Block::Basic => 6,
        Block::Bottleneck => 9,
    };
    if depth < layers + 2 || !(depth - 2).is_multiple_of(layers) {
        return Err(NnError::Unsupported {
            model,
            reason: format!("found a depth of {depth}, it needs {layers}n + 2"),
        });
    }
    let blocks = (depth - 2) / layers;
    let [stem_width, widths @ ..] = filters;
    let config = BodyConfig {
        stem: Stem::Small,
        stem_width,
        stages: &widths.map(|width| (width, blocks)),
        dilated: 0,
        block,
        shortcut: "downsample",
    };
    Ok(ResidualNetwork::new(
        builder,
        input.channels,
        input.classes,
        config,
        "fc.",
    ))
}
