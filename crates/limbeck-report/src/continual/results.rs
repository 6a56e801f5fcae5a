//! What a sequence of steps has found.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Name of the sequence that learns its steps on labels alone.
pub const FINE_TUNING: &str = "fine-tuning";
/// Name of learning everything at once.
pub const JOINT: &str = "joint";

/// What a sequence of steps has found, so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContinualResults {
    /// Name of the run.
    #[serde(default)]
    pub run: String,
    /// Name of the data.
    #[serde(default)]
    pub data: String,
    /// Zoo name of the network.
    #[serde(default)]
    pub student: String,
    /// What makes it again.
    #[serde(default)]
    pub command: String,
    /// Resolved, as TOML.
    #[serde(default)]
    pub recipe: String,
    /// Of the classes, such as 15-1.
    pub split: String,
    /// Which images a step learns from: `overlapped` or `disjoint`.
    pub setting: String,
    /// Method of the steps after the first.
    pub method: String,
    /// Names of all classes.
    pub classes: Vec<String>,
    /// First class of each step, and one past the last of all.
    pub begins: Vec<usize>,
    /// One for each way of learning and each seed.
    pub sequences: Vec<Sequence>,
}

impl ContinualResults {
    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.begins.len().saturating_sub(1)
    }

    /// Names of the classes that are new in step `step`.
    pub fn new_classes(&self, step: usize) -> &[String] {
        let bound = |step: usize| self.begins.get(step).copied().unwrap_or(0);
        self.classes
            .get(bound(step)..bound(step + 1))
            .unwrap_or_default()
    }
}

/// One way of learning under one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// The method, `fine-tuning` or `joint`.
    pub name: String,
    /// Seed.
    pub seed: u64,
    /// After each step; of `joint`, all at once.
    pub steps: Vec<StepResult>,
}

/// What the network of a step reaches on the whole test part, in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// Counted from 0.
    pub step: usize,
    /// Mean IoU of the classes of all steps before, with background; `None` in the first.
    pub old_miou: Option<f64>,
    /// Mean IoU of the classes of the step.
    pub new_miou: Option<f64>,
    /// Mean IoU of all classes so far.
    pub all_miou: Option<f64>,
    /// How far the classes of the steps before, without background, are below the best that they
    /// were after an earlier step, in the mean; `None` in the first.
    pub forgetting: Option<f64>,
    /// IoU of each class so far; `None` where neither test part nor network has it.
    pub per_class: Vec<Option<f64>>,
}

impl ContinualResults {
    /// Adds what a step has reached in each class.
    pub fn add(&mut self, name: &str, seed: u64, step: usize, per_class: &[Option<f64>]) {
        let begin = self.begins.get(step).copied().unwrap_or_default();
        let of = |sequence: &&mut Sequence| sequence.name == name && sequence.seed == seed;
        let place = match self.sequences.iter_mut().find(of) {
            Some(sequence) => sequence,
            None => {
                self.sequences.push(Sequence {
                    name: name.to_owned(),
                    seed,
                    steps: Vec::new(),
                });
                let last = self.sequences.len() - 1;
                &mut self.sequences[last]
            }
        };
        let best = |class: usize| {
            let earlier = place.steps.iter();
            let values = earlier.filter_map(|step| step.per_class.get(class).copied().flatten());
            values.reduce(f64::max)
        };
        let lost = (1..begin).filter_map(|class| {
            let now = per_class.get(class).copied().flatten()?;
            Some(Some(best(class)? - now))
        });
        let lost: Vec<Option<f64>> = lost.collect();
        let (old, new) = per_class.split_at(begin.min(per_class.len()));
        let result = StepResult {
            step,
            old_miou: mean(old),
            new_miou: mean(new),
            all_miou: mean(per_class),
            forgetting: mean(&lost),
            per_class: per_class.to_vec(),
        };
        place.steps.push(result);
    }

    /// What the last step of a sequence has reached, in a line.
    pub fn line(&self, name: &str, seed: u64) -> Option<String> {
        let mut all = self.sequences.iter();
        let sequence = all.find(|sequence| sequence.name == name && sequence.seed == seed)?;
        let last = sequence.steps.last()?;
        Some(format!(
            "{name}, seed {seed}, step {}: mIoU {} old, {} new, {} all, forgetting {}",
            last.step,
            number(last.old_miou),
            number(last.new_miou),
            number(last.all_miou),
            number(last.forgetting)
        ))
    }

    /// All steps of all sequences.
    pub fn table(&self) -> String {
        let width = self.sequences.iter().map(|sequence| sequence.name.len());
        let width = width.max().unwrap_or(0).max("learnt by".len());
        let mut text = format!(
            "{:width$}  seed  step  {:>6}  {:>6}  {:>6}  {:>10}\n",
            "learnt by", "old", "new", "all", "forgetting"
        );
        for sequence in &self.sequences {
            for step in &sequence.steps {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "{:width$}  {:>4}  {:>4}  {:>6}  {:>6}  {:>6}  {:>10}",
                    sequence.name,
                    sequence.seed,
                    step.step,
                    number(step.old_miou),
                    number(step.new_miou),
                    number(step.all_miou),
                    number(step.forgetting)
                );
            }
        }
        text
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

/// Mean of what is there; `None` where nothing is.
fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> ContinualResults {
        ContinualResults {
            split: "2-1".to_owned(),
            setting: "overlapped".to_owned(),
            method: "sats".to_owned(),
            classes: ["background", "a", "b", "c"].map(str::to_owned).to_vec(),
            begins: vec![0, 3, 4],
            ..ContinualResults::default()
        }
    }

    #[test]
    fn old_new_and_all_classes_have_their_means_and_forgetting_is_from_the_best_before() {
        let mut results = results();
        results.add("sats", 0, 0, &[Some(90.0), Some(60.0), Some(30.0)]);
        results.add(
            "sats",
            0,
            1,
            &[Some(80.0), Some(40.0), Some(36.0), Some(20.0)],
        );
        results.add("joint", 0, 1, &[Some(80.0), None, Some(36.0), Some(50.0)]);
        let [sats, joint] = results.sequences.as_slice() else {
            panic!("{results:?}");
        };
        assert_eq!(sats.steps[0].old_miou, None);
        assert_eq!(sats.steps[0].new_miou, Some(60.0));
        assert_eq!(sats.steps[0].forgetting, None);
        let last = &sats.steps[1];
        assert_eq!(last.old_miou, Some(52.0));
        assert_eq!(last.new_miou, Some(20.0));
        assert_eq!(last.all_miou, Some(44.0));
        // 60 to 40 and 30 to 36.
        assert_eq!(last.forgetting, Some(7.0));
        assert_eq!(joint.steps[0].old_miou, Some(58.0));
        assert_eq!(joint.steps[0].forgetting, None);
        let line = results.line("sats", 0).unwrap();
        assert!(line.contains("step 1: mIoU 52.00 old, 20.00 new"), "{line}");
        assert_eq!(results.table().lines().count(), 4);
    }
}
