//! The head: a linear map for each stage, one over all, the classifier.

use burn::tensor::Tensor;
use limbeck_kernels::{Conv2dOptions, conv2d};

use super::SegFormerConfig;
use crate::{
    Builder, Pass,
    layer::{
        BatchNorm2d, Conv2d, Conv2dConfig, Linear, dropout_channels, map_to_tokens, resize_bilinear,
    },
};

/// 1×1.
const POINTWISE: Conv2dOptions = Conv2dOptions {
    stride: [1; 2],
    padding: [0; 2],
    dilation: [1; 2],
    groups: 1,
};

/// Linear maps `linear_c1` to `linear_c4` to one width, everything brought to the first stage's
/// size and joined (the last stage first), `linear_fuse` (1×1 without bias, batch norm, ReLU),
/// dropout of channels, `linear_pred`. Equation 4 of the paper.
#[derive(Debug)]
pub(super) struct Head {
    linear: [Linear; 4],
    fuse: Conv2d,
    norm: BatchNorm2d,
    classifier: Conv2d,
    width: usize,
    dropout: f64,
}

impl Head {
    pub(super) fn new(mut builder: Builder<'_>, config: &SegFormerConfig, classes: usize) -> Self {
        let width = config.head_width;
        let linear = std::array::from_fn(|index| {
            let builder = builder.sub(format!("linear_c{}.proj", index + 1));
            Linear::new(builder, config.widths[index], width)
        });
        let fuse = Conv2dConfig::new(4 * width, width, 1).kaiming_fan_out();
        let fuse = Conv2d::new(builder.sub("linear_fuse.conv"), fuse);
        let norm = BatchNorm2d::after(builder.sub("linear_fuse.bn"), &fuse, width);
        let classifier = Conv2dConfig::new(width, classes, 1).bias();
        let classifier = Conv2d::new(builder.sub("linear_pred"), classifier);
        Self {
            linear,
            fuse,
            norm,
            classifier,
            width,
            dropout: config.dropout,
        }
    }

    /// Maps of the stages → logits `[B, K, h, w]` with the first stage's height and width.
    pub(super) fn forward(&self, pass: &mut Pass<'_>, stages: [Tensor<4>; 4]) -> Tensor<4> {
        let fused = match pass.is_counting() {
            true => self.count(pass, stages),
            false => self.fuse(pass, stages),
        };
        let feature = self.norm.forward_relu(pass, fused);
        pass.tap_map("feature", &feature);
        self.classify(pass, feature)
    }

    /// What the tap `feature` has, on any grid, → logits.
    pub(super) fn classify(&self, pass: &mut Pass<'_>, feature: Tensor<4>) -> Tensor<4> {
        let feature = dropout_channels(pass, feature, self.dropout);
        self.classifier.forward(pass, feature)
    }

    /// What `linear_fuse` gives of all stages, `[B, E, h, w]`.
    ///
    /// Linear maps of channels and resizing may change places, since a pixel's neighbours come in
    /// with weights that add up to 1: the product of both maps is applied at each stage's own size,
    /// and only its result is resized and added up. At 512×512 that is an eighteenth of the
    /// multiplications, and nothing as wide as all stages together is ever in memory.
    fn fuse(&self, pass: &mut Pass<'_>, stages: [Tensor<4>; 4]) -> Tensor<4> {
        let width = self.width;
        let [_, _, height, columns] = stages[0].dims();
        let joint = pass
            .get::<4>(self.fuse.weight())
            .reshape([width, 4 * width]);
        let part = |stage: usize| joint.clone().narrow(1, (3 - stage) * width, width);
        let mut bias = pass.store().folded_bias.get(&self.fuse.weight()).cloned();
        for (stage, linear) in self.linear.iter().enumerate() {
            let Some(shift) = linear.bias(pass) else {
                continue;
            };
            let shift = part(stage)
                .matmul(shift.reshape([width, 1]))
                .reshape([width]);
            bias = Some(match bias {
                Some(bias) => bias + shift,
                None => shift,
            });
        }
        let product = |pass: &Pass<'_>, stage: usize, map: Tensor<4>, bias| {
            let weight = part(stage).matmul(self.linear[stage].weight(pass));
            let weight = weight.reshape([width, map.dims()[1], 1, 1]);
            conv2d(map, weight, bias, POINTWISE)
        };
        let [first, others @ ..] = stages;
        // The first stage carries the shifts of all of them.
        let mut sum = product(pass, 0, first, bias);
        for (stage, map) in (1..).zip(others) {
            let y = product(pass, stage, map, None);
            sum = sum + resize_bilinear(y, [height, columns], false);
        }
        sum
    }

    /// Counts the layers as they are published, one after the other.
    fn count(&self, pass: &mut Pass<'_>, stages: [Tensor<4>; 4]) -> Tensor<4> {
        let [batch, _, height, columns] = stages[0].dims();
        for (linear, map) in self.linear.iter().zip(stages) {
            linear.forward(pass, map_to_tokens(map));
        }
        let zero = Tensor::<4>::zeros([1; 4], (pass.device(), pass.dtype()));
        let joined = zero.expand([batch, 4 * self.width, height, columns]);
        self.fuse.forward(pass, joined)
    }
}
