//! Affine maps.

use std::ops::Range;

use burn::tensor::Tensor;
use limbeck_kernels::linear_onto;

use super::dropout::{branch_shares, drop_path};
use crate::{Builder, Init, ParameterId, Pass, Role};

/// `weight` `[O, I]` and optional `bias` `[O]`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    weight: ParameterId,
    bias: Option<ParameterId>,
}

impl Linear {
    /// With a bias, both drawn by PyTorch's default.
    pub fn new(builder: Builder<'_>, input: usize, output: usize) -> Self {
        let default = Init::pytorch_default(input);
        Self::with_init(builder, input, output, default, Some(default))
    }

    /// With these distributions; no bias where `bias` is `None`.
    pub fn with_init(
        mut builder: Builder<'_>,
        input: usize,
        output: usize,
        weight: Init,
        bias: Option<Init>,
    ) -> Self {
        Self {
            weight: builder.parameter("weight", &[output, input], Role::Weight, weight),
            bias: bias.map(|init| builder.parameter("bias", &[output], Role::Bias, init)),
        }
    }

    /// The weight, `[O, I]`.
    pub fn weight(&self, pass: &Pass<'_>) -> Tensor<2> {
        pass.get(self.weight)
    }

    /// The bias, `[O]`.
    pub fn bias(&self, pass: &Pass<'_>) -> Option<Tensor<1>> {
        self.bias.map(|bias| pass.get(bias))
    }

    /// Some of the outputs alone: `[…, I]` → `[…, outputs]`.
    pub fn forward_part<const D: usize>(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<D>,
        outputs: Range<usize>,
    ) -> Tensor<D> {
        let mut shape = x.dims();
        let rows = x.shape().num_elements() / shape[D - 1];
        let macs = rows * shape[D - 1] * outputs.len();
        pass.count_layer(self.weight, macs, rows * outputs.len());
        if let Some(all) = pass.linear_in_integers(self.weight, self.bias, &x) {
            return all.narrow(D - 1, outputs.start, outputs.len());
        }
        let x = pass.layer_input(self.weight, x);
        if pass.is_counting() {
            shape[D - 1] = outputs.len();
            return Tensor::zeros(shape, (pass.device(), pass.dtype()));
        }
        let (first, count) = (outputs.start, outputs.len());
        let weight = self.weight(pass).narrow(0, first, count);
        let bias = self.bias(pass).map(|bias| bias.narrow(0, first, count));
        limbeck_kernels::linear(x, weight, bias)
    }

    /// `[…, I]` → `[…, O]`.
    pub fn forward<const D: usize>(&self, pass: &mut Pass<'_>, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        shape[D - 1] = pass.store().entry(self.weight).shape[0];
        self.count(pass, x.shape().num_elements());
        if let Some(y) = pass.linear_in_integers(self.weight, self.bias, &x) {
            return y;
        }
        let x = pass.layer_input(self.weight, x);
        if pass.is_counting() {
            return Tensor::zeros(shape, (pass.device(), pass.dtype()));
        }
        let bias = self.bias.map(|bias| pass.get::<1>(bias));
        limbeck_kernels::linear(x, pass.get::<2>(self.weight), bias)
    }

    /// Tokens `[B, N, I]` → `[B, N, O]`, added to `residual`, `[B, N, O]`. In training the map is left out for
    /// whole samples with probability `rate`, as [`drop_path`] does.
    pub fn forward_onto(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        residual: Tensor<3>,
        rate: f64,
    ) -> Tensor<3> {
        let Some(bias) = self.bias.filter(|_| pass.computes_plainly()) else {
            let y = self.forward(pass, x);
            return residual + drop_path(pass, y, rate);
        };
        self.count(pass, x.shape().num_elements());
        let shares = branch_shares(pass, x.dims()[0], rate);
        let (weight, bias) = (pass.get(self.weight), pass.get(bias));
        linear_onto(x, weight, bias, residual, shares)
    }

    /// Counts the cost of an input of so many numbers.
    pub(super) fn count(&self, pass: &mut Pass<'_>, numbers: usize) {
        let [outputs, inputs] = [0, 1].map(|axis| pass.store().entry(self.weight).shape[axis]);
        let written = numbers / inputs * outputs;
        pass.count_layer(self.weight, written * inputs, written);
    }
}
