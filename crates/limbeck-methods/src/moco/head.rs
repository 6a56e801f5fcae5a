//! From embeddings to the unit vectors that are compared.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass,
    layer::{Linear, relu},
};
use serde::{Deserialize, Serialize};

/// What brings embeddings to vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// A linear map, `fc`.
    #[default]
    Linear,
    /// Linear, ReLU, linear, with a hidden layer of the embedding's width: `fc.{0,2}`.
    Mlp,
}

/// The head's layers.
#[derive(Clone, Debug)]
pub struct ProjectionHead {
    hidden: Option<Linear>,
    output: Linear,
}

impl ProjectionHead {
    /// From `width` numbers to `dimensions`.
    pub fn new(builder: &mut Builder<'_>, head: Head, width: usize, dimensions: usize) -> Self {
        match head {
            Head::Linear => Self {
                hidden: None,
                output: Linear::new(builder.sub("fc"), width, dimensions),
            },
            Head::Mlp => Self {
                hidden: Some(Linear::new(builder.sub("fc.0"), width, width)),
                output: Linear::new(builder.sub("fc.2"), width, dimensions),
            },
        }
    }

    /// `[B, D]` → `[B, dimensions]`.
    pub fn forward(&self, pass: &mut Pass<'_>, embeddings: Tensor<2>) -> Tensor<2> {
        let hidden = match &self.hidden {
            None => embeddings,
            Some(layer) => relu(layer.forward(pass, embeddings)),
        };
        self.output.forward(pass, hidden)
    }
}

/// Added to squared lengths: a vector of zeros stays one, and its gradient finite.
const EPSILON: f64 = 1e-24;

/// Rows `[B, D]` over their lengths.
pub(super) fn unit(rows: Tensor<2>) -> Tensor<2> {
    let lengths = rows.clone().square().sum_dim(1).add_scalar(EPSILON).sqrt();
    rows / lengths
}

/// Mean over the numbers of unit vectors `[B, D]` of their standard deviations over the images, times
/// √D: 1 where all directions are taken alike, 0 where all images have one.
pub(super) fn spread(rows: &Tensor<2>) -> f64 {
    let rows = rows.clone().inner();
    let [_, width] = rows.dims();
    let centred = rows.clone() - rows.mean_dim(0);
    let deviations = centred.square().mean_dim(0).sqrt();
    let mean: f64 = deviations.mean().into_scalar();
    mean * (width as f64).sqrt()
}
