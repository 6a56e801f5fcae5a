//! The ways of learning that stand side by side: the method, fine-tuning, joint training.

use super::results::{ContinualResults, FINE_TUNING, JOINT, Sequence, StepResult};
use crate::side::Role;
use crate::statistics::mean;

/// One way of learning, under all its seeds.
pub struct Way<'a> {
    /// For people.
    pub title: &'a str,
    /// Whose colour and shape it has.
    pub role: Role,
    seeds: Vec<&'a Sequence>,
}

/// A number of a step.
pub type Of = fn(&StepResult) -> Option<f64>;

/// The ways of learning, the method first.
pub fn ways(results: &ContinualResults) -> Vec<Way<'_>> {
    let mut ways: Vec<Way> = Vec::new();
    for sequence in &results.sequences {
        let (role, title) = match sequence.name.as_str() {
            FINE_TUNING => (Role::Baseline, "Fine-tuning"),
            JOINT => (Role::Teacher, "Joint training"),
            name => (Role::Student, name),
        };
        match ways.iter_mut().find(|way| way.role == role) {
            Some(way) => way.seeds.push(sequence),
            None => ways.push(Way {
                title,
                role,
                seeds: vec![sequence],
            }),
        }
    }
    ways
}

/// The way that plays that part.
pub fn way<'a, 'b>(ways: &'b [Way<'a>], role: Role) -> Option<&'b Way<'a>> {
    ways.iter().find(|way| way.role == role)
}

impl Way<'_> {
    /// Number of seeds.
    pub fn seeds(&self) -> usize {
        self.seeds.len()
    }

    /// A number of step `step` for each seed that has it.
    pub fn values(&self, step: usize, of: Of) -> Vec<f64> {
        self.by_seed(step, of)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    }

    /// The same with the seeds.
    pub fn by_seed(&self, step: usize, of: Of) -> Vec<(u64, f64)> {
        let of_seed = |sequence: &&Sequence| {
            let found = sequence.steps.iter().find(|found| found.step == step)?;
            Some((sequence.seed, of(found)?))
        };
        self.seeds.iter().filter_map(of_seed).collect()
    }

    /// Mean over the seeds of a number of step `step`.
    pub fn mean(&self, step: usize, of: Of) -> Option<f64> {
        mean(&self.values(step, of))
    }

    /// Mean over the seeds of the IoU of `class` after step `step`.
    pub fn class(&self, step: usize, class: usize) -> Option<f64> {
        let of_seed = |sequence: &&Sequence| {
            let found = sequence.steps.iter().find(|found| found.step == step)?;
            found.per_class.get(class).copied().flatten()
        };
        mean(&self.seeds.iter().filter_map(of_seed).collect::<Vec<f64>>())
    }

    /// Values of a number after each step that has it, a line for each seed.
    pub fn lines(&self, of: Of) -> Vec<Vec<(f64, f64)>> {
        let line = |sequence: &&Sequence| {
            let steps = sequence.steps.iter();
            let points = steps.filter_map(|found| Some((found.step as f64, of(found)?)));
            points.collect()
        };
        self.seeds.iter().map(line).collect()
    }

    /// Whether a step has been measured.
    pub fn has(&self, step: usize) -> bool {
        let has = |sequence: &&Sequence| sequence.steps.iter().any(|found| found.step == step);
        self.seeds.iter().any(has)
    }
}
