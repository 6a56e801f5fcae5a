//! What the heads of networks that segment have in common.

use burn::tensor::Tensor;

use crate::{
    Builder, Feature, Pass,
    layer::{Conv2d, Conv2dConfig, ConvNorm, dropout},
};

/// Dropout before the last convolution (CIRKD's `models/pspnet.py`, and GluonCV's before it).
const DROPOUT: f64 = 0.1;

/// 3×3 convolution with batch norm and ReLU, dropout, 1×1 convolution to the classes.
///
/// State-dict names: `block.0`, `block.1`, and the last convolution's own.
#[derive(Debug)]
pub(crate) struct ClassifierBlock {
    block: ConvNorm,
    last: Conv2d,
}

impl ClassifierBlock {
    /// `[input, inner, classes]` channels; `last` is the state-dict name of the last convolution.
    pub(crate) fn new(
        mut builder: Builder<'_>,
        [input, inner, classes]: [usize; 3],
        last: &str,
    ) -> Self {
        let config = Conv2dConfig::new(input, inner, 3).padding(1);
        let block = ConvNorm::new(&mut builder, "block.0", "block.1", config);
        let config = Conv2dConfig::new(inner, classes, 1).bias();
        let last = Conv2d::new(builder.sub(last), config);
        Self { block, last }
    }

    /// `[B, C, h, w]` → logits `[B, K, h, w]`; what the last convolution reads, before dropout, is
    /// recorded as the tap `feature` where there is one.
    pub(crate) fn forward(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        feature: Option<&str>,
    ) -> Tensor<4> {
        let x = self.block.forward_relu(pass, x);
        if let Some(tap) = feature {
            pass.tap_map(tap, &x);
        }
        self.classify(pass, x)
    }

    /// What the tap has, on any grid, → logits.
    pub(crate) fn classify(&self, pass: &mut Pass<'_>, feature: Tensor<4>) -> Tensor<4> {
        let feature = dropout(pass, feature, DROPOUT);
        self.last.forward(pass, feature)
    }
}

/// The second classifier of CIRKD's networks, on the third stage; it has a quarter of that stage's
/// channels inside. State-dict names `auxlayer.block.{0,1,4}`. Its logits are the tap `auxiliary`,
/// `[B, K, h, w]`; without that tap it is not computed.
#[derive(Debug)]
pub(crate) struct AuxiliaryHead(ClassifierBlock);

impl AuxiliaryHead {
    /// The stage that it reads.
    pub(crate) const STAGE: usize = 3;
    /// The tap of its logits.
    pub(crate) const TAP: &str = "auxiliary";

    /// For maps of `input` channels; names are below the builder's level.
    pub(crate) fn new(builder: &mut Builder<'_>, input: usize, classes: usize) -> Self {
        let channels = [input, (input / 4).max(1), classes];
        let builder = builder.sub("auxlayer");
        Self(ClassifierBlock::new(builder, channels, "block.4"))
    }

    /// Records the logits, where they are asked for, of the third stage's map `[B, C, h, w]`. Run it after the head: what
    /// dropout draws there is then the same with and without it.
    pub(crate) fn run(&self, pass: &mut Pass<'_>, stage: Tensor<4>) {
        if pass.wants(Self::TAP) {
            let logits = self.0.forward(pass, stage, None);
            pass.tap(Self::TAP, || Feature::Map(logits));
        }
    }
}
