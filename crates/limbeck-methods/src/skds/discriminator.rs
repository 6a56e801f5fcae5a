//! Tells the teacher's maps of scores from the student's.

use burn::tensor::{
    Tensor,
    activation::{leaky_relu, softmax},
};
use limbeck_nn::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{BatchNorm2d, Conv2d, Conv2dConfig, SpectralConv2d, resize_bilinear},
};

/// Slope of leaky ReLUs below zero (authors' code).
const SLOPE: f64 = 0.1;
/// Channels of the convolutions (authors' code).
const WIDTHS: [usize; 4] = [64, 128, 256, 512];
/// Convolutions after which positions attend to each other (authors' code).
const ATTENDING: [usize; 2] = [2, 3];
/// Smallest side of which four convolutions of stride 2 leave what the last one covers.
const LEAST_SIDE: usize = 64;
/// Queries and keys have this many times fewer channels than values (authors' code).
const NARROWER: usize = 8;

/// `preprocess_additional`, `l1` to `l4`, `attn1`, `attn2`, `last`: the authors' names.
#[derive(Debug)]
pub struct Discriminator {
    norm: BatchNorm2d,
    layers: Vec<SpectralConv2d>,
    attention: [Attention; 2],
    last: Conv2d,
}

/// Attention over the positions of a map, added to it with a factor that begins at 0 (Zhang,
/// Goodfellow, Metaxas, Odena. "Self-Attention Generative Adversarial Networks". ICML 2019).
#[derive(Debug)]
struct Attention {
    query: Conv2d,
    key: Conv2d,
    value: Conv2d,
    gamma: ParameterId,
}

impl Discriminator {
    /// For scores of `classes` classes.
    pub fn new(builder: &mut Builder<'_>, classes: usize) -> Self {
        let norm = BatchNorm2d::new(builder.sub("preprocess_additional"), classes);
        let inputs = std::iter::once(classes).chain(WIDTHS);
        let layers = (1..).zip(inputs.zip(WIDTHS)).map(|(i, (input, output))| {
            let config = Conv2dConfig::new(input, output, 4).stride(2).padding(1);
            SpectralConv2d::new(builder.sub(format!("l{i}")), config.bias())
        });
        let layers = layers.collect();
        let attention = [
            ("attn1", WIDTHS[ATTENDING[0]]),
            ("attn2", WIDTHS[ATTENDING[1]]),
        ]
        .map(|(name, width)| Attention::new(&mut builder.sub(name), width));
        let last = Conv2dConfig::new(WIDTHS[3], 1, 4).bias();
        Self {
            norm,
            layers,
            attention,
            last: Conv2d::new(builder.sub("last"), last),
        }
    }

    /// How much scores `[B, K, h, w]` look like the teacher's, the mean over all of them: `[1]`
    /// after `each` has been applied to the judgements `[B, 1, …]`.
    pub fn judge(
        &self,
        pass: &mut Pass<'_>,
        scores: Tensor<4>,
        each: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<1> {
        let [_, _, height, width] = scores.dims();
        let size = [height.max(LEAST_SIDE), width.max(LEAST_SIDE)];
        let x = resize_bilinear(scores, size, false);
        let mut x = self.norm.forward(pass, x);
        let mut attention = self.attention.iter();
        for (i, layer) in self.layers.iter().enumerate() {
            x = leaky_relu(layer.forward(pass, x), SLOPE);
            if ATTENDING.contains(&i)
                && let Some(attention) = attention.next()
            {
                x = attention.forward(pass, x);
            }
        }
        each(self.last.forward(pass, x)).mean()
    }
}

impl Attention {
    fn new(builder: &mut Builder<'_>, width: usize) -> Self {
        let narrow = width / NARROWER;
        let mut conv = |name, output| {
            Conv2d::new(
                builder.sub(name),
                Conv2dConfig::new(width, output, 1).bias(),
            )
        };
        Self {
            query: conv("query_conv", narrow),
            key: conv("key_conv", narrow),
            value: conv("value_conv", width),
            gamma: builder.parameter("gamma", &[1], Role::NormScale, Init::Constant(0.0)),
        }
    }

    /// `[B, C, h, w]` → the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let positions = height * width;
        let mut of = |conv: &Conv2d| -> Tensor<3> {
            let map = conv.forward(pass, x.clone());
            let [_, channels, ..] = map.dims();
            map.reshape([batch, channels, positions])
        };
        let (query, key, value) = (of(&self.query), of(&self.key), of(&self.value));
        // A row for each asking position.
        let attention = softmax(query.swap_dims(1, 2).matmul(key), 2);
        let seen = value.matmul(attention.swap_dims(1, 2));
        let gamma = pass.get::<1>(self.gamma).reshape([1, 1, 1, 1]);
        seen.reshape([batch, channels, height, width]) * gamma + x
    }
}
