//! DINO's projection head: from a token to similarities with prototypes.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{Linear, gelu, linear},
};

/// Norms below this count as it (PyTorch's `normalize`).
const LEAST_NORM: f64 = 1e-12;
/// The authors' `_init_weights`: truncated normal weights, biases zero.
const INIT: Init = Init::TruncatedNormal(0.02);

/// Widths of a [`DinoHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadShape {
    /// Numbers of a token.
    pub width: usize,
    /// Inner width of the perceptron.
    pub hidden: usize,
    /// Numbers of what is compared with the prototypes.
    pub bottleneck: usize,
    /// Number of prototypes K.
    pub prototypes: usize,
}

/// Three linear maps with GELU between them, rows of norm one, and a linear map without bias whose
/// weight is normalised: names `mlp.{0,2,4}`, `last_layer.weight_g`, `last_layer.weight_v`.
#[derive(Clone, Debug)]
pub struct DinoHead {
    layers: [Linear; 3],
    /// Lengths of the prototypes, `[K, 1]`.
    length: ParameterId,
    /// Their directions, of any length, `[K, bottleneck]`.
    direction: ParameterId,
}

impl DinoHead {
    /// Makes the parameters; with `norm_last_layer` all prototypes keep a length of one.
    pub fn new(builder: &mut Builder<'_>, shape: HeadShape, norm_last_layer: bool) -> Self {
        let HeadShape {
            width,
            hidden,
            bottleneck,
            prototypes,
        } = shape;
        let mut layer = |number: usize, from, to| {
            let place = builder.sub(format!("mlp.{number}"));
            Linear::with_init(place, from, to, INIT, Some(Init::Constant(0.0)))
        };
        let layers = [
            layer(0, width, hidden),
            layer(2, hidden, hidden),
            layer(4, hidden, bottleneck),
        ];
        let mut last = builder.sub("last_layer");
        let role = match norm_last_layer {
            true => Role::Statistic,
            false => Role::Weight,
        };
        Self {
            layers,
            length: last.parameter("weight_g", &[prototypes, 1], role, Init::Constant(1.0)),
            direction: last.parameter(
                "weight_v",
                &[prototypes, bottleneck],
                Role::Weight,
                Init::pytorch_default(bottleneck),
            ),
        }
    }

    /// Tokens `[…, D]` → rows of norm one, `[…, bottleneck]`.
    pub fn project<const D: usize>(&self, pass: &mut Pass<'_>, tokens: Tensor<D>) -> Tensor<D> {
        let [first, second, third] = &self.layers;
        let x = gelu(first.forward(pass, tokens));
        let x = gelu(second.forward(pass, x));
        let x = third.forward(pass, x);
        let norm = x.clone().powi_scalar(2).sum_dim(D - 1).sqrt();
        x / norm.clamp_min(LEAST_NORM)
    }

    /// The prototypes `[K, bottleneck]`: g_k · v_k / |v_k|. Nothing learns through them where they
    /// are `frozen`.
    pub fn prototypes(&self, pass: &Pass<'_>, frozen: bool) -> Tensor<2> {
        let direction = pass.get::<2>(self.direction);
        let norm = direction.clone().powi_scalar(2).sum_dim(1).sqrt();
        let rows = direction / norm * pass.get::<2>(self.length);
        match frozen {
            true => rows.detach(),
            false => rows,
        }
    }
}

/// Similarities of projected tokens `[…, bottleneck]` with `prototypes` `[K, bottleneck]`: `[…, K]`.
pub fn similarities<const D: usize>(projected: Tensor<D>, prototypes: Tensor<2>) -> Tensor<D> {
    linear(projected, prototypes, None)
}
