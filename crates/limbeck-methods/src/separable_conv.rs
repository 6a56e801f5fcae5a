//! The separable convolution of the auxiliary classifiers of self-distillation.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass,
    layer::{Conv2d, Conv2dConfig, ConvNorm},
};

/// Two depthwise 3×3 convolutions, the first of stride 2, each followed by a 1×1 convolution,
/// batch norm and ReLU; names `op.{0,1,2,4,5,6}`.
#[derive(Debug)]
pub(crate) struct SeparableConv {
    depthwise: [Conv2d; 2],
    pointwise: [ConvNorm; 2],
}

impl SeparableConv {
    /// From `input` to `output` channels.
    pub fn new(mut builder: Builder<'_>, input: usize, output: usize) -> Self {
        let mut depthwise = |name, stride| {
            let config = Conv2dConfig::new(input, input, 3).stride(stride).padding(1);
            Conv2d::new(builder.sub(name), config.groups(input))
        };
        let depthwise = [depthwise("op.0", 2), depthwise("op.4", 1)];
        let mut pointwise = |conv, norm, output| {
            ConvNorm::new(
                &mut builder,
                conv,
                norm,
                Conv2dConfig::new(input, output, 1),
            )
        };
        let pointwise = [
            pointwise("op.1", "op.2", input),
            pointwise("op.5", "op.6", output),
        ];
        Self {
            depthwise,
            pointwise,
        }
    }

    /// `[B, C, H, W]` → `[B, O, ⌈H/2⌉, ⌈W/2⌉]`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let layers = self.depthwise.iter().zip(&self.pointwise);
        layers.fold(x, |x, (depthwise, pointwise)| {
            let x = depthwise.forward(pass, x);
            pointwise.forward_relu(pass, x)
        })
    }
}
