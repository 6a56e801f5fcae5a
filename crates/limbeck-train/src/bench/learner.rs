//! A learner on one batch of noise, step after step.

use std::collections::BTreeMap;

use limbeck_data::Batch;
use limbeck_methods::{
    Classifier, HeldOut, Images, Probe, Progress, Questions, STUDENT, Teacher, TeacherNetwork,
};
use limbeck_nn::{InputShape, Network, TaskKind};
use serde_json::Value;

use super::noise;
use crate::{
    TrainError,
    recipe::{OptimizerRecipe, Recipe},
    step::{Learner, Lesson, Pause},
};

/// So small that no number of steps on one batch makes a loss grow beyond bounds.
const LEARNING_RATE: f64 = 1e-3;

/// Epochs of the CIFAR protocol (Tian et al., "Contrastive Representation Distillation", ICLR 2020,
/// section A.1). Steps are those of the last one, where weights that rise are up and stages that
/// begin late have begun.
const EPOCHS: usize = 240;

pub(super) struct BenchLearner {
    learner: Learner,
    kind: TaskKind,
    input: InputShape,
    /// What its stage sees.
    pub batch: Batch,
    /// Steps of an epoch.
    steps: usize,
    step: usize,
}

impl BenchLearner {
    /// `student` learning by the last stage of `method` that trains it, with `settings` by method,
    /// in batches of `batch`; of the teacher its network and what gives outputs. What the method
    /// does before the stage's first step is done, on images of noise.
    ///
    /// # Errors
    /// A method that does not exist or does not fit.
    pub fn new(
        student: Network,
        teacher: Option<(&Network, &dyn Teacher)>,
        method: &str,
        settings: &BTreeMap<String, Value>,
        batch: usize,
        optimizer: &OptimizerRecipe,
        recompute: bool,
    ) -> Result<Self, TrainError> {
        let mut recipe = Recipe {
            optimizer: optimizer.clone(),
            ..Recipe::default()
        };
        recipe.train.recompute = recompute;
        let input = student.input();
        let kind = student.task().unwrap_or(TaskKind::Classification);
        let images = noise::TRAINING_IMAGES.max(batch);
        let training = noise::training_part(kind, input, images);
        let probe = Probe {
            student: student.taps(),
            teacher: teacher.map(|(_, teacher)| teacher.taps()),
            classes: input.classes,
            batch,
            pairs: None,
            seed: 0,
            device: student.store.device().clone(),
            dtype: student.store.dtype(),
            teacher_classifier: teacher.and_then(|(network, _)| Classifier::of(network)),
            teacher_network: teacher.map(|(network, _)| TeacherNetwork {
                network: network.clone(),
                normalisation: training.normalisation.clone(),
            }),
            training,
        };
        let (procedure, cast) = limbeck_methods::cast(method, settings, &probe, student)?;
        let mut learner = Learner::new(method, procedure, cast, noise::task(kind), &recipe)?;
        let trains_student = |index: &usize| {
            let acts = &learner.stages[*index].acts;
            acts.iter().any(|act| act.trains(STUDENT))
        };
        let last = learner.stages.len() - 1;
        let stage = (0..=last).rev().find(trains_student).unwrap_or(last);
        learner.enter(stage)?;
        let looked_at = noise::Looked::new(kind, input, batch, learner.procedure.sampled());
        let looked_at: &dyn HeldOut = &looked_at;
        let teacher = teacher.map(|(_, teacher)| teacher);
        for pause in [Pause::Stage, Pause::Epoch] {
            learner.pause(teacher, Some(looked_at), pause)?;
        }
        Ok(Self {
            batch: noise::batch(kind, input, batch, learner.stage().images),
            learner,
            kind,
            input,
            steps: images.div_ceil(batch),
            step: 0,
        })
    }

    /// What its stage sees, with so many images.
    pub fn batch_of(&self, images: usize) -> Batch {
        noise::batch(self.kind, self.input, images, self.images())
    }

    /// What the method asks its teacher.
    pub fn questions(&self) -> Questions {
        self.learner.procedure.questions()
    }

    /// What its stage wants of its images.
    pub fn images(&self) -> Images {
        self.learner.stage().images
    }

    /// The student's numbers.
    #[cfg(test)]
    pub fn numbers(&self) -> Vec<f32> {
        let store = self.learner.cast.store(STUDENT).unwrap();
        let values = store
            .entries()
            .iter()
            .map(|entry| entry.value.clone().into_data());
        values
            .flat_map(|data| data.try_to_vec::<f32>().unwrap())
            .collect()
    }

    /// One step: all acts of the stage.
    pub fn learn(&mut self, batch: Batch, teacher: Option<&dyn Teacher>) -> Result<(), TrainError> {
        let progress = Progress {
            epoch: EPOCHS - 1,
            epochs: EPOCHS,
            step: self.step % self.steps,
            steps: self.steps,
        };
        self.step += 1;
        self.learner.learn(Lesson {
            warmup: None,
            batch,
            teacher,
            stage: progress,
            run: progress,
            learning_rate: LEARNING_RATE,
            seed: self.step as u64,
        })?;
        Ok(())
    }
}
