//! ResNets for 32×32 images, in the layout of RepDistiller and mdistiller.
//!
//! He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition". CVPR 2016, section 4.2;
//! the `x4` nets are four times as wide. State-dict names: `conv1`, `bn1`, `layer{1..3}.{i}.*`,
//! `fc`. Taps: `stem`, `stage1..3`, `stage1..3.preact` (the sum before a stage's last ReLU),
//! `pooled`.

use burn::tensor::{Tensor, activation::relu};

use super::registry::ModelEntry;
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass,
    layer::{BatchNorm2d, Conv2d, Conv2dConfig, Linear, global_avg_pool2d},
};

const FAMILY: &str = "cifar_resnet";

macro_rules! entry {
    ($name:literal, $depth:literal, $filters:expr) => {
        ModelEntry {
            name: $name,
            family: FAMILY,
            size: 32,
            classes: 100,
            build: |builder, input| {
                let net = CifarResNet::new(builder, input, $depth, $filters, Block::Basic)?;
                Ok(Box::new(net))
            },
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("resnet8", 8, [16, 16, 32, 64]),
    entry!("resnet14", 14, [16, 16, 32, 64]),
    entry!("resnet20", 20, [16, 16, 32, 64]),
    entry!("resnet32", 32, [16, 16, 32, 64]),
    entry!("resnet44", 44, [16, 16, 32, 64]),
    entry!("resnet56", 56, [16, 16, 32, 64]),
    entry!("resnet110", 110, [16, 16, 32, 64]),
    entry!("resnet8x4", 8, [32, 64, 128, 256]),
    entry!("resnet32x4", 32, [32, 64, 128, 256]),
];

/// Kind of residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1 with four times the channels.
    Bottleneck,
}

impl Block {
    fn expansion(self) -> usize {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }
}

/// A ResNet of three stages.
#[derive(Debug)]
pub struct CifarResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    stages: Vec<Vec<ResidualBlock>>,
    fc: Linear,
}

impl CifarResNet {
    /// `filters` are the channels of the stem and of the three stages.
    ///
    /// # Errors
    /// A depth that is not 6n+2 (basic) or 9n+2 (bottleneck).
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        depth: usize,
        filters: [usize; 4],
        block: Block,
    ) -> Result<Self, NnError> {
        let layers = match block {
            Block::Basic => 6,
            Block::Bottleneck => 9,
        };
        if depth < layers + 2 || (depth - 2) % layers != 0 {
            return Err(NnError::Unsupported {
                model: format!("resnet{depth}"),
                reason: format!("the depth must be {layers}n + 2, found {depth}"),
            });
        }
        let blocks = (depth - 2) / layers;
        let [stem, widths @ ..] = filters;
        let conv1 = Conv2d::new(
            builder.sub("conv1"),
            Conv2dConfig::new(input.channels, stem, 3)
                .padding(1)
                .kaiming_fan_out(),
        );
        let bn1 = BatchNorm2d::after(builder.sub("bn1"), &conv1, stem);
        let mut channels = stem;
        let mut stages = Vec::new();
        for (index, (width, stride)) in widths.into_iter().zip([1, 2, 2]).enumerate() {
            let mut stage = Vec::new();
            for i in 0..blocks {
                let stride = if i == 0 { stride } else { 1 };
                let builder = builder.sub(format!("layer{}.{i}", index + 1));
                stage.push(ResidualBlock::new(builder, channels, width, stride, block));
                channels = width * block.expansion();
            }
            stages.push(stage);
        }
        let fc = Linear::new(builder.sub("fc"), channels, input.classes);
        Ok(Self {
            conv1,
            bn1,
            stages,
            fc,
        })
    }
}

impl Architecture for CifarResNet {
    fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["stem".to_owned()];
        for stage in 1..=self.stages.len() {
            names.push(format!("stage{stage}.preact"));
            names.push(format!("stage{stage}"));
        }
        names.push("pooled".to_owned());
        names
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Tensor<2> {
        let x = self.conv1.forward(pass, images);
        let mut x = relu(self.bn1.forward(pass, x));
        pass.tap_map("stem", &x);
        for (index, stage) in self.stages.iter().enumerate() {
            for (i, block) in stage.iter().enumerate() {
                let sum = block.forward(pass, x);
                if i + 1 == stage.len() {
                    pass.tap_map(&format!("stage{}.preact", index + 1), &sum);
                }
                x = relu(sum);
            }
            pass.tap_map(&format!("stage{}", index + 1), &x);
        }
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        self.fc.forward(pass, pooled)
    }
}

#[derive(Debug)]
struct ResidualBlock {
    layers: Vec<(Conv2d, BatchNorm2d)>,
    downsample: Option<(Conv2d, BatchNorm2d)>,
}

impl ResidualBlock {
    fn new(
        mut builder: Builder<'_>,
        input: usize,
        width: usize,
        stride: usize,
        block: Block,
    ) -> Self {
        let output = width * block.expansion();
        let shapes = match block {
            Block::Basic => vec![
                Conv2dConfig::new(input, width, 3).stride(stride).padding(1),
                Conv2dConfig::new(width, width, 3).padding(1),
            ],
            Block::Bottleneck => vec![
                Conv2dConfig::new(input, width, 1),
                Conv2dConfig::new(width, width, 3).stride(stride).padding(1),
                Conv2dConfig::new(width, output, 1),
            ],
        };
        let mut conv_norm = |conv: String, norm: String, config: Conv2dConfig| {
            let convolution = Conv2d::new(builder.sub(conv), config.kaiming_fan_out());
            let norm = BatchNorm2d::after(builder.sub(norm), &convolution, config.output);
            (convolution, norm)
        };
        let layers = shapes
            .into_iter()
            .enumerate()
            .map(|(i, config)| conv_norm(format!("conv{}", i + 1), format!("bn{}", i + 1), config))
            .collect();
        let downsample = (stride != 1 || input != output).then(|| {
            conv_norm(
                "downsample.0".to_owned(),
                "downsample.1".to_owned(),
                Conv2dConfig::new(input, output, 1).stride(stride),
            )
        });
        Self { layers, downsample }
    }

    /// The sum before the block's last ReLU.
    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let identity = match &self.downsample {
            Some((convolution, norm)) => {
                let y = convolution.forward(pass, x.clone());
                norm.forward(pass, y)
            }
            None => x.clone(),
        };
        let mut y = x;
        for (i, (convolution, norm)) in self.layers.iter().enumerate() {
            y = convolution.forward(pass, y);
            y = norm.forward(pass, y);
            if i + 1 < self.layers.len() {
                y = relu(y);
            }
        }
        y + identity
    }
}
