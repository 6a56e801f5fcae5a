//! Atrous spatial pyramid pooling.
//!
//! Chen et al. "Rethinking Atrous Convolution for Semantic Image Segmentation". 2017, section 3.3
//! and figure 5.

use burn::tensor::Tensor;

use super::backbone::OutputStride;
use crate::{
    Builder, Init, Pass,
    layer::{Conv2dConfig, ConvNorm, adaptive_avg_pool2d, dropout, resize_bilinear},
};

/// Dilated branches.
const DILATED: usize = 3;

/// State-dict names of convolution and norm of the five branches: 1×1, three dilated ones, the
/// average of the image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BranchNames(pub [[&'static str; 2]; DILATED + 2]);

/// CIRKD's, as in GluonCV's PyTorch ports.
pub(crate) const CIRKD: BranchNames = BranchNames([
    ["b0.0", "b0.1"],
    ["b1.block.0", "b1.block.1"],
    ["b2.block.0", "b2.block.1"],
    ["b3.block.0", "b3.block.1"],
    ["b4.gap.1", "b4.gap.2"],
]);

/// torchvision's and VainF's.
pub(crate) const TORCHVISION: BranchNames = BranchNames([
    ["convs.0.0", "convs.0.1"],
    ["convs.1.0", "convs.1.1"],
    ["convs.2.0", "convs.2.1"],
    ["convs.3.0", "convs.3.1"],
    ["convs.4.1", "convs.4.2"],
]);

impl OutputStride {
    /// Dilations of the three branches (Chen et al. 2017, table 4: doubled where the stride is
    /// halved).
    pub(crate) fn rates(self) -> [usize; DILATED] {
        match self {
            OutputStride::Eight => [12, 24, 36],
            OutputStride::Sixteen => [6, 12, 18],
        }
    }
}

/// What tells one pyramid from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsppConfig {
    /// Input channels.
    pub input: usize,
    /// Channels of every branch, and of the output.
    pub output: usize,
    /// Dilations of the three branches.
    pub rates: [usize; DILATED],
    /// State-dict names of the branches.
    pub names: BranchNames,
    /// Dropout of the output.
    pub dropout: f64,
    /// Kaiming's normal rule over incoming connections in place of PyTorch's default.
    pub kaiming: bool,
}

/// Five branches beside each other, joined by a 1×1 convolution `project.{0,1}`.
#[derive(Debug)]
pub(crate) struct Aspp {
    /// 1×1 and the dilated ones.
    local: Vec<ConvNorm>,
    pooled: ConvNorm,
    project: ConvNorm,
    dropout: f64,
}

impl Aspp {
    pub(crate) fn new(mut builder: Builder<'_>, config: AsppConfig) -> Self {
        let AsppConfig { input, output, .. } = config;
        let dilated = |rate| {
            Conv2dConfig::new(input, output, 3)
                .padding(rate)
                .dilation(rate)
        };
        let [first, second, third] = config.rates.map(dilated);
        let point = Conv2dConfig::new(input, output, 1);
        let shapes = [point, first, second, third, point];
        let draw = |shape: Conv2dConfig| match config.kaiming {
            true => kaiming_fan_in(shape),
            false => shape,
        };
        let mut layers: Vec<ConvNorm> = shapes
            .into_iter()
            .zip(config.names.0)
            .map(|(shape, [convolution, norm])| {
                ConvNorm::new(&mut builder, convolution, norm, draw(shape))
            })
            .collect();
        let pooled = layers.remove(layers.len() - 1);
        let shape = Conv2dConfig::new(shapes.len() * output, output, 1);
        let project = ConvNorm::new(&mut builder, "project.0", "project.1", draw(shape));
        Self {
            local: layers,
            pooled,
            project,
            dropout: config.dropout,
        }
    }

    /// `[B, C, h, w]` → `[B, O, h, w]`.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let mut maps: Vec<Tensor<4>> = self
            .local
            .iter()
            .map(|layer| layer.forward_relu(pass, x.clone()))
            .collect();
        let average = self
            .pooled
            .forward_relu(pass, adaptive_avg_pool2d(x, [1, 1]));
        maps.push(resize_bilinear(average, [height, width], false));
        let x = self.project.forward_relu(pass, Tensor::cat(maps, 1));
        dropout(pass, x, self.dropout)
    }
}

/// With the weight drawn by Kaiming's normal rule over incoming connections: standard deviation
/// `√(2 / fan_in)`.
pub(crate) fn kaiming_fan_in(config: Conv2dConfig) -> Conv2dConfig {
    let [height, width] = config.kernel;
    let fan_in = config.input / config.groups * height * width;
    config.init(Init::Normal((2.0 / fan_in as f64).sqrt()))
}
