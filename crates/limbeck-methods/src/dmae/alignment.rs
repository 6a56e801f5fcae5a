//! Tokens of the student beside the teacher's.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass,
    layer::{Linear, gelu},
};
use serde::{Deserialize, Serialize};

/// What the student's tokens go through before they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlignmentHead {
    /// A linear map to the teacher's width.
    #[default]
    Fc,
    /// Two linear maps with a GELU between them.
    Mlp,
    /// Nothing: the networks are equally wide.
    None,
}

/// How far two tokens are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlignmentDistance {
    /// Mean of the absolute differences.
    #[default]
    L1,
    /// Mean of the squared differences.
    Mse,
}

/// The heads of all pairs of blocks, and how what comes out of them is compared. With heads, tokens of
/// both sides are brought to length 1 first; without, they are compared as they are (authors' code).
#[derive(Clone, Debug)]
pub struct Alignment {
    heads: Vec<Head>,
    distance: AlignmentDistance,
}

#[derive(Clone, Debug)]
enum Head {
    Fc(Linear),
    Mlp(Linear, Linear),
    None,
}

impl Alignment {
    /// A head for each pair of widths `(student, teacher)`: `0`, `1`, …, of two maps `0.0` and `0.2`, drawn
    /// by PyTorch's default (authors' code, which makes them after the rest is drawn).
    pub fn new(
        builder: &mut Builder<'_>,
        head: AlignmentHead,
        distance: AlignmentDistance,
        widths: &[(usize, usize)],
    ) -> Self {
        let heads = widths.iter().enumerate();
        let heads = heads.map(|(index, &(student, teacher))| match head {
            AlignmentHead::Fc => Head::Fc(Linear::new(builder.sub(index), student, teacher)),
            AlignmentHead::Mlp => {
                let mut builder = builder.sub(index);
                let first = Linear::new(builder.sub(0), student, teacher);
                Head::Mlp(first, Linear::new(builder.sub(2), teacher, teacher))
            }
            AlignmentHead::None => Head::None,
        });
        Self {
            heads: heads.collect(),
            distance,
        }
    }

    /// How far the student's tokens `[B, N, D]` are from the teacher's `[B, N, D']` at pair `index`, `[1]`.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        index: usize,
        student: Tensor<3>,
        teacher: Tensor<3>,
    ) -> Tensor<1> {
        let student = match &self.heads[index] {
            Head::None => return self.between(student, teacher),
            Head::Fc(map) => map.forward(pass, student),
            Head::Mlp(first, second) => {
                let hidden = gelu(first.forward(pass, student));
                second.forward(pass, hidden)
            }
        };
        self.between(unit(student), unit(teacher))
    }

    fn between(&self, student: Tensor<3>, teacher: Tensor<3>) -> Tensor<1> {
        let difference = student - teacher;
        match self.distance {
            AlignmentDistance::L1 => difference.abs().mean(),
            AlignmentDistance::Mse => difference.square().mean(),
        }
    }
}

/// Tokens over their lengths, or over 1e-12 where they are shorter (PyTorch's `normalize`).
fn unit(tokens: Tensor<3>) -> Tensor<3> {
    const SQUARE_OF_LEAST: f64 = 1e-24;
    let squares = tokens.clone().square().sum_dim(2);
    tokens / squares.clamp_min(SQUARE_OF_LEAST).sqrt()
}
