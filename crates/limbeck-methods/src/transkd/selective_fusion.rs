//! The student's stages, fused from deep to shallow by a gate for each channel.

use burn::tensor::{
    Tensor,
    activation::{relu, sigmoid},
};
use limbeck_nn::{
    Builder, Init, Pass,
    layer::{Conv2d, Conv2dConfig, ConvNorm, blend_channels, global_avg_pool2d, resize_nearest},
};

use super::Stage;

/// Least channels of the gate's hidden layer, and by what the fusion's are divided: authors' code.
const LEAST_HIDDEN: usize = 32;
const REDUCTION: usize = 16;

/// One unit for each stage: `skfs.0` is the deepest.
#[derive(Debug)]
pub struct SelectiveFusion {
    /// Deep to shallow.
    units: Vec<Unit>,
}

#[derive(Debug)]
struct Unit {
    reduce: ConvNorm,
    expand: ConvNorm,
    /// None at the deepest stage.
    gate: Option<Gate>,
}

/// Which of two maps a channel is taken from.
#[derive(Debug)]
struct Gate {
    /// For batches.
    hidden: ConvNorm,
    /// For a single image, of which a batch norm would leave nothing.
    hidden_single: Conv2d,
    /// Of the stage's own map and of the one below.
    branches: [Conv2d; 2],
}

/// Kaiming uniform with a = 1, as in the authors' code.
fn kaiming(config: Conv2dConfig) -> Conv2dConfig {
    let [height, width] = config.kernel;
    let fan_in = (config.input * height * width) as f64;
    config.init(Init::Uniform((3.0 / fan_in).sqrt()))
}

impl SelectiveFusion {
    /// `stages` from shallow to deep.
    pub fn new(builder: &mut Builder<'_>, stages: &[Stage], mid: usize) -> Self {
        let deep_to_shallow = stages.iter().rev().enumerate();
        let units = deep_to_shallow.map(|(index, stage)| {
            let mut level = builder.sub(format!("skfs.{index}"));
            let reduce = kaiming(Conv2dConfig::new(stage.student, mid, 1));
            let expand = kaiming(Conv2dConfig::new(mid, stage.teacher, 3).padding(1));
            Unit {
                reduce: ConvNorm::new(&mut level, "conv1.0", "conv1.1", reduce),
                expand: ConvNorm::new(&mut level, "conv2.0", "conv2.1", expand),
                gate: (index > 0).then(|| Gate::new(&mut level, mid)),
            }
        });
        Self {
            units: units.collect(),
        }
    }

    /// Student maps `[B, C_s, H, W]`, shallow to deep → fused maps `[B, C_t, H, W]`, in this order.
    pub fn forward(&self, pass: &mut Pass<'_>, maps: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        let mut fused = Vec::with_capacity(maps.len());
        let mut below: Option<Tensor<4>> = None;
        for (unit, map) in self.units.iter().zip(maps.into_iter().rev()) {
            let own = unit.reduce.forward(pass, map);
            let result = match (&unit.gate, below) {
                (Some(gate), Some(below)) => {
                    let [.., height, width] = own.dims();
                    let resized = resize_nearest(below.clone(), [height, width]);
                    let [.., rows, columns] = below.dims();
                    // The mean of a map in which every position is copied as often is its own.
                    let even = height.is_multiple_of(rows) && width.is_multiple_of(columns);
                    let below = if even { below } else { resized.clone() };
                    let share = gate.forward(pass, [own.clone(), below]);
                    blend_channels(own, resized, share)
                }
                _ => own,
            };
            fused.push(unit.expand.forward(pass, result.clone()));
            below = Some(result);
        }
        fused.reverse();
        fused
    }
}

impl Gate {
    fn new(level: &mut Builder<'_>, mid: usize) -> Self {
        let hidden = (mid / REDUCTION).max(LEAST_HIDDEN);
        let in_hidden = Conv2dConfig::new(mid, hidden, 1);
        let out = Conv2dConfig::new(hidden, mid, 1).bias();
        Self {
            hidden: ConvNorm::new(level, "fc.0", "fc.1", in_hidden),
            hidden_single: Conv2d::new(level.sub("fc1.0"), in_hidden),
            branches: [0, 1].map(|branch| Conv2d::new(level.sub(format!("fcs.{branch}")), out)),
        }
    }

    /// Share of the stage's own map in each channel, by the means over positions of both maps:
    /// `[B, M, H, W]` and `[B, M, h, w]` → `[B, M, 1, 1]`. The other has the rest.
    fn forward(&self, pass: &mut Pass<'_>, [own, below]: [Tensor<4>; 2]) -> Tensor<4> {
        let [batch, channels, ..] = own.dims();
        let mean = global_avg_pool2d(own) + global_avg_pool2d(below);
        let mean = mean.reshape([batch, channels, 1, 1]);
        let hidden = match batch {
            1 => relu(self.hidden_single.forward(pass, mean)),
            _ => self.hidden.forward_relu(pass, mean),
        };
        let [own, below] = &self.branches;
        let own = own.forward(pass, hidden.clone());
        // A softmax over two.
        sigmoid(own - below.forward(pass, hidden))
    }
}
