//! What a finished run found: the content of `results.json`, and all that the report shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that a run found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Run folder's name.
    pub run: String,
    /// Method's name; `none` for a plain training run.
    pub method: String,
    /// What was trained and tested on.
    pub data: DataSummary,
    /// The teacher; `None` where the method has none.
    pub teacher: Option<NetworkSummary>,
    /// The student's network.
    pub student: NetworkSummary,
    /// The distilled students, one for each seed. Of a plain training run: the trained networks.
    pub students: Vec<SeedResult>,
    /// The same students trained on labels alone, same seeds in the same order; empty if none
    /// were asked for.
    pub baselines: Vec<SeedResult>,
    /// Student minus baseline, in points of top-1, or of Recall@1 where that was measured.
    pub gain: Option<Gain>,
    /// Layer pairs `(student tap, teacher tap)` that the method compared.
    pub pairs: Vec<(String, String)>,
    /// Pictures on which student (first seed) and teacher disagree, the most confident first.
    pub disagreements: Vec<Disagreement>,
    /// Wall time of the whole run.
    pub seconds: f64,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// How to run it again.
    pub command: String,
    /// Processor, cores, threads, versions: name → value.
    pub environment: BTreeMap<String, String>,
}

/// A data set and its parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// Such as `fashion-mnist (IDX)`.
    pub name: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Images to train on.
    pub train: usize,
    /// Images to choose by.
    pub validation: usize,
    /// Images touched once, at the end.
    pub test: usize,
    /// Channels, height and width of what the student sees.
    pub shape: [usize; 3],
}

/// A network and what it costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkSummary {
    /// Zoo name.
    pub name: String,
    /// Trained numbers.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Numbers that layers write for one image.
    pub activations: u64,
    /// Size of its weights file.
    pub bytes: u64,
    /// Milliseconds for one image, median, batch 1, batch norm folded.
    pub latency_ms: f64,
    /// Measured on the test part; `None` where it was not tested on its own (student: see seeds).
    pub test: Option<Evaluation>,
}

/// What networks are compared by where recall was measured.
pub const RECALL_NAME: &str = "Recall@1";

impl Results {
    /// What networks are compared by: see [`Evaluation::score`].
    pub fn score_name(&self) -> &'static str {
        match self.students.first() {
            Some(seed) if !seed.test.recall.is_empty() => RECALL_NAME,
            _ => "top-1",
        }
    }
}

/// Measures of a network on one part of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Share of images whose most probable class is right, in percent.
    pub top1: f64,
    /// Share of images whose class is among the five most probable, in percent.
    pub top5: f64,
    /// Mean cross entropy, in nats.
    pub loss: f64,
    /// Expected calibration error over 15 bins of equal width, in percent.
    pub calibration_error: f64,
    /// Share of images on which it chooses the teacher's class, in percent.
    pub agreement: Option<f64>,
    /// Recall@K of the embeddings `pooled`: K, and the share in percent of images that have one of
    /// their class among the K nearest others. Empty where the recipe does not choose by recall.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recall: Vec<(usize, f64)>,
    /// For each bin of confidence: images, mean confidence, share right (both in 0..1).
    pub calibration: Vec<(u64, f64, f64)>,
    /// `confusion[true class][chosen class]`, in images.
    pub confusion: Vec<Vec<u64>>,
}

impl Evaluation {
    /// What an epoch is chosen by, in percent: Recall@1 where it was measured, else top-1.
    pub fn score(&self) -> f64 {
        self.recall.first().map_or(self.top1, |&(_, recall)| recall)
    }
}

/// One trained student.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// Its seed.
    pub seed: u64,
    /// On the test part, once, with the weights that were chosen.
    pub test: Evaluation,
    /// The epoch that was best on validation, counted from 1.
    pub best_epoch: usize,
    /// The epoch whose weights were chosen, counted from 1, or the last of those whose mean was;
    /// 0 in the results of versions that always chose the best.
    #[serde(default)]
    pub chosen_epoch: usize,
    /// Whose weights were chosen and why: a sentence without its stop.
    #[serde(default)]
    pub choice: String,
    /// One row an epoch.
    pub epochs: Vec<EpochRow>,
    /// Wall time of this student's training.
    pub seconds: f64,
}

impl SeedResult {
    /// The epoch whose weights were tested, counted from 1.
    pub fn tested_epoch(&self) -> usize {
        match self.chosen_epoch {
            0 => self.best_epoch,
            chosen => chosen,
        }
    }
}

/// One epoch of training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Counted from 1 over all stages.
    pub epoch: usize,
    /// Stage that it belongs to; empty where the run has one alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Mean total loss.
    pub loss: f64,
    /// Mean of each term before its weight, `task` among them.
    pub terms: BTreeMap<String, f64>,
    /// Mean of each term's weight in the total loss.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// Mean share of each term in the loss that it is part of: |weight · value|, in percent of
    /// their sum. (Not the share of its gradient, which would take a backward pass for each term.)
    #[serde(default)]
    pub shares: BTreeMap<String, f64>,
    /// On the training images as the student saw them, in percent.
    pub train_top1: f64,
    /// On the validation part, in percent.
    pub validation_top1: f64,
    /// On the validation part, in nats.
    pub validation_loss: f64,
    /// Recall@1 on the validation part, in percent, where the recipe chooses by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_recall: Option<f64>,
    /// Share of validation images on which student and teacher choose the same class, in percent.
    pub agreement: Option<f64>,
    /// Training speed.
    pub images_per_second: f64,
    /// Share of the time that the trainer waited for data, in percent.
    pub data_wait: f64,
}

impl EpochRow {
    /// What an epoch is chosen by, in percent: Recall@1 where it was measured, else top-1.
    pub fn score(&self) -> f64 {
        self.validation_recall.unwrap_or(self.validation_top1)
    }
}

/// Student minus baseline, paired by seed, in points of what networks are compared by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Mean over seeds.
    pub mean: f64,
    /// 95 % interval of the mean by Student's t over the paired differences; `None` for one seed.
    pub ci95: Option<[f64; 2]>,
}

/// A picture on which student and teacher choose different classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Index in the test part.
    pub index: usize,
    /// Right class.
    pub label: usize,
    /// Student's class and its probability.
    pub student: (usize, f64),
    /// Teacher's class and its probability.
    pub teacher: (usize, f64),
    /// The picture as a PNG file, base64.
    pub png: String,
}
