//! Tells the teacher's from the student's.

use burn::tensor::{Tensor, activation::leaky_relu};
use limbeck_nn::{
    Builder, Pass,
    layer::{Conv2d, Conv2dConfig, ConvNorm, Linear},
};

/// Slope of leaky ReLUs below zero (released code).
const SLOPE: f64 = 0.2;
/// Channels grow to this many times the first ones (released code).
const MOST: usize = 8;

/// A discriminator of what the teacher and the student give out.
#[derive(Debug)]
pub enum Discriminator {
    /// Of tokens, as in the paper.
    Tokens(TokenDiscriminator),
    /// Of maps of relations, as in the released code.
    Relations(Box<PatchDiscriminator>),
}

impl Discriminator {
    /// How much each of `[B, N, D]` tokens or `[B, N, N]` relations looks like the teacher's, as
    /// logits `[B]`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>) -> Tensor<1> {
        match self {
            Self::Tokens(discriminator) => discriminator.forward(pass, x),
            Self::Relations(discriminator) => discriminator.forward(pass, x),
        }
    }
}

/// The mean over tokens through three linear maps, D → D/2 → D/4 → 1: `fc1`, `fc2`, `fc3`.
#[derive(Debug)]
pub struct TokenDiscriminator {
    layers: [Linear; 3],
}

impl TokenDiscriminator {
    /// For tokens of length `width`.
    pub fn new(builder: &mut Builder<'_>, width: usize) -> Self {
        let (half, quarter) = (width.div_ceil(2), width.div_ceil(4));
        let mut layer = |name, input, output| Linear::new(builder.sub(name), input, output);
        Self {
            layers: [
                layer("fc1", width, half),
                layer("fc2", half, quarter),
                layer("fc3", quarter, 1),
            ],
        }
    }

    fn forward(&self, pass: &mut Pass<'_>, tokens: Tensor<3>) -> Tensor<1> {
        let [batch, _, width] = tokens.dims();
        let [first, second, last] = &self.layers;
        let x = tokens.mean_dim(1).reshape([batch, width]);
        let x = leaky_relu(first.forward(pass, x), SLOPE);
        let x = leaky_relu(second.forward(pass, x), SLOPE);
        last.forward(pass, x).reshape([batch])
    }
}

/// PatchGAN over relations as one-channel images: 4×4 convolutions, all but the last two of
/// stride 2, leaky ReLUs, batch norms in between, and the mean over positions. State-dict names
/// `model.0`, `model.2`, …, the places in the authors' sequence.
#[derive(Debug)]
pub struct PatchDiscriminator {
    first: Conv2d,
    middle: Vec<ConvNorm>,
    last: Conv2d,
}

impl PatchDiscriminator {
    /// With `width` channels after the first of `layers` convolutions of stride 2; `layers` is at
    /// least 1.
    pub fn new(builder: &mut Builder<'_>, width: usize, layers: usize) -> Self {
        let strided = |input, output| Conv2dConfig::new(input, output, 4).stride(2).padding(1);
        let dense = |input, output| Conv2dConfig::new(input, output, 4).padding(1);
        let first = Conv2d::new(builder.sub("model.0"), strided(1, width).bias());
        let mut channels = width;
        let mut place = 2;
        let mut middle = Vec::new();
        for layer in 1..=layers {
            let wider = width * MOST.min(1 << layer.min(3));
            let config = match layer == layers {
                true => dense(channels, wider),
                false => strided(channels, wider),
            };
            let names = [place, place + 1].map(|place| format!("model.{place}"));
            middle.push(ConvNorm::new(builder, &names[0], &names[1], config));
            channels = wider;
            place += 3;
        }
        let level = builder.sub(format!("model.{place}"));
        Self {
            first,
            middle,
            last: Conv2d::new(level, dense(channels, 1).bias()),
        }
    }

    /// The smallest side of the maps that `layers` convolutions of stride 2 leave something of.
    pub fn least_side(layers: usize) -> usize {
        3 << layers
    }

    fn forward(&self, pass: &mut Pass<'_>, relations: Tensor<3>) -> Tensor<1> {
        let [batch, rows, columns] = relations.dims();
        let x = relations.reshape([batch, 1, rows, columns]);
        let mut x = leaky_relu(self.first.forward(pass, x), SLOPE);
        for layer in &self.middle {
            x = leaky_relu(layer.forward(pass, x), SLOPE);
        }
        let x = self.last.forward(pass, x);
        x.mean_dim(3).mean_dim(2).reshape([batch])
    }
}

/// Mean binary cross entropy of logits `[B]` with the label that all of them have: `[1]`.
pub fn binary_cross_entropy(logits: Tensor<1>, label: bool) -> Tensor<1> {
    let x = if label { logits.neg() } else { logits };
    // log(1 + exp x) without overflow.
    let small = x.clone().abs().neg().exp().add_scalar(1.0).log();
    (x.clamp_min(0.0) + small).mean()
}
