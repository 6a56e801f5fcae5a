//! The perceptron of a transformer's block.

use burn::tensor::Tensor;
use limbeck_kernels::{PerceptronWeights, gelu, perceptron};

use super::{Linear, dropout::branch_shares};
use crate::Pass;

/// Two linear maps with biases and an exact GELU between them.
#[derive(Clone, Copy, Debug)]
pub struct Perceptron {
    first: Linear,
    second: Linear,
}

impl Perceptron {
    /// Of both maps.
    pub fn new(first: Linear, second: Linear) -> Self {
        Self { first, second }
    }

    /// Tokens `[B, N, I]` → `[B, N, O]`, added to `residual`, `[B, N, O]`. In training it is left out for
    /// whole samples with probability `rate`, as by [`super::drop_path`].
    pub fn forward_onto(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        residual: Tensor<3>,
        rate: f64,
    ) -> Tensor<3> {
        let biases = self.first.bias(pass).zip(self.second.bias(pass));
        let biases = biases.filter(|_| pass.computes_plainly());
        let Some((first_bias, second_bias)) = biases else {
            let y = gelu(self.first.forward(pass, x));
            return self.second.forward_onto(pass, y, residual, rate);
        };
        let [batch, tokens, _] = x.dims();
        let (first, second) = (self.first.weight(pass), self.second.weight(pass));
        self.first.count(pass, x.shape().num_elements());
        self.second.count(pass, batch * tokens * second.dims()[1]);
        let shares = branch_shares(pass, batch, rate);
        let weights = PerceptronWeights {
            first,
            first_bias,
            second,
            second_bias,
        };
        perceptron(x, weights, residual, shares)
    }
}
