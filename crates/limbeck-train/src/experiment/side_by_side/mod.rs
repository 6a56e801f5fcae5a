//! Trains the networks of a run: one after the other with all threads, or several side by side with the threads
//! divided among them, to the same bits.
//!
//! A small network does not fill many threads: what is done between the large operations, and every wait of
//! one thread for another, is the whole time of all of them. Trainings that have a thread each wait for nobody.

mod choice;
mod limits;
mod pace;
mod relay;
mod round;
#[cfg(test)]
mod tests;

pub(super) use choice::Choice;
use round::Round;

use super::trainer::{Lessons, Trainer, Training};
use crate::{TrainError, job::Finished, observer::Observer};

/// Carries all `trainings` out, and gives what they have become in their order, whoever was done first; `None`
/// if interrupted.
///
/// # Errors
/// That of the first training, in their order, that has failed; all others have then stopped at a checkpoint.
pub(super) fn train_all(
    trainer: &Trainer<'_>,
    trainings: &[Training],
    lessons: Lessons<'_>,
    choice: &mut Choice<'_>,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<Finished>>, TrainError> {
    let mut done: Vec<Option<Finished>> = trainings.iter().map(|_| None).collect();
    loop {
        let of_place = |place: &usize| done[*place].is_none();
        let left: Vec<usize> = (0..trainings.len()).filter(of_place).collect();
        if left.is_empty() {
            return Ok(Some(done.into_iter().flatten().collect()));
        }
        let lanes = choice.begin(left.len());
        let round = Round {
            trainer,
            trainings,
            lessons,
            lanes,
        };
        let (finished, interrupted) = round.play(&left, choice, observer)?;
        for (place, finished) in finished {
            done[place] = Some(finished);
        }
        if interrupted && done.iter().any(Option::is_none) {
            return Ok(None);
        }
    }
}
