//! Whether trainings go on side by side: what was asked for, or what is measured to be faster.
//!
//! Both ways are measured on the run's own trainings as they go on: the first one alone with all threads, then
//! as many at the same time as there are threads. A training stops with a checkpoint where the way changes,
//! and goes on from it, so that nothing is done twice and no bit changes.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{limits::Limits, pace::Pace};
use crate::{
    TrainError, files,
    memory::{free_memory, peak_memory},
    observer::{Moment, Observer},
    recipe::SideBySide,
    run_folder::RunFolder,
};

/// What was chosen, in the run's folder, so that a run that goes on does not measure again.
const FILE: &str = "side_by_side.json";
/// How many trainings go on at the same time, and how that came about.
pub(in crate::experiment) struct Choice<'a> {
    folder: &'a RunFolder,
    threads: usize,
    limits: Limits,
    state: State,
    /// Trainings that are not done.
    left: usize,
    /// The pace of each training that is going on.
    paces: BTreeMap<String, Pace>,
    /// Whether a lane has nothing to do.
    idle: bool,
    /// Bytes that the process held when the run began.
    held: Option<u64>,
    told: Option<String>,
}

enum State {
    /// So many, whatever comes.
    Settled(usize),
    /// One, until its pace is known.
    Alone,
    /// So many, until the pace of `job`, which took `alone` milliseconds for a step, is known.
    Side {
        job: String,
        alone: f64,
        lanes: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Record {
    /// Threads that were there to be divided.
    threads: usize,
    /// Trainings at the same time.
    trainings: usize,
    /// In a sentence.
    why: String,
}

impl<'a> Choice<'a> {
    /// What is to be done with `trainings` on `threads` in the run in `folder`; `held` are the bytes that the
    /// process held when the run began, where the system tells it.
    pub fn new(
        asked: SideBySide,
        trainings: usize,
        threads: usize,
        folder: &'a RunFolder,
        held: Option<u64>,
    ) -> Self {
        let (state, told) = match asked {
            _ if trainings < 2 || threads < 2 => (State::Settled(1), None),
            SideBySide::Count(1) => (State::Settled(1), None),
            SideBySide::Count(lanes) => (State::Settled(lanes), Some(asked_for(lanes))),
            SideBySide::Auto => match Record::read(folder).filter(|it| it.threads == threads) {
                Some(record) => (State::Settled(record.trainings), Some(record.why)),
                None => (State::Alone, None),
            },
        };
        Self {
            folder,
            threads,
            limits: Limits::default(),
            state,
            left: trainings,
            paces: BTreeMap::new(),
            idle: false,
            held,
            told,
        }
    }

    /// What was chosen and why, in a sentence; `None` where there was nothing to choose.
    pub fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// How many go on at the same time, unless fewer are left.
    pub fn at_a_time(&self) -> usize {
        match self.state {
            State::Settled(lanes) | State::Side { lanes, .. } => lanes,
            State::Alone => 1,
        }
    }

    /// Begins a round with `left` trainings that are not done; gives how many of them go on at the same time.
    pub fn begin(&mut self, left: usize) -> usize {
        self.left = left;
        self.paces.clear();
        self.idle = false;
        self.at_a_time().clamp(1, left.max(1))
    }

    /// Takes in a step of a training; true where all are to stop, because they are to be arranged anew.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn step(
        &mut self,
        moment: &Moment,
        at: Instant,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        if !self.paces.contains_key(&moment.job) {
            // Others have company that they did not have before.
            self.paces
                .values_mut()
                .for_each(|pace| *pace = Pace::default());
        }
        let pace = self.paces.entry(moment.job.clone()).or_default();
        pace.step(moment, at, &self.limits);
        let pace = *pace;
        match &self.state {
            State::Settled(_) => {
                Ok(self.idle && pace.seconds_left(&self.limits) > self.limits.rearranged)
            }
            State::Alone => match pace.measured(&self.limits) {
                Some(alone) => self.after_alone(&moment.job, alone, &pace, observer),
                None => Ok(false),
            },
            State::Side { job, alone, lanes } => {
                let (alone, lanes) = (*alone, *lanes);
                let is_it = moment.job == *job && self.paces.len() == lanes;
                match pace.measured(&self.limits).filter(|_| is_it) {
                    Some(side) => self.after_side(alone, side, lanes, observer),
                    None => Ok(false),
                }
            }
        }
    }

    /// A training has ended or stands still.
    pub fn job_end(&mut self, name: &str) {
        self.paces.remove(name);
        self.paces
            .values_mut()
            .for_each(|pace| *pace = Pace::default());
    }

    /// A training is done.
    pub fn finished(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// A lane has nothing left to do.
    pub fn lane_is_idle(&mut self) {
        self.idle = true;
    }

    fn after_alone(
        &mut self,
        job: &str,
        alone: f64,
        pace: &Pace,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let lanes = self.threads.min(self.left);
        let seconds = pace.seconds_left(&self.limits);
        let short =
            seconds < self.limits.long_enough || seconds * (self.left as f64) < self.limits.worth;
        if lanes < 2 || short {
            self.state = State::Settled(1);
            self.told = Some("one after the other: too short to measure both ways".to_owned());
            return Ok(false);
        }
        if let Some([needed, available]) = self.lacks_memory(lanes) {
            let why = format!(
                "one after the other: {lanes} at a time would need {needed:.1} GB more memory, and \
                 {available:.1} GB are left"
            );
            self.settle(1, why, observer)?;
            return Ok(false);
        }
        observer.note(&format!(
            "side by side: a step of {job} takes {alone:.3} ms with all threads; measuring {lanes} \
             trainings at a time"
        ));
        self.state = State::Side {
            job: job.to_owned(),
            alone,
            lanes,
        };
        Ok(true)
    }

    fn after_side(
        &mut self,
        alone: f64,
        side: f64,
        lanes: usize,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let gain = lanes as f64 * alone / side;
        let measured = format!(
            "measured {gain:.2} times as fast as one after the other (a step takes {side:.3} ms next to \
             others, {alone:.3} ms alone with all threads)"
        );
        let pays = gain >= self.limits.least_gain;
        let (chosen, why) = match pays {
            true => (lanes, format!("{lanes} trainings at a time, {measured}")),
            false => (
                1,
                format!("one after the other: {lanes} at a time {measured}"),
            ),
        };
        self.settle(chosen, why, observer)?;
        Ok(!pays)
    }

    fn settle(
        &mut self,
        trainings: usize,
        why: String,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        observer.note(&format!("side by side: {why}"));
        self.state = State::Settled(trainings);
        self.told = Some(why.clone());
        let record = Record {
            threads: self.threads,
            trainings,
            why,
        };
        record.write(self.folder)
    }

    /// GB that `lanes` trainings at a time would need more than one, and GB that there are for them, where
    /// these are too few; `None` too where nobody knows.
    fn lacks_memory(&self, lanes: usize) -> Option<[f64; 2]> {
        // All that was ever held besides what was there before: by one training, measuring and images.
        let one = peak_memory()?.saturating_sub(self.held?);
        let needed = one.saturating_mul(lanes as u64 - 1) as f64;
        let available = free_memory()? as f64 * self.limits.memory_share;
        (needed > available).then_some([needed / 1e9, available / 1e9])
    }
}

fn asked_for(lanes: usize) -> String {
    format!("{lanes} trainings at a time, as asked for")
}

impl Record {
    /// That of an earlier part of the run; one that cannot be read is as good as none.
    fn read(folder: &RunFolder) -> Option<Self> {
        let text = std::fs::read(folder.path().join(FILE)).ok()?;
        let record: Self = serde_json::from_slice(&text).ok()?;
        (record.trainings > 0).then_some(record)
    }

    fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        Ok(files::write_whole(
            &folder.path().join(FILE),
            text.as_bytes(),
        )?)
    }
}

#[cfg(test)]
impl Choice<'_> {
    /// The same with other bounds.
    pub(super) fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
