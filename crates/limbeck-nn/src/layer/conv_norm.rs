//! A convolution and the batch norm that directly follows it.

use std::fmt::Display;

use burn::tensor::Tensor;
use limbeck_kernels::{Activation, relu};

use crate::{
    Builder, Pass,
    layer::{BatchNorm2d, Conv2d, Conv2dConfig, NormConstants},
};

/// Convolution, then batch norm; nothing else reads what is in between, so frozen networks fold
/// the two into one.
#[derive(Clone, Copy, Debug)]
pub struct ConvNorm {
    convolution: Conv2d,
    norm: BatchNorm2d,
}

impl ConvNorm {
    /// Makes both, under these names below the builder's level.
    pub fn new(
        builder: &mut Builder<'_>,
        convolution: impl Display,
        norm: impl Display,
        config: Conv2dConfig,
    ) -> Self {
        let convolution = Conv2d::new(builder.sub(convolution), config);
        let norm = BatchNorm2d::after(builder.sub(norm), &convolution, config.output);
        Self { convolution, norm }
    }

    /// The same with other constants of the norm than PyTorch's.
    pub fn with_constants(
        builder: &mut Builder<'_>,
        convolution: impl Display,
        norm: impl Display,
        config: Conv2dConfig,
        constants: NormConstants,
    ) -> Self {
        let convolution = Conv2d::new(builder.sub(convolution), config);
        let norm = builder.sub(norm);
        let norm = BatchNorm2d::after_with(norm, &convolution, config.output, constants);
        Self { convolution, norm }
    }

    /// The same with a norm that gives nothing but zeros until it has learnt otherwise: its scale
    /// starts at 0, so that a residual block starts as the identity.
    pub fn silent(
        builder: &mut Builder<'_>,
        convolution: impl Display,
        norm: impl Display,
        config: Conv2dConfig,
    ) -> Self {
        let convolution = Conv2d::new(builder.sub(convolution), config);
        let norm = BatchNorm2d::silent_after(builder.sub(norm), &convolution, config.output);
        Self { convolution, norm }
    }

    /// `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let x = self.convolution.forward(pass, x);
        self.norm.forward(pass, x)
    }

    /// [`ConvNorm::forward`], then ReLU. `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward_relu(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        self.forward_with(pass, x, None, Activation::Relu)
    }

    /// [`ConvNorm::forward`], then GELU. `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward_gelu(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        self.forward_with(pass, x, None, Activation::Gelu)
    }

    /// [`ConvNorm::forward_relu`]; what ReLU is given is recorded as the tap `before` where that
    /// is asked for. `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward_relu_tapped(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        before: Option<&str>,
    ) -> Tensor<4> {
        let Some(tap) = before.filter(|tap| pass.wants(tap)) else {
            return self.forward_relu(pass, x);
        };
        let x = self.forward(pass, x);
        pass.tap_map(tap, &x);
        self.activate(pass, x)
    }

    /// [`ConvNorm::forward`] of `x`, mixed with `running` by `gates` as in [`GatedFusion`], in one
    /// operation; `None` where it has to be made of several.
    ///
    /// [`GatedFusion`]: crate::layer::GatedFusion
    pub(super) fn fuse(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor<4>,
        running: &Tensor<4>,
        gates: &Conv2d,
    ) -> Option<Tensor<4>> {
        if !self.norm.is_live(pass) {
            return None;
        }
        let [batch, _, height, width] = x.dims();
        let channels = 2 * running.dims()[1];
        let (kernel, None) = self.convolution.as_product(pass, x.dims())? else {
            return None;
        };
        let (gate_weight, Some(gate_bias)) =
            gates.as_product(pass, [batch, channels, height, width])?
        else {
            return None;
        };
        let gates = (gate_weight, gate_bias);
        Some(self.norm.fuse(pass, x, kernel, running, gates))
    }

    /// ReLU of what [`ConvNorm::forward`] gave, or of what was made of that. `[B, C, H, W]` → the same
    /// shape.
    pub fn activate(&self, pass: &Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        pass.rectified(self.convolution.weight(), relu(x))
    }

    /// What `activation` gave behind it, in the levels of networks of few bits.
    fn activated(&self, pass: &Pass<'_>, y: Tensor<4>, activation: Activation) -> Tensor<4> {
        match activation {
            Activation::Identity | Activation::Silu | Activation::Gelu => y,
            Activation::Relu | Activation::Relu6 => pass.rectified(self.convolution.weight(), y),
        }
    }

    /// [`ConvNorm::forward`], plus `residual`, then `activation`. `[B, C, H, W]` and
    /// `[B, O, H', W']` → `[B, O, H', W']`.
    pub fn forward_with(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        activation: Activation,
    ) -> Tensor<4> {
        let folded = self
            .convolution
            .forward_folded(pass, &x, residual.as_ref(), activation);
        let y = match folded {
            Some(y) => y,
            None => {
                let x = self.convolution.forward(pass, x);
                self.norm.forward_with(pass, x, residual, activation)
            }
        };
        self.activated(pass, y, activation)
    }

    /// [`ConvNorm::forward_relu`], and another one of the same `x` as what
    /// [`ConvNorm::forward_joined`] adds, its norm perhaps still to come. `[B, C, H, W]` →
    /// `[B, O, H', W']` each.
    pub fn forward_relu_beside(
        &self,
        pass: &mut Pass<'_>,
        other: &Self,
        x: Tensor<4>,
    ) -> (Tensor<4>, Residual) {
        let pair = self
            .convolution
            .forward_beside(pass, &other.convolution, &x);
        match pair {
            Some([y, beside]) => {
                let y = self.norm.forward_relu(pass, y);
                (
                    self.activated(pass, y, Activation::Relu),
                    Residual::Convolved(beside, other.norm),
                )
            }
            None => {
                let beside = other.forward(pass, x.clone());
                (self.forward_relu(pass, x), Residual::Map(beside))
            }
        }
    }

    /// [`ConvNorm::forward_with`]; where the residual's norm is still to come, both norms are taken
    /// at once.
    pub fn forward_joined(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        residual: Residual,
        activation: Activation,
    ) -> Tensor<4> {
        match residual {
            Residual::Map(residual) => self.forward_with(pass, x, Some(residual), activation),
            Residual::Convolved(beside, norm) => {
                let x = self.convolution.forward(pass, x);
                let beside = (&norm, beside);
                let y = self.norm.forward_beside(pass, x, beside, activation);
                self.activated(pass, y, activation)
            }
        }
    }
}

/// What is added to the output of a layer.
#[derive(Clone, Debug)]
pub enum Residual {
    /// This map, `[B, O, H', W']`.
    Map(Tensor<4>),
    /// The norm's output of this map, which a convolution gave.
    Convolved(Tensor<4>, BatchNorm2d),
}
