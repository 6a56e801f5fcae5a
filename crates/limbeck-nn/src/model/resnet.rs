//! ImageNet's ResNets, in torchvision's layout.
//!
//! He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition". CVPR 2016, table 1; in
//! bottlenecks the 3×3 convolution has the stride. State-dict names: `conv1`, `bn1`,
//! `layer{1..4}.{i}.*` with `downsample`, `fc`. `stem` is the output of the max-pooling; four
//! stages at a quarter, an eighth, a sixteenth and a thirty-second of the size.

use super::{
    Block, ImageSizes, ModelEntry, ResidualNetwork,
    residual_body::{BodyConfig, Stem},
};
use crate::{Builder, InputShape, NnError, TaskKind};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

macro_rules! entry {
    ($name:literal, $block:ident, $blocks:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "resnet",
            task: TaskKind::Classification,
            size: 224,
            classes: 1000,
            sizes: SIZES,
            build: |builder, input| Ok(Box::new(build(builder, input, Block::$block, $blocks)?)),
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("resnet18", Basic, [2, 2, 2, 2], &["resnet_18"]),
    entry!("resnet34", Basic, [3, 4, 6, 3], &["resnet_34"]),
    entry!("resnet50", Bottleneck, [3, 4, 6, 3], &["resnet_50"]),
    entry!("resnet101", Bottleneck, [3, 4, 23, 3], &["resnet_101"]),
];

/// Makes a ResNet with this many blocks in its four stages.
///
/// # Errors
/// Images that are too small.
pub fn build(
    builder: &mut Builder<'_>,
    input: InputShape,
    block: Block,
    blocks: [usize; 4],
) -> Result<ResidualNetwork, NnError> {
    SIZES.check("resnet", input)?;
    let [first, second, third, fourth] = blocks;
    let config = BodyConfig {
        stem: Stem::Large,
        stem_width: 64,
        stages: &[(64, first), (128, second), (256, third), (512, fourth)],
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
