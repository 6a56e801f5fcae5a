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
        let entry = &pass.store().entry(self.weight).shape;
        let (outputs, kernel) = (entry[1], entry[2]);
        let [batch, inputs, height, width] = x.dims();
        let size = |length: usize| (length - 1) * self.stride + kernel - 2 * self.padding;
        let shape = [batch, outputs, size(height), size(width)];
        pass.count(
            batch * inputs * height * width * outputs * kernel * kernel,
            shape.iter().product(),
        );
        if pass.is_counting() {
            return Tensor::zeros(shape, (pass.device(), pass.dtype()));
        }
        module::conv_transpose2d(
            x,
            pass.get(self.weight),
            Some(pass.get(self.bias)),
            ConvTransposeOptions::new([self.stride; 2], [self.padding; 2], [0; 2], [1; 2], 1),
        )
    }
}
