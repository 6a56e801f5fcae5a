//! A learner on one batch of noise, step after step.

use limbeck_data::Batch;
use limbeck_methods::{Probe, Progress};
use limbeck_nn::Network;

use crate::{
    TrainError, optimizer,
    recipe::{OptimizerRecipe, Recipe},
    step::Learner,
    teacher::Teacher,
};

/// So small that no number of steps on one batch makes a loss grow beyond bounds.
const LEARNING_RATE: f64 = 1e-3;

pub(super) struct BenchLearner {
    pub learner: Learner,
    steps: usize,
}

impl BenchLearner {
    /// `student` learning by `method` with its default settings in batches of `batch`.
    ///
    /// # Errors
    /// A method that does not exist or does not fit.
    pub fn new(
        student: Network,
        teacher: Option<&dyn Teacher>,
        method: &str,
        batch: usize,
        optimizer: &OptimizerRecipe,
    ) -> Result<Self, TrainError> {
        let recipe = Recipe::default();
        let probe = Probe {
            student: student.taps(),
            teacher: teacher.map(Teacher::taps),
            classes: student.input().classes,
            batch,
            pairs: None,
            seed: 0,
            device: student.store.device().clone(),
            dtype: student.store.dtype(),
        };
        let method = limbeck_methods::build(method, &recipe.method.values(), &probe)?;
        let learner = Learner::new(
            student,
            method,
            optimizer::build(optimizer),
            optimizer::build(optimizer),
            &recipe.train,
        );
        Ok(Self { learner, steps: 0 })
    }

    /// One step.
    pub fn learn(&mut self, batch: Batch, teacher: Option<&dyn Teacher>) -> Result<(), TrainError> {
        let progress = Progress {
            epoch: 0,
            epochs: 1,
            step: self.steps,
            steps: usize::MAX,
        };
        self.steps += 1;
        let seed = self.steps as u64;
        self.learner
            .learn(batch, teacher, progress, LEARNING_RATE, seed, false)?;
        Ok(())
    }
}
