//! How fast one network is, frozen and in training.

use std::collections::BTreeMap;

use limbeck_methods::BASELINE;
use limbeck_nn::{InputShape, Network, Taps};

use super::{learner::BenchLearner, noise, stopwatch::Stopwatch};
use crate::{
    TrainError,
    recipe::{OptimizerName, OptimizerRecipe},
};

/// What is measured.
#[derive(Clone, Debug)]
pub struct NetworkBench<'a> {
    /// The network.
    pub network: &'a Network,
    /// Images per run.
    pub batch: usize,
    /// Timed runs of each part.
    pub runs: usize,
    /// Measure the frozen network's forward pass.
    pub inference: bool,
    /// Measure training steps on labels alone with this optimiser.
    pub training: Option<OptimizerName>,
}

/// Medians of what was asked for, and the work in it.
#[derive(Clone, Debug)]
pub struct NetworkTimes {
    /// The frozen network's forward pass.
    pub inference_ms: Option<f64>,
    /// Forward and backward pass of the cross entropy, and the update.
    pub training_ms: Option<f64>,
    /// Floating point operations of a forward pass.
    pub inference_flops: f64,
    /// Floating point operations of a training step.
    pub training_flops: f64,
}

impl NetworkBench<'_> {
    /// Measures on made-up images.
    ///
    /// # Errors
    /// A loss that is not finite.
    pub fn run(&self) -> Result<NetworkTimes, TrainError> {
        let inference_flops = 2.0 * self.batch as f64 * self.network.cost().macs as f64;
        let mut of_inference = Stopwatch::new();
        let mut of_training = Stopwatch::new();
        let InputShape {
            channels,
            height,
            width,
            ..
        } = self.network.input();
        let images = noise::tensor([self.batch, channels, height, width]);
        let frozen = self.network.frozen();
        let mut learner = match self.training {
            Some(name) => {
                let optimizer = OptimizerRecipe::of(name);
                let network = self.network.clone();
                let settings = BTreeMap::new();
                let learner =
                    BenchLearner::new(network, None, BASELINE, &settings, self.batch, &optimizer)?;
                Some(learner)
            }
            None => None,
        };
        for _ in 0..self.runs {
            if self.inference {
                of_inference.measure(
                    || images.clone(),
                    |images| {
                        let _ = frozen.evaluate(images, &Taps::none()).logits().into_data();
                        Ok(())
                    },
                )?;
            }
            if let Some(learner) = &mut learner {
                let batch = learner.batch.clone();
                of_training.measure(|| batch.clone(), |batch| learner.learn(batch, None))?;
            }
        }
        Ok(NetworkTimes {
            inference_ms: self.inference.then(|| of_inference.median()),
            training_ms: self.training.map(|_| of_training.median()),
            inference_flops,
            training_flops: 3.0 * inference_flops,
        })
    }
}
