//! A plan's methods, fitted to its networks and data.

use std::collections::BTreeMap;

use limbeck_methods::{
    BASELINE, Cast, Classifier, Probe, Procedure, TaskKind, TeacherNetwork, TrainingPart,
    baseline_of,
};
use limbeck_nn::Network;

use super::{Plan, named_network};
use crate::{TrainError, run_teacher::RunTeacher};

impl Plan {
    /// The method called `name`, fitted to `student`, and everybody that it trains, drawn from
    /// `seed`. `teacher` is the network to learn from where it has been trained since the plan was
    /// made.
    ///
    /// # Errors
    /// A method that does not exist, settings out of range, or features that cannot be matched.
    pub fn cast(
        &self,
        student: Network,
        seed: u64,
        name: &str,
        teacher: Option<&Network>,
    ) -> Result<(Box<dyn Procedure>, Cast), TrainError> {
        let mut probe = self.probe(&student, seed, teacher)?;
        let (baseline, of_baseline) = self.baseline()?;
        let settings = match name == baseline && name != self.recipe.method.name {
            true => of_baseline,
            false => {
                probe.pairs.clone_from(&self.recipe.method.pairs);
                self.recipe.method.values()
            }
        };
        let settings = named_network::with_files(name, settings)?;
        self.method.cast(name, &settings, &probe, student)
    }

    /// The method that is trained beside the recipe's for comparison, and trains a teacher that is
    /// not there yet, with its settings: labels alone, or what a method that pre-trains adds to.
    ///
    /// # Errors
    /// An unknown method.
    pub(crate) fn baseline(
        &self,
    ) -> Result<(&'static str, BTreeMap<String, serde_json::Value>), TrainError> {
        match self.task {
            TaskKind::Pretraining => {
                let method = &self.recipe.method;
                Ok(baseline_of(&method.name, &method.values())?)
            }
            _ => Ok((BASELINE, BTreeMap::new())),
        }
    }

    /// What a method is built for that trains `student`, without layer pairs.
    ///
    /// # Errors
    /// As [`Plan::train`].
    pub(crate) fn probe(
        &self,
        student: &Network,
        seed: u64,
        teacher: Option<&Network>,
    ) -> Result<Probe, TrainError> {
        let teacher = teacher.or(self.teacher.as_ref().map(RunTeacher::network));
        let train = self.train(seed)?;
        Ok(Probe {
            student: student.taps(),
            teacher: teacher.map(Network::taps),
            classes: self.input.classes,
            batch: self.recipe.data.batch.min(train.len()),
            pairs: None,
            seed,
            device: student.store.device().clone(),
            dtype: student.store.dtype(),
            training: TrainingPart {
                images: train.len(),
                labels: (0..train.len())
                    .map(|position| train.class(position).map(|class| class as i64))
                    .collect(),
                normalisation: self.normalisation.clone(),
            },
            teacher_classifier: teacher.and_then(Classifier::of),
            teacher_network: match (teacher, &self.teacher) {
                (Some(network), Some(run)) if !self.learns_from_cache() => Some(TeacherNetwork {
                    network: network.clone(),
                    normalisation: run.normalisation().clone(),
                }),
                _ => None,
            },
        })
    }
}
