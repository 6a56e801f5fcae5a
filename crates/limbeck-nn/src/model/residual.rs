//! ResNets that classify: the body that all ResNets share, global average, one linear map.
//!
//! Taps: those of the body, and `pooled`.

use burn::tensor::Tensor;

use super::{
    averaged::averaged,
    residual_block::{Block, BlockShape, ResidualBlock},
    residual_body::{BodyConfig, ResidualBody},
};
use crate::{
    Architecture, Builder, Feature, Pass,
    layer::{ClassHead, global_avg_pool2d},
};

/// A ResNet.
#[derive(Debug)]
pub struct ResidualNetwork {
    body: ResidualBody,
    head: ClassHead,
    head_names: [&'static str; 1],
}

impl ResidualNetwork {
    /// `head` is what state-dict names of the last linear map begin with: `fc.`.
    pub(crate) fn new(
        builder: &mut Builder<'_>,
        channels: usize,
        classes: usize,
        config: BodyConfig<'_>,
        head: &'static str,
    ) -> Self {
        let body = ResidualBody::new(builder, channels, config);
        let linear = builder.sub(head.trim_end_matches('.'));
        Self {
            head: ClassHead::new(linear, body.width(), classes),
            head_names: [head],
            body,
        }
    }
}

impl Architecture for ResidualNetwork {
    fn tap_names(&self) -> Vec<String> {
        let mut names = self.body.tap_names();
        names.push("pooled".to_owned());
        names
    }

    fn head_names(&self) -> &[&str] {
        &self.head_names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let x = self.body.forward(pass, images, &mut |_, _| ());
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.head.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(format!("stage{}", self.body.stage_count()))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.head.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}

/// `stem`, `stage1.preact`, `stage1`, …, `pooled`.
pub(crate) fn stage_taps(stages: usize) -> Vec<String> {
    let mut names = vec!["stem".to_owned()];
    for stage in 1..=stages {
        names.push(format!("stage{stage}.preact"));
        names.push(format!("stage{stage}"));
    }
    names.push("pooled".to_owned());
    names
}

/// Residual blocks one after the other, such as a stage of a ResNet made once more for a classifier
/// beside it. State-dict names `{i}.*`, the 1×1 projection `downsample`.
#[derive(Debug)]
pub struct ResidualStage {
    blocks: Vec<ResidualBlock>,
}

impl ResidualStage {
    /// `count` blocks from `input` to `output` channels, a multiple of [`Block::expansion`]; the
    /// first has the stride.
    pub fn new(
        mut builder: Builder<'_>,
        [input, output, stride]: [usize; 3],
        count: usize,
        block: Block,
    ) -> Self {
        let inner = output / block.expansion();
        let blocks = (0..count).map(|i| {
            let (input, stride) = if i == 0 { (input, stride) } else { (output, 1) };
            let shape = BlockShape {
                input,
                inner,
                stride,
                first_dilation: 1,
                dilation: 1,
            };
            ResidualBlock::new(builder.sub(i), shape, block, "downsample")
        });
        Self {
            blocks: blocks.collect(),
        }
    }

    /// `[B, C, H, W]` → `[B, O, ⌈H/stride⌉, ⌈W/stride⌉]`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let blocks = self.blocks.iter();
        blocks.fold(x, |x, block| block.forward_relu(pass, x))
    }
}
