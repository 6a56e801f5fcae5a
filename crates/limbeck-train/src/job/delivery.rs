//! What a stage and a job leave: the weights that are chosen, and those of the last epoch.

use limbeck_kernels::most_held_memory;
use limbeck_nn::Network;

use super::{BEST, Finished, Job, LAST, MEAN, Reached, state::State};
use crate::{TrainError, model_source, product, recipe::Choose, step::Learner};

impl Job<'_> {
    /// Keeps the stage's product and goes on to the next stage.
    pub(super) fn close_stage(
        &self,
        learner: &mut Learner,
        state: &mut State,
    ) -> Result<(), TrainError> {
        let stage = learner.stage().clone();
        let trains = stage.epochs > 0 && stage.acts.iter().any(|act| act.trains(&stage.student));
        let chosen = match trains && (learner.stages.len() > 1 || stage.keeps_best) {
            true => Some(self.chosen(learner, state)?.0),
            false => None,
        };
        let leaves = !stage.acts.iter().all(|act| act.trains.is_empty());
        if learner.stages.len() > 1 && leaves {
            let name = product::file_name(&stage.name);
            match &chosen {
                Some(network) => self.save_weights(network, &name)?,
                None => product::write_members(learner, &self.folder.join(name))?,
            }
        }
        if stage.keeps_best
            && let Some(network) = chosen
        {
            *learner.cast.store_mut(&stage.student)? = network.store;
        }
        state.stage += 1;
        state.stage_epoch = 0;
        if state.stage < learner.stages.len() {
            (state.best, state.last) = (None, None);
            state.mean = None;
            learner.enter(state.stage)?;
            self.save(learner, state)?;
        }
        Ok(())
    }

    /// Writes the last weights, and says which were chosen.
    pub(super) fn finish(&self, learner: &Learner, state: State) -> Result<Finished, TrainError> {
        let score_of = |reached: Option<Reached>| reached.map_or(f64::NAN, |it| it.score);
        let best_epoch = state.best.map_or(0, |best| best.epoch);
        let (network, name) = self.chosen(learner, &state)?;
        let (chosen_epoch, validation_score) = match name {
            BEST => (best_epoch, score_of(state.best)),
            LAST => (state.epoch, score_of(state.last)),
            _ => {
                self.save_weights(&network, name)?;
                let (measured, _) = self.validation.measure(&network, self.validation_answers)?;
                (state.epoch, measured.score())
            }
        };
        self.save_weights(&learner.evaluated()?, LAST)?;
        let exhibits = self.exhibits(learner)?;
        Ok(Finished {
            exhibits,
            network,
            weights: self.folder.join(name),
            choice: self.choice().sentence(),
            chosen_epoch,
            best_epoch,
            validation_score,
            epochs: state.rows,
            made: learner.procedure.made_images(),
            seconds: state.seconds,
            memory: most_held_memory().map(|bytes| bytes as u64),
        })
    }

    /// The stage's student with the weights that are chosen, and the name of their file.
    fn chosen(
        &self,
        learner: &Learner,
        state: &State,
    ) -> Result<(Network, &'static str), TrainError> {
        let mut network = learner.evaluated()?;
        let name = match (self.choice().how, &state.best, &state.mean) {
            (Choose::Best, Some(_), _) => {
                model_source::load_exactly(&mut network, &self.folder.join(BEST))?;
                BEST
            }
            (Choose::Average, _, Some(mean)) => {
                network.store = mean.clone();
                MEAN
            }
            _ => LAST,
        };
        Ok((network, name))
    }
}
