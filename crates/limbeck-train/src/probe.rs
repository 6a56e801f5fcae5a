//! Judging embeddings: what a simple classifier on a frozen network, or a short fine-tuning of it, makes
//! of data with labels.

mod contender;
mod finetune;
mod frozen;

use limbeck_report::{Gain, interval95, mean, paired_gain};
use serde::Serialize;

pub use contender::{Contender, contenders};
pub use finetune::finetune;
pub use frozen::{Frozen, frozen};

/// What networks reach in a probe.
#[derive(Clone, Debug, Serialize)]
pub struct Probed {
    /// `student`, `baseline`, `teacher`, or the name of a model.
    pub name: String,
    /// Name of the network.
    pub network: String,
    /// Accuracy in percent, mean over seeds and draws.
    pub accuracy: f64,
    /// Its 95 % interval, over seeds where there are several, else over draws.
    pub ci95: Option<[f64; 2]>,
    /// Accuracy by seed of the network, and in it by draw of the images.
    pub accuracies: Vec<Vec<f64>>,
}

impl Probed {
    /// `accuracies` by seed, and in it by draw.
    pub fn new(name: &str, network: &str, accuracies: Vec<Vec<f64>>) -> Self {
        let units = units(&accuracies);
        Self {
            name: name.to_owned(),
            network: network.to_owned(),
            accuracy: mean(&units).unwrap_or(f64::NAN),
            ci95: interval95(&units),
            accuracies,
        }
    }
}

/// What `student` has gained over `baseline`, paired by seed, or by draw of a single seed; `None` where
/// they are not as many.
pub fn gain(student: &Probed, baseline: &Probed) -> Option<Gain> {
    paired_gain(&units(&student.accuracies), &units(&baseline.accuracies))
}

/// What intervals are taken over: the means of the seeds, or the draws of a single one.
fn units(accuracies: &[Vec<f64>]) -> Vec<f64> {
    match accuracies {
        [single] => single.clone(),
        several => several
            .iter()
            .map(|draws| mean(draws).unwrap_or(f64::NAN))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_the_units_where_there_are_several_and_draws_are_those_of_one() {
        let student = Probed::new("student", "net", vec![vec![60.0, 62.0], vec![63.0, 65.0]]);
        assert_eq!(student.accuracy, 62.5);
        let baseline = Probed::new("baseline", "net", vec![vec![59.0, 61.0], vec![62.0, 64.0]]);
        let found = gain(&student, &baseline).unwrap();
        assert_eq!((found.mean, found.ci95), (1.0, Some([1.0, 1.0])));
        let single = Probed::new("model", "net", vec![vec![1.0, 2.0, 3.0]]);
        assert!(single.ci95.unwrap()[0] < 2.0);
        assert_eq!(Probed::new("model", "net", vec![vec![1.0]]).ci95, None);
    }
}
