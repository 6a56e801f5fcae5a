//! The layers of YOLOv5's backbone and neck, one after the other.

use burn::tensor::Tensor;

use super::{
    Yolov5Config, Yolov5Graph,
    blocks::{BlockConfig, C3, ConvUnit, Focus, PooledPyramid},
};
use crate::{Builder, Pass, layer::resize_nearest};

/// A layer of the graph; its channels are those of `l`.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) enum Plan {
    /// A convolution of so many channels, with this kernel, stride and padding.
    Unit(usize, [usize; 3]),
    /// Every other pixel as a channel, then a 3×3 convolution.
    Focus(usize),
    /// `times` the depth's bottlenecks, with a way past each where that is said.
    C3(usize, usize, bool),
    /// Poolings of 5, 9 and 13 side by side, or three of 5 in a row.
    Pool(usize, bool),
    /// Twice as high and wide.
    Up,
    /// Behind it the channels of this layer.
    Join(usize),
}

const DOWN: [usize; 3] = [3, 2, 1];
const POINT: [usize; 3] = [1, 1, 0];

/// The neck, layers 10 to 23.
pub(super) const NECK: [Plan; 14] = [
    Plan::Unit(512, POINT),
    Plan::Up,
    Plan::Join(6),
    Plan::C3(512, 1, false),
    Plan::Unit(256, POINT),
    Plan::Up,
    Plan::Join(4),
    Plan::C3(256, 1, false),
    Plan::Unit(256, DOWN),
    Plan::Join(14),
    Plan::C3(512, 1, false),
    Plan::Unit(512, DOWN),
    Plan::Join(10),
    Plan::C3(1024, 1, false),
];

impl Yolov5Graph {
    /// The backbone, layers 0 to 9.
    pub(in crate::model) fn backbone(self) -> [Plan; 10] {
        let stem = match self {
            Self::Release6 => Plan::Unit(64, [6, 2, 2]),
            Self::Release5 => Plan::Focus(64),
            Self::Stride4 => Plan::Unit(64, [3, 1, 1]),
        };
        let (second, end) = match self {
            Self::Release6 => (2, [Plan::C3(1024, 1, true), Plan::Pool(1024, true)]),
            Self::Release5 | Self::Stride4 => {
                (3, [Plan::Pool(1024, false), Plan::C3(1024, 1, false)])
            }
        };
        let [eighth, ninth] = end;
        [
            stem,
            Plan::Unit(128, DOWN),
            Plan::C3(128, 1, true),
            Plan::Unit(256, DOWN),
            Plan::C3(256, second, true),
            Plan::Unit(512, DOWN),
            Plan::C3(512, 3, true),
            Plan::Unit(1024, DOWN),
            eighth,
            ninth,
        ]
    }
}

/// A layer as it was made.
#[derive(Debug)]
pub(in crate::model) enum Layer {
    Unit(ConvUnit),
    Focus(Focus),
    C3(Box<C3>),
    Pool(Box<PooledPyramid>),
    Up,
    Join(usize),
}

impl Layer {
    /// `[B, C, H, W]` → `[B, O, H', W']`; what the last activation of a block is given is the tap `before`,
    /// and `beside` what is joined.
    fn forward(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        before: Option<&str>,
        beside: Option<Tensor<4>>,
    ) -> Tensor<4> {
        match self {
            Self::Unit(unit) => unit.forward(pass, x),
            Self::Focus(focus) => focus.forward(pass, x),
            Self::C3(block) => {
                let (block, before) = (block.clone(), before.map(str::to_owned));
                pass.unit(x, move |pass, x| block.forward(pass, x, before.as_deref()))
            }
            Self::Pool(pool) => {
                let (pool, before) = (pool.clone(), before.map(str::to_owned));
                pass.unit(x, move |pass, x| pool.forward(pass, x, before.as_deref()))
            }
            Self::Up => {
                let [_, _, height, width] = x.dims();
                resize_nearest(x, [2 * height, 2 * width])
            }
            Self::Join(_) => Tensor::cat([Some(x), beside].into_iter().flatten().collect(), 1),
        }
    }
}

/// Makes the layers of `plans` for images of so many channels, called `model.0` and on, and says how many
/// channels each gives out.
pub(in crate::model) fn layers(
    builder: &mut Builder<'_>,
    channels: usize,
    config: Yolov5Config,
    plans: impl Iterator<Item = Plan>,
) -> (Vec<Layer>, Vec<usize>) {
    let mut layers = Vec::new();
    let mut widths: Vec<usize> = Vec::new();
    for (number, plan) in plans.enumerate() {
        let from = widths.last().copied().unwrap_or(channels);
        let sub = builder.sub(format!("model.{number}"));
        let block = |to| BlockConfig {
            from,
            to: config.channels(to),
            activation: config.activation,
        };
        layers.push(match plan {
            Plan::Unit(to, geometry) => Layer::Unit(ConvUnit::new(sub, block(to), geometry)),
            Plan::Focus(to) => Layer::Focus(Focus::new(sub, block(to))),
            Plan::C3(to, times, past) => {
                let count = times * config.depth;
                Layer::C3(Box::new(C3::new(sub, block(to), count, past)))
            }
            Plan::Pool(to, in_a_row) => {
                Layer::Pool(Box::new(PooledPyramid::new(sub, block(to), in_a_row)))
            }
            Plan::Up => Layer::Up,
            Plan::Join(other) => Layer::Join(other),
        });
        widths.push(match plan {
            Plan::Unit(to, _) | Plan::Focus(to) | Plan::C3(to, ..) | Plan::Pool(to, _) => {
                config.channels(to)
            }
            Plan::Up => from,
            Plan::Join(other) => from + widths.get(other).copied().unwrap_or_default(),
        });
    }
    (layers, widths)
}

/// What the outputs of layers are called besides `layer<number>`.
pub(in crate::model) type LayerNames = fn(usize) -> Option<&'static str>;

/// The tap of what the last activation of a stage's last layer is given.
fn before(number: usize, names: LayerNames) -> Option<String> {
    let stage = names(number).filter(|name| name.starts_with("stage"))?;
    Some(format!("{stage}.preact"))
}

/// The taps of so many layers, in their order.
pub(in crate::model) fn tap_names(count: usize, names: LayerNames) -> impl Iterator<Item = String> {
    let of_layer = move |number: usize| {
        let named = names(number).map(str::to_owned);
        [before(number, names), Some(format!("layer{number}")), named]
    };
    (0..count).flat_map(of_layer).flatten()
}

impl Layer {
    /// [`Layer::forward`] of the layer `number`, with its taps.
    pub fn forward_tapped(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        (number, names): (usize, LayerNames),
        beside: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let x = self.forward(pass, x, before(number, names).as_deref(), beside);
        pass.tap_map(&format!("layer{number}"), &x);
        if let Some(name) = names(number) {
            pass.tap_map(name, &x);
        }
        x
    }
}
