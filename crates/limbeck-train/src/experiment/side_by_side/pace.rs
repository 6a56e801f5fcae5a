//! How long a step of a training takes, seen from outside while it goes on.

use std::time::Instant;

use super::limits::Limits;
use crate::observer::Moment;

/// The pace of one training: the mean of its steps, with all that it waits for between them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    /// Steps of the warm-up.
    warm: usize,
    steps: usize,
    seconds: f64,
    left: usize,
}

impl Pace {
    /// Takes in the end of a step.
    pub fn step(&mut self, moment: &Moment, at: Instant, limits: &Limits) {
        self.left = moment.epochs.saturating_sub(moment.epoch) * moment.steps
            + moment.steps.saturating_sub(moment.step);
        // Before the first step of an epoch, networks are measured and weights are written.
        let before = self.last.replace(at).filter(|_| moment.step > 1);
        let Some(before) = before else {
            return;
        };
        if self.warm < limits.warm_up {
            self.warm += 1;
            return;
        }
        self.steps += 1;
        self.seconds += at.duration_since(before).as_secs_f64();
    }

    /// Milliseconds of a step, once there are enough of them.
    pub fn measured(&self, limits: &Limits) -> Option<f64> {
        let long = self.steps >= limits.least_steps && self.seconds >= limits.seconds;
        let enough = long || self.steps >= limits.most_steps;
        enough.then(|| self.seconds / self.steps as f64 * 1e3)
    }

    /// Seconds to the training's end at that pace; none as long as nothing is known.
    pub fn seconds_left(&self, limits: &Limits) -> f64 {
        match self.measured(limits) {
            Some(ms) => ms / 1e3 * self.left as f64,
            None => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A pace of `steps` steps of `ms` each, `epoch_steps` to an epoch, ten epochs in all; between two
    /// epochs lies a second.
    fn paced(steps: usize, ms: u64, epoch_steps: usize) -> Pace {
        let (mut pace, mut at) = (Pace::default(), Instant::now());
        for step in 0..steps {
            let place = step % epoch_steps;
            at += Duration::from_millis(if place == 0 { 1000 } else { ms });
            let moment = Moment {
                epoch: step / epoch_steps + 1,
                epochs: 10,
                step: place + 1,
                steps: epoch_steps,
                ..Moment::default()
            };
            pace.step(&moment, at, &Limits::default());
        }
        pace
    }

    #[test]
    fn steps_are_timed_and_what_is_done_between_epochs_is_not() {
        let pace = paced(350, 10, 100);
        assert!((pace.measured(&Limits::default()).unwrap() - 10.0).abs() < 1e-9);
        assert!((pace.seconds_left(&Limits::default()) - 6.5).abs() < 1e-6);
        let slow = paced(8, 1000, 50);
        assert!((slow.measured(&Limits::default()).unwrap() - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn few_steps_say_nothing() {
        for (steps, ms, epoch_steps) in [(0, 1, 10), (50, 10, 100), (5, 5000, 100), (500, 10, 1)] {
            let pace = paced(steps, ms, epoch_steps);
            assert!(
                pace.measured(&Limits::default()).is_none(),
                "{steps} of {ms} ms"
            );
            assert_eq!(pace.seconds_left(&Limits::default()), 0.0);
        }
    }
}
