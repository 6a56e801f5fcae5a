//! The null experiment: what intervals say where there is nothing to be found.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

/// Draws in which two groups of trainings of one and the same cell are compared as a method is with its
/// baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NullExperiment {
    /// Pairs of trainings in each draw.
    pub seeds: usize,
    /// What each draw found.
    pub draws: Vec<NullDraw>,
}

/// One draw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NullDraw {
    /// Mean of what one group is better by than the other.
    pub gain: f64,
    /// Its 95 % interval by Student's t over the pairs.
    pub over_seeds: [f64; 2],
    /// That over pairs and test images; of classifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_both: Option<[f64; 2]>,
}

/// How many intervals hold zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// Intervals that hold zero.
    pub held: usize,
    /// All intervals.
    pub all: usize,
    /// The shares of intervals, in percent, that so many of so many are likely of: the 95 % interval of
    /// Clopper and Pearson ("The use of confidence or fiducial limits", 1934).
    pub ci95: [f64; 2],
}

impl Coverage {
    fn of(intervals: impl Iterator<Item = [f64; 2]>) -> Option<Self> {
        let (mut held, mut all) = (0, 0);
        for [low, high] in intervals {
            held += usize::from(low <= 0.0 && 0.0 <= high);
            all += 1;
        }
        (all > 0).then(|| Self {
            held,
            all,
            ci95: clopper_pearson(held, all),
        })
    }

    /// Share of intervals that hold zero, in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.held as f64 / self.all as f64
    }

    /// Whether 95 % is among the shares that are likely.
    pub fn holds(&self) -> bool {
        let [low, high] = self.ci95;
        low <= 95.0 && 95.0 <= high
    }
}

impl NullExperiment {
    /// Of the intervals over seeds.
    pub fn over_seeds(&self) -> Option<Coverage> {
        Coverage::of(self.draws.iter().map(|draw| draw.over_seeds))
    }

    /// Of the intervals over seeds and test images.
    pub fn over_both(&self) -> Option<Coverage> {
        Coverage::of(self.draws.iter().filter_map(|draw| draw.over_both))
    }

    /// In a few sentences.
    pub fn in_words(&self) -> Vec<String> {
        let told = |coverage: Coverage, over: &str| {
            let [low, high] = coverage.ci95;
            format!(
                "{} of {} intervals over {over} hold zero, which is the truth here: {:.1} % ({low:.1} to {high:.1}), \
                 {} the 95 % that they promise.",
                coverage.held,
                coverage.all,
                coverage.percent(),
                match coverage.holds() {
                    true => "which agrees with",
                    false => "which is not",
                }
            )
        };
        let over_seeds = self.over_seeds().map(|coverage| told(coverage, "seeds"));
        let over_both = self
            .over_both()
            .map(|coverage| told(coverage, "seeds and test images"));
        over_seeds.into_iter().chain(over_both).collect()
    }
}

fn clopper_pearson(held: usize, all: usize) -> [f64; 2] {
    let (held, all) = (held as f64, all as f64);
    let point = |a: f64, b: f64, share: f64| {
        Beta::new(a, b).map_or(f64::NAN, |beta| 100.0 * beta.inverse_cdf(share))
    };
    let low = match held {
        0.0 => 0.0,
        held => point(held, all - held + 1.0, 0.025),
    };
    let high = match held == all {
        true => 100.0,
        false => point(held + 1.0, all - held, 0.975),
    };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binomtest(held, all).proportion_ci(0.95, "exact")`.
    #[test]
    fn intervals_of_shares_are_scipys() {
        for (held, all, expected) in [
            (57, 60, [86.075_675, 98.956_767]),
            (60, 60, [94.037_051, 100.0]),
            (0, 10, [0.0, 30.849_711]),
        ] {
            let found = clopper_pearson(held, all);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{found} and {expected}");
            }
        }
    }

    #[test]
    fn intervals_that_hold_zero_are_counted() {
        let draw = |low, high| NullDraw {
            gain: (low + high) / 2.0,
            over_seeds: [low, high],
            over_both: None,
        };
        let experiment = NullExperiment {
            seeds: 3,
            draws: vec![draw(-1.0, 1.0), draw(0.5, 1.0), draw(-2.0, 0.0)],
        };
        let coverage = experiment.over_seeds().unwrap();
        assert_eq!((coverage.held, coverage.all), (2, 3));
        assert!(coverage.holds() && experiment.over_both().is_none());
        let words = experiment.in_words();
        assert!(
            words[0].starts_with("2 of 3 intervals over seeds hold zero"),
            "{words:?}"
        );
    }
}
