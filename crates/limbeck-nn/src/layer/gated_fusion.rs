//! Mixing a map with a coarser one by gates.

use burn::tensor::{Tensor, activation::sigmoid};

use crate::{
    Builder, Pass,
    layer::{Conv2d, Conv2dConfig, ConvNorm, resize_nearest},
};

/// A 1×1 convolution and batch norm of a map, which is then mixed with another one by a gate for each
/// side, looked up in both: y·g + r·h with (g, h) = sigmoid(conv1×1([y; r])).
#[derive(Clone, Copy, Debug)]
pub struct GatedFusion {
    gates: Conv2d,
}

impl GatedFusion {
    /// Makes the gates' convolution, of two maps of `channels`, at the builder's level.
    pub fn new(builder: Builder<'_>, channels: usize) -> Self {
        let config = Conv2dConfig::new(2 * channels, 2, 1).bias();
        Self {
            gates: Conv2d::new(builder, config),
        }
    }

    /// `input` of `x` `[B, C, H, W]` mixed with `running` `[B, M, h, w]`, which is brought to `[H, W]` by its
    /// nearest neighbours: `[B, M, H, W]`.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        input: &ConvNorm,
        x: Tensor<4>,
        running: Tensor<4>,
    ) -> Tensor<4> {
        let [_, channels, height, width] = x.dims();
        // What the one operation does without the convolved map costs a square of the channels.
        if channels <= running.dims()[1]
            && let Some(fused) = input.fuse(pass, &x, &running, &self.gates)
        {
            return fused;
        }
        let y = input.forward(pass, x);
        let running = match running.dims()[2..] == [height, width] {
            true => running,
            false => resize_nearest(running, [height, width]),
        };
        let both = Tensor::cat(vec![y.clone(), running.clone()], 1);
        let gates = sigmoid(self.gates.forward(pass, both));
        y * gates.clone().narrow(1, 0, 1) + running * gates.narrow(1, 1, 1)
    }
}
