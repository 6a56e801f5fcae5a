//! The prototypes and the maps around them.

use burn::tensor::{
    Tensor,
    activation::{relu, softmax},
};
use limbeck_nn::{Builder, Init, ParameterId, Pass, Role, layer::Linear};

use super::states::STATES;
use crate::MethodError;

/// Square of the length below which a row keeps its own (PyTorch's `normalize`, 1e-12).
const SQUARED_GUARD: f64 = 1e-24;

/// K prototypes of width D. State-dict names: `centroids`, `cat_transform`, `assign`, `vlad_fc`,
/// `transform1`, `transform2`, `encode`, `aug1`, `aug2`.
#[derive(Debug)]
pub(super) struct Prototypes {
    centroids: ParameterId,
    cat_transform: Linear,
    assign: Linear,
    vlad_fc: Linear,
    transform: [Linear; 2],
    encode: Linear,
    augment: [Linear; 2],
    count: usize,
    width: usize,
}

/// What prototypes tell of hidden states.
#[derive(Debug)]
pub(super) struct Code {
    /// s, `[B, N, D]`.
    pub tokens: Tensor<3>,
    /// v, `[B, D]`.
    pub descriptor: Tensor<2>,
}

/// Tokens beside the prototypes.
#[derive(Debug)]
pub(super) struct Alignment {
    /// e, `[B, N, D]`.
    encoded: Tensor<3>,
    /// c', `[K, D]`.
    centroids: Tensor<2>,
    /// Share of each prototype in each token, `[B, N, K]`.
    pub shares: Tensor<3>,
}

impl Prototypes {
    /// Makes the parameters: prototypes drawn from 0 to 1, maps by PyTorch's defaults.
    pub fn new(mut builder: Builder<'_>, count: usize, width: usize) -> Self {
        let centroids = builder.parameter("centroids", &[count, width], Role::Token, Init::Unit);
        let mut dense =
            |name: &str, from: usize, to: usize| Linear::new(builder.sub(name), from, to);
        let cat_transform = dense("cat_transform", STATES * width, width);
        let vlad_fc = dense("vlad_fc", count * width, width);
        let mut pointwise = |name: &str, from: usize, to: usize| {
            Linear::with_init(
                builder.sub(name),
                from,
                to,
                Init::pytorch_default(from),
                None,
            )
        };
        Self {
            centroids,
            cat_transform,
            vlad_fc,
            assign: pointwise("assign", width, count),
            transform: [
                pointwise("transform1", 2 * width, width),
                pointwise("transform2", width, width),
            ],
            encode: pointwise("encode", width, width),
            augment: [
                pointwise("aug1", 2 * width, width),
                pointwise("aug2", width, width),
            ],
            count,
            width,
        }
    }

    /// Hidden states `[B, N, D]` side by side, `[B, N, 3·D]`.
    ///
    /// # Errors
    /// Another number of states, of tokens, or another width.
    pub fn join(
        &self,
        method: &'static str,
        states: Vec<Tensor<3>>,
    ) -> Result<Tensor<3>, MethodError> {
        let shapes: Vec<[usize; 3]> = states.iter().map(Tensor::dims).collect();
        let alike = shapes.windows(2).all(|pair| pair[0] == pair[1]);
        let fits = shapes.len() == STATES && shapes.iter().all(|shape| shape[2] == self.width);
        match alike && fits {
            true => Ok(Tensor::cat(states, 2)),
            false => Err(MethodError::Batch {
                method,
                reason: format!(
                    "it reads {STATES} hidden states of as many tokens each, {} wide; found \
                     [images, tokens, width] {shapes:?}",
                    self.width
                ),
            }),
        }
    }

    /// What the prototypes tell of joined states `[B, N, 3·D]`.
    pub fn code(&self, pass: &mut Pass<'_>, states: Tensor<3>) -> Code {
        let tokens = relu(self.cat_transform.forward(pass, states));
        let unit = of_length_one(tokens.clone());
        let shares = self.shares(pass, unit.clone());
        let residuals = self.residuals(pass, unit, shares);
        let descriptor = self.vlad_fc.forward(pass, residuals);
        Code { tokens, descriptor }
    }

