//! What a run tells while it runs.

use std::collections::BTreeMap;

use limbeck_report::{EpochRow, Evaluation};

/// How far a job is within an epoch.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Name of the job.
    pub job: String,
    /// Stage; empty where the run has one alone.
    pub stage: String,
    /// Epoch, counted from 1 over all stages.
    pub epoch: usize,
    /// Number of epochs.
    pub epochs: usize,
    /// Steps done in this epoch.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Training speed in this epoch.
    pub images_per_second: f64,
    /// Share of the time that the trainer waited for data, in percent.
    pub data_wait: f64,
    /// Mean of each term so far in this epoch, before its weight.
    pub terms: BTreeMap<String, f64>,
}

/// Hears what a run tells. All methods may be ignored. Where trainings go on side by side, what is told of
/// one mixes with what is told of others; all calls come from one thread.
pub trait Observer {
    /// A fact in one line, such as what the teacher reaches.
    fn note(&mut self, _text: &str) {}

    /// Something that looks wrong though the run goes on.
    fn warn(&mut self, _text: &str) {}

    /// The teacher is at work on images that all students will see: `done` of `all`.
    fn teacher(&mut self, _done: u64, _all: u64) {}

    /// A job begins or goes on: `index` of `count`, counted from 1, `epochs` to go in all.
    fn job(&mut self, _name: &str, _index: usize, _count: usize, _epochs: usize) {}

    /// The job has ended, in one way or another, or stands still at a checkpoint.
    fn job_end(&mut self, _name: &str) {}

    /// A step was made.
    fn step(&mut self, _moment: &Moment) {}

    /// A stage of `job` begins or goes on: `index` of `count`, counted from 1. Not told where a run has
    /// one alone.
    fn stage(&mut self, _job: &str, _name: &str, _index: usize, _count: usize) {}

    /// An epoch has ended, with what was `measured` on the validation part.
    fn epoch(&mut self, _job: &str, _row: &EpochRow, _measured: &Evaluation, _epochs: usize) {}
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
