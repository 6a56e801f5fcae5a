//! Layer normalisation over the last axis.

use burn::tensor::Tensor;
use limbeck_kernels::layer_norm;

use crate::{Builder, Init, ParameterId, Pass, Role};

/// `weight` and `bias` `[D]`.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm {
    weight: ParameterId,
    bias: ParameterId,
    epsilon: f64,
}

impl LayerNorm {
    /// Scale 1, shift 0; `epsilon` is added to the variance (1e-6 in timm's ViTs).
    pub fn new(mut builder: Builder<'_>, width: usize, epsilon: f64) -> Self {
        Self {
            weight: builder.parameter("weight", &[width], Role::NormScale, Init::Constant(1.0)),
            bias: builder.parameter("bias", &[width], Role::NormShift, Init::Constant(0.0)),
            epsilon,
        }
    }

    /// `[…, D]` → the same shape.
    pub fn forward<const D: usize>(&self, pass: &mut Pass<'_>, x: Tensor<D>) -> Tensor<D> {
        pass.count(0, x.shape().num_elements());
        if pass.is_counting() {
            return x;
        }
        let (weight, bias) = (pass.get(self.weight), pass.get(self.bias));
        layer_norm(x, weight, bias, self.epsilon)
    }
}
