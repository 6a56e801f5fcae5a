//! What a job keeps to go on from.

use limbeck_nn::Store;

use super::{CHECKPOINT, Job, choice::Choice, state::State};
use crate::{
    TrainError,
    average::WeightAverage,
    checkpoint::{self, Checkpoint},
    finite, snapshot,
    step::Learner,
};

/// Group of the checkpoint with the mean of the last epochs' weights.
const MEAN: &str = "mean";

impl Job<'_> {
    /// Keeps everything that training has changed, all of it finite.
    pub(super) fn save(&self, learner: &Learner, state: &mut State) -> Result<(), TrainError> {
        finite::check(learner, state.epoch + 1, state.step)?;
        state.average_updates = learner.average.as_ref().map_or(0, WeightAverage::updates);
        let mut checkpoint = Checkpoint::new(self.fingerprint, state)?;
        snapshot::save(learner, &mut checkpoint);
        if let Some(mean) = &state.mean {
            checkpoint.insert_store(MEAN, mean);
        }
        checkpoint::write(&self.folder.join(CHECKPOINT), &checkpoint)?;
        Ok(())
    }

    /// Puts back what was kept; `None` where nothing was.
    pub(super) fn restore(&self, learner: &mut Learner) -> Result<Option<State>, TrainError> {
        let path = self.folder.join(CHECKPOINT);
        if !path.exists() {
            return Ok(None);
        }
        let checkpoint = checkpoint::read_for(&path, self.fingerprint)?;
        let mut state: State = checkpoint.progress()?;
        snapshot::restore(learner, &checkpoint, state.stage, state.average_updates)?;
        if state.averaged_epochs(learner, &self.choice()) > 0 {
            let mut mean: Store = learner.evaluated()?.store;
            checkpoint.load_store(MEAN, &mut mean)?;
            state.mean = Some(mean);
        }
        Ok(Some(state))
    }

    /// Whose weights are delivered.
    pub(super) fn choice(&self) -> Choice {
        let validation = self.validation;
        Choice::of(self.recipe, validation.images(), validation.task())
    }
}
