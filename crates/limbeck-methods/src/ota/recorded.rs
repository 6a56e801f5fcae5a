//! Statistics of a network that keeps none itself.

use burn::tensor::Tensor;
use limbeck_nn::{Feature, Network, Taps};

use super::{Ota, generate::map_of, objective::statistics};
use crate::{HeldOut, MethodError, State};

/// Mean and biased variance of each channel of some features over images: `[C]` each, feature by feature.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Mean and variance.
    pub of: Vec<[Tensor<1>; 2]>,
}

impl Recorded {
    /// Of what the taps `taps` of `network` have for `images`. Batches count by the number of their
    /// images.
    ///
    /// # Errors
    /// Images that cannot be read, none at all, or a tap that is not there.
    pub fn of(
        network: &Network,
        taps: &[String],
        images: &dyn HeldOut,
    ) -> Result<Self, MethodError> {
        let wanted = Taps::from_iter(taps);
        // Σ n·μ and Σ n·(v + μ²), as v + μ² of a batch is the mean of squares.
        let mut sums: Option<Vec<[Tensor<1>; 2]>> = None;
        let mut count = 0.0;
        images.look(&mut |batch| {
            let outputs = network.evaluate(batch.images.clone(), &wanted);
            let share = batch.images.dims()[0] as f64;
            let mut of_batch = Vec::new();
            for tap in taps {
                let [mean, variance] = statistics(map_of(tap, outputs.feature(tap))?);
                let squares = variance + mean.clone().square();
                of_batch.push([mean, squares].map(|it| it.mul_scalar(share)));
            }
            count += share;
            sums = Some(match sums.take() {
                None => of_batch,
                Some(sums) => sums
                    .into_iter()
                    .zip(of_batch)
                    .map(|([a, b], [mean, squares])| [a + mean, b + squares])
                    .collect(),
            });
            Ok(())
        })?;
        let Some(sums) = sums.filter(|_| count > 0.0) else {
            return Err(missing());
        };
        let of = sums.into_iter().map(|[mean, squares]| {
            let mean = mean.mul_scalar(1.0 / count);
            let variance = squares.mul_scalar(1.0 / count) - mean.clone().square();
            [mean, variance.clamp_min(0.0)]
        });
        Ok(Self { of: of.collect() })
    }

    /// Adds them to a procedure's state.
    pub fn save(&self, state: &mut State) {
        for (index, [mean, variance]) in self.of.iter().enumerate() {
            for (name, value) in [("mean", mean), ("variance", variance)] {
                let entry = (value.dims().to_vec(), value.clone());
                state.insert(format!("recorded.{index}.{name}"), entry);
            }
        }
    }

    /// Takes them out of a procedure's state; `None` where there are none.
    pub fn load(state: &mut State) -> Option<Self> {
        let mut of = Vec::new();
        for index in 0.. {
            let mut take = |name: &str| {
                let (_, value) = state.remove(&format!("recorded.{index}.{name}"))?;
                Some(value)
            };
            let (Some(mean), Some(variance)) = (take("mean"), take("variance")) else {
                break;
            };
            of.push([mean, variance]);
        }
        (!of.is_empty()).then_some(Self { of })
    }
}

/// A network that keeps no statistics, of which none were taken.
pub fn missing() -> MethodError {
    MethodError::Batch {
        method: Ota::ID,
        reason: "the fine-tuned network has no batch norms, and no statistics of its stages were taken; \
                 set method.ota.bn_weight to 0"
            .to_owned(),
    }
}

/// A feature as a map whose places are pixels or tokens.
pub fn as_map(feature: &Feature) -> Option<Tensor<4>> {
    match feature {
        Feature::Tokens { tokens, .. } => {
            let [batch, count, width] = tokens.dims();
            let turned = tokens.clone().swap_dims(1, 2);
            Some(turned.reshape([batch, width, count, 1]))
        }
        other => other.to_map(),
    }
}
