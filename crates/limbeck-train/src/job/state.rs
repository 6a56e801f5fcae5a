//! Where a job is.

use std::collections::BTreeMap;

use limbeck_nn::Store;
use limbeck_report::EpochRow;
use serde::{Deserialize, Serialize};

use super::choice::{Choice, Reached};
use crate::{
    recipe::Choose,
    step::{Learner, StepReport},
};

/// Where a job is; the readable part of its checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Epochs that are done, of all stages together.
    pub epoch: usize,
    /// Steps done in the next one.
    pub step: usize,
    /// Steps done since the first.
    pub position: usize,
    /// Index of the stage.
    pub stage: usize,
    /// Epochs of the stage that are done.
    pub stage_epoch: usize,
    /// The stage's best epoch so far.
    pub best: Option<Reached>,
    /// The stage's last epoch so far.
    pub last: Option<Reached>,
    /// Mean of the weights of the stage's last epochs, where that is wanted; a part of the
    /// checkpoint of its own.
    #[serde(skip)]
    pub mean: Option<Store>,
    pub rows: Vec<EpochRow>,
    pub sums: Sums,
    pub seconds: f64,
    /// Updates of the moving average.
    pub average_updates: u64,
}

impl State {
    /// How many epochs of the stage are in the mean of its last ones.
    pub fn averaged_epochs(&self, learner: &Learner, choice: &Choice) -> usize {
        let all = learner.stage().epochs;
        match choice.how {
            Choose::Average => {
                let before = all.saturating_sub(choice.epochs);
                self.stage_epoch.saturating_sub(before)
            }
            Choose::Best | Choose::Last => 0,
        }
    }
}

/// What is averaged over an epoch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sums {
    pub images: usize,
    /// Predictions that were right, and of how many; `None` where nobody knows.
    pub correct: Option<[usize; 2]>,
    pub loss: f64,
    pub terms: BTreeMap<String, f64>,
    pub weights: BTreeMap<String, f64>,
    pub shares: BTreeMap<String, f64>,
    pub seconds: f64,
    pub waited: f64,
    /// Batches in which nothing was known of any pixel.
    #[serde(default)]
    pub void: usize,
}

impl Sums {
    pub fn add(&mut self, report: &StepReport) {
        let images = report.images as f64;
        self.images += report.images;
        self.void += usize::from(matches!(report.correct, Some([_, 0])));
        if let Some([right, of]) = report.correct {
            let [rights, all] = self.correct.get_or_insert([0, 0]);
            *rights += right;
            *all += of;
        }
        self.loss += report.loss * images;
        for (sums, values) in [
            (&mut self.terms, &report.terms),
            (&mut self.weights, &report.weights),
            (&mut self.shares, &report.shares),
        ] {
            for (name, value) in values {
                *sums.entry(name.clone()).or_default() += value * images;
            }
        }
    }

    pub fn means(&self, sums: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
        let images = self.images.max(1) as f64;
        sums.iter()
            .map(|(name, sum)| (name.clone(), sum / images))
            .collect()
    }

    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.seconds.max(1e-9)
    }

    pub fn data_wait(&self) -> f64 {
        100.0 * self.waited / self.seconds.max(1e-9)
    }
}
