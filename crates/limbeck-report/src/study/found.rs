//! What a study found: plain numbers and words, the content of its `results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::null::NullExperiment;
use crate::{measure::Measure, version::Version};

/// Everything that a study found so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyResults {
    /// Version of the format.
    pub version: Version,
    /// Name of the folder.
    pub name: String,
    /// What was asked for, as TOML.
    pub recipe: String,
    /// How to make it again, from the folder that has the study's.
    pub command: String,
    /// What networks are compared by: title, unit, which way is better; `None` where nothing is done.
    pub measure: Option<Measure>,
    /// All that is measured on the test part, in the order in which it is told: title, unit, which way is
    /// better. What runs have besides is shown by its name alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
    /// Names of the classes, in the order of [`StudyRun::per_class`]; empty where cells have other ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// What is learnt: classification, segmentation, detection or pre-training.
    #[serde(default)]
    pub task: String,
    /// Trainings of each cell that were asked for.
    pub seeds: usize,
    /// Those that were trained first, and those that were there.
    pub teachers: Vec<StudyTeacher>,
    /// Those that methods are compared with first.
    pub cells: Vec<StudyCell>,
    /// What intervals say where there is nothing to be found, of a null experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null: Option<NullExperiment>,
    /// Processor, cores, versions: name → value, of the first run.
    pub environment: BTreeMap<String, String>,
    /// What decides bits and is not the same in all runs: processor, device, version, each with all its values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub differing: BTreeMap<String, Vec<String>>,
}

/// A teacher.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyTeacher {
    /// As cells name it.
    pub source: String,
    /// Its network.
    pub network: String,
    /// Name of the data that it was measured on.
    pub data: String,
    /// Trained numbers.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// What networks are compared by.
    pub value: f64,
}

/// Trainings that differ in their seed alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyCell {
    /// Of its folder.
    pub name: String,
    /// Name of the data.
    pub data: String,
    /// Images to train on.
    pub train: usize,
    /// Images to test on.
    pub test: usize,
    /// Teacher as the study names it; `None` of what is compared with.
    pub teacher: Option<String>,
    /// Student's network.
    pub student: String,
    /// Method's name.
    pub method: String,
    /// Images of each class, where so many are drawn.
    pub shots: Option<usize>,
    /// Epochs of each training.
    pub epochs: usize,
    /// Name of the cell that it is compared with.
    pub compared_with: Option<String>,
    /// 95 % interval of the gain over seeds and test images together; of classifiers with two seeds or
    /// more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_both: Option<[f64; 2]>,
    /// Trained numbers of the student; 0 before the first run is done.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Its finished trainings, by seed.
    pub runs: Vec<StudyRun>,
    /// Why trainings failed: seed and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(u64, String)>,
    /// What was said of its runs, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One finished training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyRun {
    /// Its seed.
    pub seed: u64,
    /// All that was measured on the test part, by name.
    pub measures: BTreeMap<String, f64>,
    /// For each class, in percent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_class: Vec<Option<f64>>,
    /// What epochs were chosen by, after each epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<f64>,
    /// Wall time of the training.
    pub seconds: f64,
    /// The most bytes of buffers that were held during it, where that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl StudyResults {
    /// The cell called `name`.
    pub fn cell(&self, name: &str) -> Option<&StudyCell> {
        self.cells.iter().find(|cell| cell.name == name)
    }

    /// How to make one cell again, with its teacher and what it is compared with.
    pub fn command_of(&self, cell: &StudyCell) -> String {
        format!("{} --cell {}", self.command, cell.name)
    }

    /// Trainings that are done, and that were asked for.
    pub fn progress(&self) -> [usize; 2] {
        let done = self.cells.iter().map(|cell| cell.runs.len()).sum();
        [done, self.cells.len() * self.seeds]
    }
}

impl StudyRun {
    /// The measure called `name`; NaN where it was not taken.
    pub fn value(&self, name: &str) -> f64 {
        self.measures.get(name).copied().unwrap_or(f64::NAN)
    }
}
