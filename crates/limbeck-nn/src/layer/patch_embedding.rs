//! Patches of images as tokens.

use burn::tensor::{Int, Tensor};
use limbeck_kernels::{image_patches, linear, tokens_to_map};

use super::{Conv2d, Conv2dConfig};
use crate::{Builder, Pass, STEM_CONVOLUTION};

/// A token of each patch of an image: a convolution whose kernel is its stride, `weight`
/// `[D, C, side, side]`, `bias` `[D]`, and computed as one product of the patches.
#[derive(Clone, Copy, Debug)]
pub struct PatchEmbedding {
    convolution: Conv2d,
    width: usize,
    side: usize,
}

impl PatchEmbedding {
    /// From images of `channels` to tokens of `width` numbers, both parameters drawn by PyTorch's default.
    pub fn new(builder: Builder<'_>, channels: usize, width: usize, side: usize) -> Self {
        let config = Conv2dConfig::new(channels, width, side).stride(side).bias();
        Self {
            convolution: Conv2d::new(builder, config),
            width,
            side,
        }
    }

    /// Images `[B, C, H, W]` → tokens `[B, n, D]`: of all patches row by row, or of those that `chosen`
    /// `[B, n]` numbers from 0, in its order; the others cost nothing. Pixels that fill no patch are
    /// left out. The tap [`STEM_CONVOLUTION`] is recorded where all patches are embedded.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        chosen: Option<&Tensor<2, Int>>,
    ) -> Tensor<3> {
        let [batch, channels, height, width] = images.dims();
        let grid = [height / self.side, width / self.side];
        let count = chosen.map_or(grid[0] * grid[1], |chosen| chosen.dims()[1]);
        let length = channels * self.side * self.side;
        let written = batch * count * self.width;
        let images = pass.layer_input(self.convolution.weight(), images);
        pass.count_layer(self.convolution.weight(), length * written, written);
        let tokens = match pass.is_counting() {
            true => {
                let shape = [batch, count, self.width];
                Tensor::zeros(shape, (pass.device(), pass.dtype()))
            }
            false => {
                let patches = image_patches(images, self.side, chosen);
                let weight = pass.get::<4>(self.convolution.weight());
                let weight = weight.reshape([self.width, length]);
                let bias = self.convolution.bias().map(|bias| pass.get(bias));
                linear(patches, weight, bias)
            }
        };
        let mapped = chosen.is_none() && pass.wants(STEM_CONVOLUTION);
        let map = mapped.then(|| tokens_to_map(tokens.clone(), grid));
        pass.convolved(self.convolution, map.as_ref());
        tokens
    }
}