    /// How near each token x of joined states `[B, N, 3·D]` is to each prototype c, and the share a of each
    /// prototype in it: both `[B, K, N]`. Of ‖x − c‖² = 1 − 2·x·c + ‖c‖² only x·c differs between the tokens
    /// of one prototype, and it is what is given.
    pub fn likeness(&self, pass: &mut Pass<'_>, states: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let unit = of_length_one(relu(self.cat_transform.forward(pass, states)));
        let shares = self.shares(pass, unit.clone());
        let [batch, ..] = unit.dims();
        let centroids = pass.get::<2>(self.centroids).unsqueeze::<3>();
        let centroids = centroids.expand([batch, self.count, self.width]);
        (centroids.matmul(unit.swap_dims(1, 2)), shares)
    }

    /// a: the share of each prototype in each token x of length one, `[B, N, D]` → `[B, K, N]`.
    pub fn shares(&self, pass: &mut Pass<'_>, unit: Tensor<3>) -> Tensor<3> {
        softmax(self.assign.forward(pass, unit), 2).swap_dims(1, 2)
    }

    /// V of length one: `[B, N, D]` and `[B, K, N]` → `[B, K·D]`.
    pub fn residuals(&self, pass: &Pass<'_>, unit: Tensor<3>, shares: Tensor<3>) -> Tensor<2> {
        let [batch, ..] = unit.dims();
        let centroids = pass.get::<2>(self.centroids).unsqueeze::<3>();
        // Σ_n a_kn (x_n − c_k) without the differences, which would be K times the tokens.
        let residuals = shares.clone().matmul(unit) - shares.sum_dim(2) * centroids;
        let residuals = of_length_one(residuals);
        of_length_one(residuals.reshape([batch, self.count * self.width]))
    }

    /// `tokens` `[B, M, D]`, which are some of the code's, with what the code tells of all.
    pub fn rebuild(&self, pass: &mut Pass<'_>, code: &Code, tokens: Tensor<3>) -> Tensor<3> {
        let shape = tokens.dims();
        let descriptor = code.descriptor.clone().unsqueeze_dim::<3>(1).expand(shape);
        perceive(&self.transform, pass, tokens, descriptor)
    }

    /// Tokens `[B, N, D]` as mixtures of prototypes, added to themselves.
    pub fn augment(&self, pass: &mut Pass<'_>, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let Alignment {
            encoded,
            centroids,
            shares,
        } = self.align(pass, tokens.clone());
        let shares = shares.reshape([batch * count, self.count]);
        let mixed = shares.matmul(centroids).reshape([batch, count, width]);
        let rebuilt = perceive(&self.augment, pass, encoded, mixed);
        relu(rebuilt + tokens)
    }

    /// Which prototypes tokens `[B, N, D]` are made of.
    pub fn align(&self, pass: &mut Pass<'_>, tokens: Tensor<3>) -> Alignment {
        let [batch, count, width] = tokens.dims();
        let encoded = self.encode.forward(pass, tokens);
        let centroids = pass.get::<2>(self.centroids);
        let centroids = self.encode.forward(pass, centroids);
        let rows = encoded.clone().reshape([batch * count, width]);
        let shares = softmax(rows.matmul(centroids.clone().transpose()), 1);
        Alignment {
            shares: shares.reshape([batch, count, self.count]),
            encoded,
            centroids,
        }
    }
}

/// relu(W_2 relu(W_1 [a; b])) for each token.
fn perceive(
    [first, second]: &[Linear; 2],
    pass: &mut Pass<'_>,
    a: Tensor<3>,
    b: Tensor<3>,
) -> Tensor<3> {
    let inner = relu(first.forward(pass, Tensor::cat(vec![a, b], 2)));
    relu(second.forward(pass, inner))
}

/// Rows along the last axis divided by their length, or by 1e-12 where that is greater. A row of zeros
/// stays one, and has a gradient.
pub(super) fn of_length_one<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let squares = x.clone().square().sum_dim(D - 1);
    x / squares.clamp_min(SQUARED_GUARD).sqrt()
}
