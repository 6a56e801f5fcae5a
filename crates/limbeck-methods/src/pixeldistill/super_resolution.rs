//! The large image from the student's first map.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{Conv2d, Conv2dConfig, FrozenConvolution, relu},
};

use crate::{MethodError, connector::mean_squared_error};

/// Slope of a PReLU below zero before it has learnt (PyTorch's default).
const SLOPE: f64 = 0.25;

/// A 1×1 convolution, pixels put in the place of channels, a PReLU with a slope for each colour,
/// and a crop to the size. State-dict names `conv.weight`, `prelu.weight`.
#[derive(Debug)]
pub struct SuperResolution {
    conv: Conv2d,
    slopes: ParameterId,
    scale: usize,
    side: usize,
}

impl SuperResolution {
    /// From a map `[C, h, h]` to an image `[colours, side, side]`.
    ///
    /// # Errors
    /// A map that is not square, or larger than the image.
    pub fn new(
        builder: &mut Builder<'_>,
        map: [usize; 3],
        colours: usize,
        side: usize,
    ) -> Result<Self, MethodError> {
        let [channels, height, width] = map;
        if height != width || height > side || height == 0 {
            return Err(MethodError::Shape {
                method: super::Pixeldistill::ID,
                feature: format!("the student's first map {map:?}"),
                reason: format!(
                    "a square image of {side}×{side} is made of it, so it has to be square and no \
                     larger; use square images"
                ),
            });
        }
        let scale = side.div_ceil(height);
        let config = Conv2dConfig::new(channels, colours * scale * scale, 1);
        Ok(Self {
            conv: Conv2d::new(builder.sub("conv"), config),
            slopes: builder.sub("prelu").parameter(
                "weight",
                &[colours],
                Role::Weight,
                Init::Constant(SLOPE),
            ),
            scale,
            side,
        })
    }

    /// How many times as high and wide the map becomes before the crop.
    #[cfg(test)]
    pub fn scale(&self) -> usize {
        self.scale
    }

    /// `[B, C, h, h]` → `[B, colours, side, side]`.
    pub fn forward(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Tensor<4> {
        let image = pixel_shuffle(self.conv.forward(pass, map), self.scale);
        let [_, colours, height, width] = image.dims();
        let slopes = pass.get::<1>(self.slopes).reshape([1, colours, 1, 1]);
        let image = relu(image.clone()) - relu(image.neg()) * slopes;
        image
            .narrow(2, 0, self.side.min(height))
            .narrow(3, 0, self.side.min(width))
    }
}

/// `[B, C · scale², h, w]` → `[B, C, scale · h, scale · w]`: channel c · scale² + i · scale + j
/// becomes the pixel (i, j) of each square of channel c.
pub(super) fn pixel_shuffle(x: Tensor<4>, scale: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let colours = channels / (scale * scale);
    x.reshape([batch, colours, scale, scale, height, width])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([batch, colours, scale * height, scale * width])
}

/// Mean of |image − large|, `[1]`; both `[B, colours, L, L]`, the large one a constant.
pub fn reconstruction_error(image: Tensor<4>, large: Tensor<4>) -> Tensor<1> {
    (image - large.inner()).abs().mean()
}

/// What the assistant's first convolution makes of the two images.
#[derive(Clone, Debug)]
pub struct HighResolution {
    /// Of the image that was made, `[B, O, h, w]`.
    pub student: Tensor<4>,
    /// Of the large one, `[B, O, h, w]`, a constant.
    pub target: Tensor<4>,
}

impl HighResolution {
    /// Both images `[B, colours, L, L]` through the assistant's first convolution.
    pub fn new(convolution: &FrozenConvolution, image: Tensor<4>, large: Tensor<4>) -> Self {
        Self {
            student: convolution.forward(image),
            target: convolution.forward(large.inner()),
        }
    }

    /// Mean of the squared differences, `[1]`.
    pub fn error(&self) -> Tensor<1> {
        mean_squared_error(self.student.clone(), self.target.clone())
    }
}
