//! The blocks that ResNets are made of.

use burn::tensor::Tensor;

use crate::{
    Builder, Pass,
    layer::{Activation, Conv2dConfig, ConvNorm, Residual},
};

/// Kind of residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Two 3×3 convolutions, the first with the stride.
    Basic,
    /// 1×1, 3×3 (with the stride) and 1×1 with four times the channels.
    Bottleneck,
}

impl Block {
    /// Output channels per channel of the block's inner width.
    pub fn expansion(self) -> usize {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }
}

/// Shape of a [`ResidualBlock`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockShape {
    /// Input channels.
    pub input: usize,
    /// Channels of the inner convolutions.
    pub inner: usize,
    /// Stride of the block.
    pub stride: usize,
    /// Dilation of the 3×3 convolution that has the stride.
    pub first_dilation: usize,
    /// Dilation of the 3×3 convolution after it, which basic blocks alone have.
    pub dilation: usize,
}

/// Two or three convolutions beside the identity, or a 1×1 projection where shapes differ.
#[derive(Clone, Debug)]
pub(crate) struct ResidualBlock {
    /// Each followed by ReLU.
    inner: Vec<ConvNorm>,
    last: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl ResidualBlock {
    /// `shortcut_name` is the state-dict name of the projection.
    pub(crate) fn new(
        mut builder: Builder<'_>,
        shape: BlockShape,
        block: Block,
        shortcut_name: &str,
    ) -> Self {
        let BlockShape {
            input,
            inner: width,
            stride,
            first_dilation,
            dilation,
        } = shape;
        let output = width * block.expansion();
        let strided = |input| dilated(input, width, first_dilation).stride(stride);
        let shapes = match block {
            Block::Basic => vec![strided(input), dilated(width, width, dilation)],
            Block::Bottleneck => vec![
                Conv2dConfig::new(input, width, 1),
                strided(width),
                Conv2dConfig::new(width, output, 1),
            ],
        };
        let mut inner: Vec<ConvNorm> = (1..)
            .zip(shapes)
            .map(|(i, shape)| {
                let (conv, norm) = (format!("conv{i}"), format!("bn{i}"));
                ConvNorm::new(&mut builder, conv, norm, shape.kaiming_fan_out())
            })
            .collect();
        let last = inner.remove(inner.len() - 1);
        let shortcut = (stride != 1 || input != output).then(|| {
            ConvNorm::new(
                &mut builder,
                format_args!("{shortcut_name}.0"),
                format_args!("{shortcut_name}.1"),
                Conv2dConfig::new(input, output, 1)
                    .stride(stride)
                    .kaiming_fan_out(),
            )
        });
        Self {
            inner,
            last,
            shortcut,
        }
    }

    /// The sum before the block's last ReLU.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let (last, y, identity) = self.before_last(pass, x);
        last.forward_joined(pass, y, identity, Activation::Identity)
    }

    /// [`ResidualBlock::forward`], then ReLU.
    pub(crate) fn forward_relu(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let (last, y, identity) = self.before_last(pass, x);
        last.forward_joined(pass, y, identity, Activation::Relu)
    }

    /// ReLU of what [`ResidualBlock::forward`] gave.
    pub(crate) fn activate(&self, pass: &Pass<'_>, sum: Tensor<4>) -> Tensor<4> {
        self.last.activate(pass, sum)
    }

    /// The last layer, its input, and what is added to its output.
    fn before_last(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> (&ConvNorm, Tensor<4>, Residual) {
        let (mut y, identity, rest) = match (&self.shortcut, self.inner.as_slice()) {
            (Some(shortcut), [first, rest @ ..]) => {
                let (y, identity) = first.forward_relu_beside(pass, shortcut, x);
                (y, identity, rest)
            }
            (_, inner) => (x.clone(), Residual::Map(x), inner),
        };
        for layer in rest {
            y = layer.forward_relu(pass, y);
        }
        (&self.last, y, identity)
    }
}

/// A 3×3 convolution that keeps the size, where its stride is 1.
fn dilated(input: usize, output: usize, dilation: usize) -> Conv2dConfig {
    Conv2dConfig::new(input, output, 3)
        .padding(dilation)
        .dilation(dilation)
}
