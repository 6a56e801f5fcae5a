//! Text vectors that are learned.

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Init, ParameterId, Pass, Role};

use super::unit_rows;

/// Given text vectors with a learned offset of each.
#[derive(Clone, Debug)]
pub struct LearnedTexts {
    /// `[C, d]`, of length 1.
    given: Tensor<2>,
    offset: ParameterId,
}

impl LearnedTexts {
    /// Begins with the vectors `given` `[C, d]`. Makes `texts.offset` `[C, d]`.
    pub fn new(builder: &mut Builder<'_>, given: Tensor<2>) -> Self {
        let shape = given.dims();
        let mut level = builder.sub("texts");
        Self {
            given: unit_rows(given),
            offset: level.parameter("offset", &shape, Role::Token, Init::Constant(0.0)),
        }
    }

    /// The vectors now, of length 1: `[C, d]`.
    pub fn vectors(&self, pass: &Pass<'_>) -> Tensor<2> {
        unit_rows(self.given.clone() + pass.get::<2>(self.offset))
    }
}
