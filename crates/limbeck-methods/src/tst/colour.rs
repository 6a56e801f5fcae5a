//! A network that changes colours: imitates brightness, saturation, contrast, sharpness, posterize
//! or solarize of a given strength.

use burn::tensor::{Tensor, activation::sigmoid};
use limbeck_nn::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{Conv2d, Conv2dConfig, Linear},
};

use super::gate::gate;

/// Names `n_regress.weight`, `c_regress.weight`, `scale`, `logits`, `feature`, `conv.weight`.
#[derive(Clone, Debug)]
pub struct ColourNetwork {
    regress: [Linear; 2],
    scale: ParameterId,
    logits: ParameterId,
    feature: ParameterId,
    conv: Conv2d,
}

/// What a colour network makes.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct Coloured {
    /// Factor of each image, `[B, 1, 1, 1]`.
    pub scale: Tensor<4>,
    /// What is added to each image, `[B, 1, 1, 1]`.
    pub shift: Tensor<4>,
    /// Scaled, shifted and masked images, `[B, 3, H, W]`.
    pub before_convolution: Tensor<4>,
    /// `[B, 3, H, W]`.
    pub images: Tensor<4>,
}

impl ColourNetwork {
    /// Freshly drawn.
    pub fn new(builder: &mut Builder<'_>) -> Self {
        let regress = ["n_regress", "c_regress"].map(|name| {
            let default = Init::pytorch_default(11);
            Linear::with_init(builder.sub(name), 11, 2, default, None)
        });
        let convolution = Conv2dConfig::new(3, 3, 5).padding(2);
        let convolution = convolution.init(Init::pytorch_default(75));
        Self {
            regress,
            scale: builder.parameter("scale", &[1], Role::Weight, Init::Constant(1.0)),
            logits: builder.parameter("logits", &[1], Role::Bias, Init::Constant(0.0)),
            feature: builder.parameter("feature", &[10], Role::Weight, Init::Normal(1.0)),
            conv: Conv2d::new(builder.sub("conv"), convolution),
        }
    }

    /// Changes `images` `[B, 3, H, W]` by `magnitude` `[B, 1]`. `noise` `[10]` is standard normal;
    /// `uniform` `[B, 1, 1, 1]` opens the gate, which stands open without.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        magnitude: Tensor<2>,
        noise: Tensor<1>,
        uniform: Option<Tensor<4>>,
    ) -> Coloured {
        let [batch, _] = magnitude.dims();
        let feature = pass.get::<1>(self.feature) + noise.mul_scalar(0.01);
        let feature = feature.reshape([1, 10]).expand([batch, 10]);
        let z = Tensor::cat(vec![feature, magnitude], 1);
        let [first, second] = &self.regress;
        let both = second.forward(pass, z.clone()) + first.forward(pass, z);
        let column = |index| both.clone().narrow(1, index, 1).reshape([batch, 1, 1, 1]);
        let factor = pass.get::<1>(self.scale).reshape([1, 1, 1, 1]);
        let mut scale = (sigmoid(column(0)).sub_scalar(0.5) * factor).add_scalar(1.0);
        let mut shift = sigmoid(column(1)).sub_scalar(0.5);
        if let Some(uniform) = uniform {
            let logits = pass.get::<1>(self.logits).reshape([1, 1, 1, 1]);
            let share = gate(uniform, logits);
            scale = scale * share.clone() + (-share.clone()).add_scalar(1.0);
            shift = shift * share;
        }
        let mask = picture_mask(&images);
        let before_convolution = (images * scale.clone() + shift.clone()) * mask;
        Coloured {
            images: self.conv.forward(pass, before_convolution.clone()),
            scale,
            shift,
            before_convolution,
        }
    }
}

/// 0 in rows and columns in which the channels of every pixel sum to exactly 0, which are padding;
/// else 1: `[B, 1, H, W]`.
fn picture_mask(images: &Tensor<4>) -> Tensor<4> {
    let sums = images.clone().inner().sum_dim(1);
    let dtype = sums.dtype();
    let there = sums.not_equal_elem(0.0).float().cast(dtype);
    there.clone().max_dim(2) * there.max_dim(3)
}
