//! The blocks of YOLOv5 (`models/common.py` of the official code).

use burn::tensor::Tensor;
use limbeck_kernels::Activation;

use crate::{
    Builder, Pass,
    layer::{Conv2dConfig, ConvNorm, NormConstants, max_pool2d},
};

/// Constants of all batch norms (`initialize_weights` of the official code).
const NORM: NormConstants = NormConstants {
    epsilon: 1e-3,
    momentum: 0.03,
};

/// Channels that go in and come out, and what follows each batch norm.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct BlockConfig {
    pub from: usize,
    pub to: usize,
    pub activation: Activation,
}

impl BlockConfig {
    fn between(self, from: usize, to: usize) -> Self {
        Self { from, to, ..self }
    }
}

/// Convolution, batch norm, activation: `conv.*` and `bn.*`.
#[derive(Clone, Debug)]
pub(in crate::model) struct ConvUnit {
    convolution: ConvNorm,
    activation: Activation,
}

impl ConvUnit {
    /// `geometry` is kernel, stride and padding.
    pub fn new(
        mut builder: Builder<'_>,
        config: BlockConfig,
        [kernel, stride, padding]: [usize; 3],
    ) -> Self {
        let BlockConfig {
            from,
            to,
            activation,
        } = config;
        let shape = Conv2dConfig::new(from, to, kernel);
        let shape = shape.stride(stride).padding(padding);
        Self {
            convolution: ConvNorm::with_constants(&mut builder, "conv", "bn", shape, NORM),
            activation,
        }
    }

    /// With a 1×1 kernel.
    fn point(builder: Builder<'_>, config: BlockConfig) -> Self {
        Self::new(builder, config, [1, 1, 0])
    }

    /// `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        self.convolution
            .forward_with(pass, x, None, self.activation)
    }

    /// The same; what the activation is given is recorded as the tap `before` where that is asked for.
    fn forward_tapped(&self, pass: &mut Pass<'_>, x: Tensor<4>, before: Option<&str>) -> Tensor<4> {
        let Some(tap) = before.filter(|tap| pass.wants(tap)) else {
            return self.forward(pass, x);
        };
        let x = self.convolution.forward(pass, x);
        pass.tap_map(tap, &x);
        self.activation.apply(x)
    }
}

/// Every other pixel as a channel, then a 3×3 convolution: `conv.conv.*` and `conv.bn.*`.
#[derive(Clone, Debug)]
pub(in crate::model) struct Focus {
    unit: ConvUnit,
}

impl Focus {
    pub fn new(mut builder: Builder<'_>, config: BlockConfig) -> Self {
        let config = config.between(4 * config.from, config.to);
        let unit = ConvUnit::new(builder.sub("conv"), config, [3, 1, 1]);
        Self { unit }
    }

    /// `[B, C, H, W]` → `[B, O, H/2, W/2]`; H and W are even.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let [rows, columns] = [height / 2, width / 2];
        // Even columns first, and of these even rows first.
        let x: Tensor<6> = x.reshape([batch, channels, rows, 2, columns, 2]);
        let x = x.permute([0, 5, 3, 1, 2, 4]);
        self.unit
            .forward(pass, x.reshape([batch, 4 * channels, rows, columns]))
    }
}

/// A 1×1 and a 3×3 convolution, `cv1` and `cv2`, with a way past them where that is wanted.
#[derive(Clone, Debug)]
struct Bottleneck {
    first: ConvUnit,
    second: ConvUnit,
    past: bool,
}

impl Bottleneck {
    fn new(mut builder: Builder<'_>, config: BlockConfig, past: bool) -> Self {
        Self {
            first: ConvUnit::point(builder.sub("cv1"), config),
            second: ConvUnit::new(builder.sub("cv2"), config, [3, 1, 1]),
            past,
        }
    }

    /// `[B, C, H, W]` → the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let y = self.first.forward(pass, x.clone());
        let y = self.second.forward(pass, y);
        match self.past {
            true => x + y,
            false => y,
        }
    }
}

/// Half of the channels through bottlenecks (`cv1`, `m.*`), half past them (`cv2`), and both together
/// through `cv3`.
#[derive(Clone, Debug)]
pub(in crate::model) struct C3 {
    through: ConvUnit,
    past: ConvUnit,
    joined: ConvUnit,
    bottlenecks: Vec<Bottleneck>,
}

impl C3 {
    pub fn new(mut builder: Builder<'_>, config: BlockConfig, count: usize, past: bool) -> Self {
        let half = config.to / 2;
        let inner = config.between(half, half);
        Self {
            through: ConvUnit::point(builder.sub("cv1"), config.between(config.from, half)),
            past: ConvUnit::point(builder.sub("cv2"), config.between(config.from, half)),
            joined: ConvUnit::point(builder.sub("cv3"), config.between(2 * half, config.to)),
            bottlenecks: (0..count)
                .map(|i| Bottleneck::new(builder.sub(format!("m.{i}")), inner, past))
                .collect(),
        }
    }

    /// `[B, C, H, W]` → `[B, O, H, W]`; what the last activation is given is the tap `before`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>, before: Option<&str>) -> Tensor<4> {
        let mut y = self.through.forward(pass, x.clone());
        for bottleneck in &self.bottlenecks {
            y = bottleneck.forward(pass, y);
        }
        let past = self.past.forward(pass, x);
        self.joined
            .forward_tapped(pass, Tensor::cat(vec![y, past], 1), before)
    }
}

/// Sides of the poolings that stand side by side.
const SIDES: [usize; 3] = [5, 9, 13];

/// The largest numbers of three neighbourhoods beside the map itself, between the 1×1 convolutions
/// `cv1` and `cv2` (SPP, and SPPF where one pooling follows the other).
#[derive(Clone, Debug)]
pub(in crate::model) struct PooledPyramid {
    before: ConvUnit,
    after: ConvUnit,
    in_a_row: bool,
}

impl PooledPyramid {
    pub fn new(mut builder: Builder<'_>, config: BlockConfig, in_a_row: bool) -> Self {
        let half = config.from / 2;
        Self {
            before: ConvUnit::point(builder.sub("cv1"), config.between(config.from, half)),
            after: ConvUnit::point(builder.sub("cv2"), config.between(4 * half, config.to)),
            in_a_row,
        }
    }

    /// `[B, C, H, W]` → `[B, O, H, W]`; what the last activation is given is the tap `before`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>, before: Option<&str>) -> Tensor<4> {
        let x = self.before.forward(pass, x);
        let mut maps = vec![x.clone()];
        let mut last = x;
        for side in SIDES {
            let side = if self.in_a_row { SIDES[0] } else { side };
            let pooled = max_pool2d(pass, last.clone(), side, 1, side / 2);
            maps.push(pooled.clone());
            if self.in_a_row {
                last = pooled;
            }
        }
        self.after
            .forward_tapped(pass, Tensor::cat(maps, 1), before)
    }
}
