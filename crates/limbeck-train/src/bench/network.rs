//! How fast one network is, frozen and in training.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_kernels::Profile;
use limbeck_methods::BASELINE;
use limbeck_nn::{
    InputShape, Network, Taps,
    quantise::{Bits, QuantisationPlan, Quantiser},
};

use super::{
    learner::BenchLearner,
    noise,
    step::predicted,
    stopwatch::{Stopwatch, watched},
};
use crate::{
    TrainError,
    memory::peak_memory,
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
    /// Measure the forward pass of a copy with so many bits, in whole numbers, as it is deployed.
    pub quantised: Option<Bits>,
    /// Measure training steps on labels alone with this optimiser.
    pub training: Option<OptimizerName>,
    /// Watch as many runs of each part once more, operation by operation.
    pub profile: bool,
    /// Whether its units are computed again in the backward pass.
    pub recompute: bool,
}

/// Medians of what was asked for, and the work in it.
#[derive(Clone, Debug)]
pub struct NetworkTimes {
    /// The frozen network's forward pass.
    pub inference_ms: Option<f64>,
    /// The same in whole numbers.
    pub whole_numbers_ms: Option<f64>,
    /// Forward and backward pass of the cross entropy, and the update.
    pub training_ms: Option<f64>,
    /// Floating point operations of a forward pass.
    pub inference_flops: f64,
    /// Floating point operations of a training step.
    pub training_flops: f64,
    /// Where the time of all runs of each part went, by its name: `inference`, `whole numbers`, `training`.
    pub profiles: Vec<(&'static str, Profile)>,
    /// Most bytes that the process had held when training steps were all that it had done, where the
    /// system tells it.
    pub step_memory: Option<u64>,
    /// What steps with few images had foretold of it.
    pub predicted_memory: Option<u64>,
}

impl NetworkBench<'_> {
    /// Measures on made-up images.
    ///
    /// # Errors
    /// A loss that is not finite; a network none of whose layers can run in whole numbers, where that is
    /// asked for.
    pub fn run(&self) -> Result<NetworkTimes, TrainError> {
        let inference_flops = 2.0 * self.batch as f64 * self.network.cost().macs as f64;
        let mut of_inference = Stopwatch::new();
        let mut of_whole_numbers = Stopwatch::new();
        let mut of_training = Stopwatch::new();
        let InputShape {
            channels,
            height,
            width,
            ..
        } = self.network.input();
        let mut learner = None;
        let (mut step_memory, mut predicted_memory) = (None, None);
        if let Some(name) = self.training {
            let learner = learner.insert(self.learner(name)?);
            predicted_memory = predicted(learner, None, self.batch)?;
            for _ in 0..2 {
                learner.learn(learner.batch.clone(), None)?;
            }
            step_memory = peak_memory();
        }
        let images = noise::tensor([self.batch, channels, height, width]);
        let frozen = self.network.frozen();
        let in_whole_numbers = match self.quantised {
            Some(bits) => Some(in_whole_numbers(self.network, bits, images.clone())?),
            None => None,
        };
        for _ in 0..self.runs {
            if self.inference {
                of_inference.measure(|| images.clone(), |images| forward(&frozen, images))?;
            }
            if let Some(network) = &in_whole_numbers {
                of_whole_numbers.measure(|| images.clone(), |images| forward(network, images))?;
            }
            if let Some(learner) = &mut learner {
                let batch = learner.batch.clone();
                of_training.measure(|| batch.clone(), |batch| learner.learn(batch, None))?;
            }
        }
        let mut profiles = Vec::new();
        if self.profile {
            if self.inference {
                let found = watched(self.runs, || forward(&frozen, images.clone()))?;
                profiles.push(("inference", found));
            }
            if let Some(network) = &in_whole_numbers {
                let found = watched(self.runs, || forward(network, images.clone()))?;
                profiles.push(("whole numbers", found));
            }
            if let Some(learner) = &mut learner {
                let found = watched(self.runs, || learner.learn(learner.batch.clone(), None))?;
                profiles.push(("training", found));
            }
        }
        Ok(NetworkTimes {
            inference_ms: self.inference.then(|| of_inference.median()),
            whole_numbers_ms: self.quantised.map(|_| of_whole_numbers.median()),
            training_ms: self.training.map(|_| of_training.median()),
            inference_flops,
            training_flops: 3.0 * inference_flops,
            profiles,
            step_memory,
            predicted_memory,
        })
    }

    fn learner(&self, optimizer: OptimizerName) -> Result<BenchLearner, TrainError> {
        BenchLearner::new(
            self.network.clone(),
            None,
            BASELINE,
            &BTreeMap::new(),
            self.batch,
            &OptimizerRecipe::of(optimizer),
            self.recompute,
        )
    }
}

/// The whole forward pass, down to numbers that can be read.
fn forward(network: &Network, images: Tensor<4>) -> Result<(), TrainError> {
    let _ = network.evaluate(images, &Taps::none()).logits().into_data();
    Ok(())
}

/// A copy of `network` with so many bits that has seen `images` `[B, C, H, W]`, as it is deployed.
fn in_whole_numbers(
    network: &Network,
    bits: Bits,
    images: Tensor<4>,
) -> Result<Network, TrainError> {
    let mut quantised = network.clone();
    let plan = QuantisationPlan::uniform(&quantised, Quantiser::Range, bits)?;
    quantised.quantise(&plan)?;
    let (_, seen) = quantised.train(&quantised.store, images, &Taps::none(), 0);
    quantised.store.apply(seen);
    quantised.in_integers().ok_or_else(|| {
        TrainError::Setting(format!(
            "no layer of `{}` can run in whole numbers",
            network.name()
        ))
    })
}
