//! What the stages are made of.

use burn::tensor::Tensor;
use limbeck_kernels::gelu;

use super::{EPSILON, linear, window::WindowAttention};
use crate::{
    Builder, Pass,
    layer::{
        Activation, Conv2dConfig, ConvNorm, LayerNorm, Perceptron, drop_path, map_to_tokens,
        tokens_to_map,
    },
};

/// Three by three, one kernel for each channel.
fn depthwise(channels: usize, stride: usize) -> Conv2dConfig {
    Conv2dConfig::new(channels, channels, 3)
        .stride(stride)
        .padding(1)
        .groups(channels)
}

/// 1×1 to more channels, depthwise 3×3, 1×1 back, plus the input, then GELU: MobileNetV2's block
/// with GELU, and one more after the sum. The last scale starts at 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bottleneck {
    expand: ConvNorm,
    depthwise: ConvNorm,
    project: ConvNorm,
    drop_path: f64,
}

impl Bottleneck {
    pub(super) fn new(
        mut builder: Builder<'_>,
        width: usize,
        inner: usize,
        drop_path: f64,
    ) -> Self {
        let (c, bn) = ("c", "bn");
        let wide = Conv2dConfig::new(width, inner, 1);
        let back = Conv2dConfig::new(inner, width, 1);
        Self {
            expand: ConvNorm::new(&mut builder.sub("conv1"), c, bn, wide),
            depthwise: ConvNorm::new(&mut builder.sub("conv2"), c, bn, depthwise(inner, 1)),
            project: ConvNorm::silent(&mut builder.sub("conv3"), c, bn, back),
            drop_path,
        }
    }

    /// `[B, C, H, W]` → the same shape.
    pub(super) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let y = self.expand.forward_gelu(pass, x.clone());
        let y = self.depthwise.forward_gelu(pass, y);
        if self.drop_path > 0.0 && pass.is_training() {
            let y = self.project.forward(pass, y);
            return gelu(x + drop_path(pass, y, self.drop_path));
        }
        self.project
            .forward_with(pass, y, Some(x), Activation::Gelu)
    }
}

/// Half as many rows and columns: 1×1 to the next width, depthwise 3×3 with stride 2, 1×1.
#[derive(Debug)]
pub(super) struct Merging {
    widen: ConvNorm,
    halve: ConvNorm,
    mix: ConvNorm,
}

impl Merging {
    pub(super) fn new(mut builder: Builder<'_>, input: usize, output: usize) -> Self {
        let (c, bn) = ("c", "bn");
        let widen = Conv2dConfig::new(input, output, 1);
        let mix = Conv2dConfig::new(output, output, 1);
        Self {
            widen: ConvNorm::new(&mut builder.sub("conv1"), c, bn, widen),
            halve: ConvNorm::new(&mut builder.sub("conv2"), c, bn, depthwise(output, 2)),
            mix: ConvNorm::new(&mut builder.sub("conv3"), c, bn, mix),
        }
    }

    /// `[B, C, H, W]` → tokens `[B, N, D]` of a grid of `[H/2, W/2]`.
    pub(super) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> (Tensor<3>, [usize; 2]) {
        let y = self.widen.forward_gelu(pass, x);
        let y = self.halve.forward_gelu(pass, y);
        let y = self.mix.forward(pass, y);
        let [_, _, rows, columns] = y.dims();
        (map_to_tokens(y), [rows, columns])
    }
}

/// Shape of a [`WindowBlock`].
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowBlockShape {
    /// Length of a token.
    pub width: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Side of a window in tokens.
    pub window: usize,
    /// Neurons of the perceptron.
    pub inner: usize,
    /// Probability with which training omits each of the two branches.
    pub drop_path: f64,
}

/// Attention in windows, a depthwise convolution over the whole map, a perceptron.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowBlock {
    attention: WindowAttention,
    norm: LayerNorm,
    perceptron: Perceptron,
    local: ConvNorm,
    drop_path: f64,
}

impl WindowBlock {
    pub(super) fn new(mut builder: Builder<'_>, shape: WindowBlockShape) -> Self {
        let WindowBlockShape {
            width,
            heads,
            window,
            inner,
            drop_path,
        } = shape;
        Self {
            attention: WindowAttention::new(builder.sub("attn"), width, heads, window),
            norm: LayerNorm::new(builder.sub("mlp.norm"), width, EPSILON),
            perceptron: Perceptron::new(
                linear(builder.sub("mlp.fc1"), width, inner),
                linear(builder.sub("mlp.fc2"), inner, width),
            ),
            local: ConvNorm::new(
                &mut builder.sub("local_conv"),
                "c",
                "bn",
                depthwise(width, 1),
            ),
            drop_path,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → the same shape.
    pub(super) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let x = self.attention.forward(pass, x, grid, self.drop_path);
        let x = map_to_tokens(self.local.forward(pass, tokens_to_map(x, grid)));
        let y = self.norm.forward(pass, x.clone());
        self.perceptron.forward_onto(pass, y, x, self.drop_path)
    }
}
