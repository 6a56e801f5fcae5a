//! Transposed two-dimensional convolution.

use burn::tensor::{Tensor, module, ops::ConvTransposeOptions};

use crate::{Builder, Init, ParameterId, Pass, Role};

/// `weight` `[C, O, k, k]` and `bias` `[O]`.
#[derive(Clone, Copy, Debug)]
pub struct ConvTranspose2d {
    weight: ParameterId,
    bias: ParameterId,
    stride: usize,
    padding: usize,
}

impl ConvTranspose2d {
    /// A square kernel, drawn by PyTorch's default (whose fan-in for this layer is `O · k²`).
    pub fn new(
        mut builder: Builder<'_>,
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Self {
        let init = Init::pytorch_default(output * kernel * kernel);
        let shape = [input, output, kernel, kernel];
        Self {
            weight: builder.parameter("weight", &shape, Role::Weight, init),
            bias: builder.parameter("bias", &[output], Role::Bias, init),
            stride,
            padding,
        }
    }

    /// `[B, C, H, W]` → `[B, O, (H − 1)·stride − 2·padding + k, …]`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let weight = pass.get::<4>(self.weight);
        let [_, outputs, kh, kw] = weight.dims();
        let read = x.shape().num_elements();
        let output = module::conv_transpose2d(
            x,
            weight,
            Some(pass.get(self.bias)),
            ConvTransposeOptions::new([self.stride; 2], [self.padding; 2], [0; 2], [1; 2], 1),
        );
        pass.count(read * outputs * kh * kw, output.shape().num_elements());
        output
    }
}
