//! The adapter behind the frozen encoder.

use burn::tensor::{Tensor, activation::relu};
use limbeck_nn::{Builder, Init, ParameterId, Pass, Role, layer::Linear};

use super::{SgvaConfig, VisualProjection};

/// Least squared length that a row is divided by.
const TINY: f64 = 1e-24;

/// Rows `[B, D]` brought to length 1; rows of zeros stay zeros.
pub fn unit_rows(rows: Tensor<2>) -> Tensor<2> {
    let lengths = rows
        .clone()
        .powi_scalar(2)
        .sum_dim(1)
        .clamp_min(TINY)
        .sqrt();
    rows / lengths
}

/// Two linear maps beside a direct way.
#[derive(Clone, Debug)]
pub struct FeatureAdapter {
    linear1: Linear,
    linear2: Linear,
    alpha: ParameterId,
    projection: Option<VisualProjection>,
}

impl FeatureAdapter {
    /// For features of `width` numbers, which `projection` lifts to more where there is one. Makes
    /// `linear1.weight` `[h, D]`, `linear2.weight` `[D, h]` and `alpha` `[1]`.
    pub fn new(
        config: &SgvaConfig,
        builder: &mut Builder<'_>,
        width: usize,
        projection: Option<VisualProjection>,
    ) -> Self {
        let width = projection
            .as_ref()
            .map_or(width, VisualProjection::lifted_width);
        let hidden = ((config.hidden * width as f64).round() as usize).max(1);
        let mut linear = |name: &str, from: usize, to: usize| {
            let init = Init::pytorch_default(from);
            Linear::with_init(builder.sub(name), from, to, init, None)
        };
        Self {
            linear1: linear("linear1", width, hidden),
            linear2: linear("linear2", hidden, width),
            alpha: builder.parameter("alpha", &[1], Role::NormScale, Init::Constant(config.alpha)),
            projection,
        }
    }

    /// The share of the two linear maps.
    pub fn alpha(&self, pass: &Pass<'_>) -> Tensor<1> {
        pass.get(self.alpha)
    }

    /// What the adapter reads of frozen features: `[B, d]` → `[B, D]`, constants both.
    pub fn lift(&self, features: Tensor<2>) -> Tensor<2> {
        match &self.projection {
            Some(projection) => projection.lift(features),
            None => features,
        }
    }

    /// Adapted features of length 1, none of their numbers negative: `[B, D]` → `[B, D]`.
    pub fn forward(&self, pass: &mut Pass<'_>, lifted: Tensor<2>) -> Tensor<2> {
        let alpha: Tensor<2> = self.alpha(pass).reshape([1, 1]);
        let inner = relu(self.linear1.forward(pass, lifted.clone()));
        let changed = self.linear2.forward(pass, inner) * alpha.clone();
        let kept = lifted * (alpha.neg().add_scalar(1.0));
        unit_rows(relu(changed + kept))
    }

    /// Adapted features where texts are: `[B, D]` → `[B, d]`.
    pub fn project(&self, adapted: Tensor<2>) -> Tensor<2> {
        match &self.projection {
            Some(projection) => projection.project(adapted),
            None => adapted,
        }
    }
}
