//! What a search has found so far.

use std::fmt::Write;

use limbeck_nn::model::tinyvit::{Limits, Measures, TinyVitFactors};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The whole search, `log.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractLog {
    /// The net that it began with; not trained.
    pub base: LoggedCandidate,
    /// Steps so far.
    pub steps: Vec<LoggedStep>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedStep {
    /// Limits of this step, in words.
    pub limits: String,
    /// Neighbours within them.
    pub candidates: Vec<LoggedCandidate>,
}

/// One net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedCandidate {
    /// Name with all factors, which all commands understand.
    pub model: String,
    /// Trained numbers.
    pub params: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Images a second, where the search has a limit for that.
    pub images_per_second: Option<f64>,
    /// What it reached on the validation part in its short training, in what epochs are chosen by;
    /// `None` until then.
    #[serde(alias = "accuracy")]
    pub score: Option<f64>,
    /// Whether the search went on with it.
    pub kept: bool,
}

impl LoggedCandidate {
    pub(super) fn new(net: &TinyVitFactors, measures: Measures) -> Self {
        Self {
            model: net.to_string(),
            params: measures.parameters,
            macs: measures.macs,
            images_per_second: measures.images_per_second,
            score: None,
            kept: false,
        }
    }

    pub(super) fn measures(&self) -> Measures {
        Measures {
            parameters: self.params,
            macs: self.macs,
            images_per_second: self.images_per_second,
        }
    }
}

impl LoggedStep {
    pub(super) fn new(limits: &Limits, candidates: Vec<LoggedCandidate>) -> Self {
        Self {
            limits: describe(limits),
            candidates,
        }
    }

    /// The candidate that is best among those trained so far: the best score, of equals the one
    /// with fewer multiply-accumulates, of equals the first.
    pub(super) fn best(&self) -> Option<usize> {
        let trained = self
            .candidates
            .iter()
            .enumerate()
            .filter_map(|(index, candidate)| Some((index, candidate.score?, candidate.macs)));
        let better = |one: (usize, f64, u64), other: (usize, f64, u64)| {
            let order = other.1.total_cmp(&one.1).then(one.2.cmp(&other.2));
            match order.is_gt() {
                true => other,
                false => one,
            }
        };
        trained.reduce(better).map(|(index, ..)| index)
    }

    /// Marks the best one as kept.
    pub(super) fn choose(&mut self) {
        let best = self.best();
        for (index, candidate) in self.candidates.iter_mut().enumerate() {
            candidate.kept = best == Some(index);
        }
    }
}

impl ContractLog {
    pub(super) fn new(base: &TinyVitFactors, measures: Measures) -> Self {
        Self {
            base: LoggedCandidate::new(base, measures),
            steps: Vec::new(),
        }
    }

    /// The net that the search has come to: the one kept last, or the base.
    pub fn found(&self) -> &LoggedCandidate {
        self.before(self.steps.len() + 1)
    }

    /// The net that step `step`, counted from 1, starts from.
    fn before(&self, step: usize) -> &LoggedCandidate {
        self.steps
            .iter()
            .take(step - 1)
            .filter_map(|step| step.candidates.iter().find(|candidate| candidate.kept))
            .next_back()
            .unwrap_or(&self.base)
    }

    pub(super) fn current(&self, step: usize) -> Result<TinyVitFactors, TrainError> {
        Ok(self.before(step).model.parse()?)
    }

    pub(super) fn measures_of(&self, step: usize) -> Measures {
        self.before(step).measures()
    }

    /// All nets of the search, a line each; `*` marks those that it went on with.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut row = |mark: &str, step: &str, net: &LoggedCandidate| {
            let score = match net.score {
                Some(score) => format!("{score:.2}"),
                None => "-".to_owned(),
            };
            let speed = match net.images_per_second {
                Some(speed) => format!("{speed:.0}"),
                None => "-".to_owned(),
            };
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "{mark:1} {step:>4} {:>10} {:>9.2} {speed:>9} {score:>8}  {}",
                net.params,
                net.macs as f64 / 1e6,
                net.model
            );
        };
        row("", "base", &self.base);
        for (index, step) in self.steps.iter().enumerate() {
            for net in &step.candidates {
                row(
                    if net.kept { "*" } else { "" },
                    &(index + 1).to_string(),
                    net,
                );
            }
        }
        format!(
            "{:1} {:>4} {:>10} {:>9} {:>9} {:>8}  model\n{text}",
            "", "step", "params", "MACs (M)", "images/s", "score"
        )
    }
}

/// Limits in words.
pub(super) fn describe(limits: &Limits) -> String {
    let mut words = Vec::new();
    if let Some(most) = limits.most_parameters {
        words.push(format!("at most {most} parameters"));
    }
    if let Some(most) = limits.most_macs {
        words.push(format!("at most {most} MACs"));
    }
    if let Some(least) = limits.least_macs {
        words.push(format!("at least {least} MACs"));
    }
    if let Some(least) = limits.least_images_per_second {
        words.push(format!("at least {least:.1} images a second"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(nets: &[(f64, u64)]) -> LoggedStep {
        let candidates = nets.iter().map(|&(score, macs)| LoggedCandidate {
            score: Some(score),
            ..LoggedCandidate::new(
                &TinyVitFactors::default(),
                Measures {
                    parameters: 1,
                    macs,
                    images_per_second: None,
                },
            )
        });
        LoggedStep::new(&Limits::default(), candidates.collect())
    }

    #[test]
    fn the_best_is_kept_and_of_equals_the_cheapest() {
        assert_eq!(
            step(&[(50.0, 9), (60.0, 9), (60.0, 7), (60.0, 7)]).best(),
            Some(2)
        );
        assert_eq!(step(&[(70.0, 9), (60.0, 7)]).best(), Some(0));
        let mut chosen = step(&[(50.0, 9), (60.0, 9)]);
        chosen.choose();
        assert_eq!(
            [chosen.candidates[0].kept, chosen.candidates[1].kept],
            [false, true]
        );
    }

    #[test]
    fn a_search_goes_on_from_what_was_kept() {
        let mut log = ContractLog::new(
            &TinyVitFactors::default(),
            Measures {
                parameters: 5,
                macs: 5,
                images_per_second: None,
            },
        );
        assert_eq!(log.found(), &log.base);
        let mut first = step(&[(50.0, 3), (40.0, 2)]);
        first.choose();
        log.steps.push(first);
        assert_eq!(log.found().macs, 3);
        assert!(log.table().contains("50.00"), "{}", log.table());
    }
}
