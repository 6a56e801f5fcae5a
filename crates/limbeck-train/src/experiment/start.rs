//! What a plan's student starts from.

use std::path::Path;

use limbeck_methods::TaskKind;
use limbeck_nn::Network;

use super::{Plan, anchors, quantised};
use crate::{TrainError, model_source, run_teacher::RunTeacher};

impl Plan {
    /// The student with the weights that it starts from under `seed`.
    ///
    /// # Errors
    /// A network that cannot be built, or weights that do not fit.
    pub fn student(&self, seed: u64) -> Result<Network, TrainError> {
        Ok(self.start(seed)?.0)
    }

    /// The same, with what the user should know of the weights that it starts from.
    pub(super) fn start(&self, seed: u64) -> Result<(Network, Vec<String>), TrainError> {
        let mut network = self.blueprint.network(self.input, seed)?;
        let recipe = &self.recipe.student;
        let teacher = quantised::teacher_to_start_from(self, &network);
        let mut notes = match (&recipe.weights, teacher) {
            (None, Some(teacher)) => {
                network.store = teacher.store.clone();
                vec![format!(
                    "start: the weights of the teacher, which is the same network in full precision \
                     (others: --weights){}",
                    match self.recipe.train.baseline {
                        true => "; the baseline starts from them too",
                        false => "",
                    }
                )]
            }
            (None, None) => self.blueprint.start(self.input)?.into_iter().collect(),
            (Some(weights), _) => {
                let key = recipe.weights_key.as_deref();
                model_source::load_start(&mut network, Path::new(weights), key)?
            }
        };
        self.blueprint.set_anchors(&mut network)?;
        let trained = recipe.weights.is_some() || recipe.backbone.is_some() || teacher.is_some();
        notes.extend(quantised::quantise(recipe, &mut network, trained)?);
        Ok((network, notes))
    }

    /// Gives all detectors of the run the same anchors.
    pub(super) fn settle_anchors(
        &mut self,
        notes: &mut Vec<String>,
        warnings: &mut Vec<String>,
    ) -> Result<(), TrainError> {
        if self.task != TaskKind::Detection {
            return Ok(());
        }
        let seed = self.recipe.train.seed;
        let (student, _) = self.start(seed)?;
        let trained = self.teacher.as_ref().filter(|teacher| teacher.is_trained());
        let teacher = trained.map(RunTeacher::network);
        let train = &self.dataset.train;
        let Some(settled) = anchors::settle(&mut self.recipe, train, &student, teacher)? else {
            return Ok(());
        };
        notes.push(settled.note);
        warnings.extend(settled.warning);
        self.blueprint = self.blueprint.clone().with_anchors(&settled.anchors);
        if let Some(teacher) = &mut self.teacher {
            *teacher = teacher.with_anchors(&settled.anchors, self.input, seed)?;
        }
        self.anchors = Some(settled.anchors);
        Ok(())
    }
}
