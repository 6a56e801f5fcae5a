//! ImageNet's ResNets with a stem for 32×32 images, in mdistiller's layout.
//!
//! He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition". CVPR 2016, table 1, with
//! a 3×3 convolution of stride 1 in place of the 7×7 convolution and the pooling. The literature
//! of distillation calls them `ResNet18`, `ResNet50` as it does ImageNet's own, which keep these
//! names here. State-dict names: `conv1`, `bn1`, `layer{1..4}.{i}.*` with `shortcut`, `linear`.
//! Four stages at full size, a half, a quarter and an eighth.

use super::{
    Block, ImageSizes, ModelEntry, ResidualNetwork,
    residual_body::{BodyConfig, Stem},
};
use crate::{Builder, InputShape, NnError, TaskKind};

const SIZES: ImageSizes = ImageSizes::AtLeast(5);

macro_rules! entry {
    ($name:literal, $block:ident, $blocks:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "cifar_resnet50",
            task: TaskKind::Classification,
            size: 32,
            classes: 100,
            sizes: SIZES,
            build: |builder, input| Ok(Box::new(build(builder, input, Block::$block, $blocks)?)),
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("cifar_resnet18", Basic, [2, 2, 2, 2], &["resnet18_cifar"]),
    entry!("cifar_resnet34", Basic, [3, 4, 6, 3], &["resnet34_cifar"]),
    entry!(
        "cifar_resnet50",
        Bottleneck,
        [3, 4, 6, 3],
        &["resnet50_cifar"]
    ),
    entry!(
        "cifar_resnet101",
        Bottleneck,
        [3, 4, 23, 3],
        &["resnet101_cifar"]
    ),
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
    SIZES.check("cifar_resnet50", input)?;
    let [first, second, third, fourth] = blocks;
    let config = BodyConfig {
        stem: Stem::Small,
        stem_width: 64,
        stages: &[(64, first), (128, second), (256, third), (512, fourth)],
        dilated: 0,
        block,
        shortcut: "shortcut",
    };
    Ok(ResidualNetwork::new(
        builder,
        input.channels,
        input.classes,
        config,
        "linear.",
    ))
}
