//! Convolutions of maps that are kept as tokens.

use burn::tensor::Tensor;
use limbeck_kernels::{
    Activation, depthwise_tokens_with, gelu, linear, map_to_tokens, token_patches, tokens_to_map,
};

use crate::{Builder, Init, ParameterId, Pass, Role};

/// Depthwise 3×3 with zeros around: `weight` `[C, 1, 3, 3]`, `bias` `[C]`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseTokens {
    weight: ParameterId,
    bias: ParameterId,
}

impl DepthwiseTokens {
    /// The weight is drawn by Kaiming's normal rule over the connections that leave an input, the
    /// bias is zero.
    pub fn new(mut builder: Builder<'_>, channels: usize) -> Self {
        let init = Init::kaiming_normal_fan_out(1, [3; 2]);
        let zero = Init::Constant(0.0);
        Self {
            weight: builder.parameter("weight", &[channels, 1, 3, 3], Role::Weight, init),
            bias: builder.parameter("bias", &[channels], Role::Bias, zero),
        }
    }

    /// Tokens `[B, N, C]` of a grid of rows and columns → the same shape.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        self.forward_with(pass, x, grid, Activation::Identity)
    }

    /// [`DepthwiseTokens::forward`], then GELU.
    pub fn forward_gelu(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        match pass.is_training() {
            true => gelu(self.forward(pass, x, grid)),
            false => self.forward_with(pass, x, grid, Activation::Gelu),
        }
    }

    fn forward_with(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        grid: [usize; 2],
        activation: Activation,
    ) -> Tensor<3> {
        let written = x.shape().num_elements();
        let x = pass.layer_input(self.weight, x);
        pass.count_layer(self.weight, 9 * written, written);
        if pass.is_counting() {
            return x;
        }
        let (weight, bias) = (pass.get(self.weight), pass.get(self.bias));
        depthwise_tokens_with(x, grid, weight, bias, activation)
    }
}

/// One token of each square of tokens: a convolution with the square as kernel and stride, `weight`
/// `[D, C, side, side]`, `bias` `[D]`.
#[derive(Clone, Copy, Debug)]
pub struct PatchTokens {
    weight: ParameterId,
    bias: ParameterId,
    output: usize,
    side: usize,
}

impl PatchTokens {
    /// From tokens of `input` numbers to tokens of `output`; drawn as [`DepthwiseTokens::new`] draws.
    pub fn new(mut builder: Builder<'_>, input: usize, output: usize, side: usize) -> Self {
        let init = Init::kaiming_normal_fan_out(output, [side; 2]);
        let zero = Init::Constant(0.0);
        let shape = [output, input, side, side];
        Self {
            weight: builder.parameter("weight", &shape, Role::Weight, init),
            bias: builder.parameter("bias", &[output], Role::Bias, zero),
            output,
            side,
        }
    }

    /// Tokens `[B, N, C]` of a grid of rows and columns → `[B, squares, D]`. Rows and columns that
    /// fill no square are left out; a grid smaller than one square is filled up with zeros.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let side = self.side;
        let [batch, _, width] = x.dims();
        let squares: usize = grid.iter().map(|length| (length / side).max(1)).product();
        let (length, written) = (side * side * width, batch * squares * self.output);
        let x = pass.layer_input(self.weight, x);
        pass.count_layer(self.weight, length * written, written);
        if pass.is_counting() {
            let shape = [batch, squares, self.output];
            return Tensor::zeros(shape, (pass.device(), pass.dtype()));
        }
        let (x, grid) = filled_up(x, grid, side);
        let patches = token_patches(x, grid, side);
        let weight = pass.get::<4>(self.weight).permute([0, 2, 3, 1]);
        let weight = weight.reshape([self.output, length]);
        linear(patches, weight, Some(pass.get(self.bias)))
    }
}

/// Tokens of a grid of at least `side` by `side`, with zeros below and right where there were fewer,
/// and that grid.
fn filled_up(x: Tensor<3>, grid: [usize; 2], side: usize) -> (Tensor<3>, [usize; 2]) {
    let missing = grid.map(|length| side.saturating_sub(length));
    if missing == [0, 0] {
        return (x, grid);
    }
    let padding = [(0, 0), (0, 0), (0, missing[0]), (0, missing[1])];
    let map = tokens_to_map(x, grid).pad(padding, 0.0);
    (
        map_to_tokens(map),
        [grid[0] + missing[0], grid[1] + missing[1]],
    )
}
