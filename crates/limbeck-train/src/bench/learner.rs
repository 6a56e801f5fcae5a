//! A learner on one batch of noise, step after step.

use limbeck_data::Batch;
use limbeck_methods::{Classifier, Probe, Progress, Questions, Teacher, TrainingPart};
use limbeck_nn::Network;

use super::noise;
use crate::{
    TrainError,
    recipe::{OptimizerRecipe, Recipe},
    step::{Learner, Lesson},
};

/// So small that no number of steps on one batch makes a loss grow beyond bounds.
const LEARNING_RATE: f64 = 1e-3;

pub(super) struct BenchLearner {
    learner: Learner,
    /// What its last stage sees.
    pub batch: Batch,
    steps: usize,
}

impl BenchLearner {
    /// `student` learning by the last stage of `method`, with its default settings, in batches of
    /// `batch`; of the teacher its network and what gives outputs.
    ///
    /// # Errors
    /// A method that does not exist or does not fit.
    pub fn new(
        student: Network,
        teacher: Option<(&Network, &dyn Teacher)>,
        method: &str,
        batch: usize,
        optimizer: &OptimizerRecipe,
    ) -> Result<Self, TrainError> {
        let recipe = Recipe {
            optimizer: optimizer.clone(),
            ..Recipe::default()
        };
        let input = student.input();
        let probe = Probe {
            student: student.taps(),
            teacher: teacher.map(|(_, teacher)| teacher.taps()),
            classes: input.classes,
            batch,
            pairs: None,
            seed: 0,
            device: student.store.device().clone(),
            dtype: student.store.dtype(),
            training: TrainingPart {
                labels: noise::labels(input.classes, batch),
                mean: vec![0.0; input.channels],
                deviation: vec![1.0; input.channels],
            },
            teacher_classifier: teacher.and_then(|(network, _)| Classifier::of(network)),
        };
        let settings = recipe.method.values();
        let (procedure, cast) = limbeck_methods::cast(method, &settings, &probe, student)?;
        let mut learner = Learner::new(procedure, cast, &recipe)?;
        let last = learner.stages.len() - 1;
        learner.enter(last)?;
        Ok(Self {
            batch: noise::batch(input, batch, learner.stage().images),
            learner,
            steps: 0,
        })
    }

    /// What the method asks its teacher.
    pub fn questions(&self) -> Questions {
        self.learner.procedure.questions()
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
        self.learner.learn(Lesson {
            batch,
            teacher,
            stage: progress,
            run: progress,
            learning_rate: LEARNING_RATE,
            seed: self.steps as u64,
            last: false,
        })?;
        Ok(())
    }
}
