//! MobileNetV2's block.

use burn::tensor::Tensor;

use crate::{
    Builder, Pass,
    layer::{Activation, Conv2dConfig, ConvNorm},
};

/// Shape of an [`InvertedResidual`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct InvertedShape {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Channels in between, per input channel.
    pub expansion: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Dilation of the depthwise convolution.
    pub dilation: usize,
}

/// 1×1 to more channels, depthwise 3×3, 1×1 to few channels without activation; the input is
/// added where the shapes agree.
///
/// Sandler et al. "MobileNetV2: Inverted Residuals and Linear Bottlenecks". CVPR 2018, table 1.
#[derive(Clone, Debug)]
pub(crate) struct InvertedResidual {
    /// Each followed by the activation.
    active: Vec<ConvNorm>,
    project: ConvNorm,
    skip: bool,
    activation: Activation,
}

impl InvertedResidual {
    /// `names` are the state-dict names of convolution and norm, for each of the convolutions;
    /// two of them leave the first 1×1 convolution out (for an expansion of 1).
    pub(crate) fn new(
        mut builder: Builder<'_>,
        shape: InvertedShape,
        names: &[(&str, &str)],
        activation: Activation,
    ) -> Self {
        let inner = shape.input * shape.expansion;
        let all = [
            Conv2dConfig::new(shape.input, inner, 1),
            Conv2dConfig::new(inner, inner, 3)
                .stride(shape.stride)
                .padding(shape.dilation)
                .dilation(shape.dilation)
                .groups(inner),
            Conv2dConfig::new(inner, shape.output, 1),
        ];
        let mut layers: Vec<ConvNorm> = all[all.len() - names.len()..]
            .iter()
            .zip(names)
            .map(|(config, (convolution, norm))| {
                ConvNorm::new(&mut builder, convolution, norm, config.kaiming_fan_out())
            })
            .collect();
        let project = layers.remove(layers.len() - 1);
        Self {
            active: layers,
            project,
            skip: shape.stride == 1 && shape.input == shape.output,
            activation,
        }
    }

    /// `[B, C, H, W]` → `[B, O, H', W']`.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let identity = self.skip.then(|| x.clone());
        let mut y = x;
        for layer in &self.active {
            y = layer.forward_with(pass, y, None, self.activation);
        }
        self.project
            .forward_with(pass, y, identity, Activation::Identity)
    }
}
