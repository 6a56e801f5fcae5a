//! The distribution that Zipf's law gives to ranked classes.

use super::{ZipfConfig, ZipfDistribution};

/// Ranks of one score among those of an image: `first..=last` where several share a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranks {
    /// 1 + the number of greater scores.
    pub first: usize,
    /// The number of scores that are not smaller.
    pub last: usize,
}

/// The ranks of all `scores`, the greatest first.
pub fn ranks(scores: &[f64]) -> Vec<Ranks> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut ranks = vec![Ranks { first: 0, last: 0 }; scores.len()];
    let mut first = 0;
    while first < order.len() {
        let score = scores[order[first]];
        let equal = order[first..].iter().take_while(|&&i| scores[i] == score);
        // What is not a number equals nothing, itself included, and has its place alone.
        let last = first + equal.count().max(1);
        for &i in &order[first..last] {
            ranks[i] = Ranks {
                first: first + 1,
                last,
            };
        }
        first = last;
    }
    ranks
}

/// The target of the classes that are not `label`, in order: `[K − 1]` numbers that sum to 1.
pub fn non_target(config: &ZipfConfig, scores: &[f64], label: usize) -> Vec<f64> {
    let classes = scores.len() as f64;
    let weight = |Ranks { first, last }: Ranks| match config.distribution {
        ZipfDistribution::Rank => (first as f64).powf(-config.power),
        ZipfDistribution::Unbiased => {
            let interval = (config.right_bound - config.left_bound) / classes;
            let bound = |rank: usize| config.left_bound + rank as f64 * interval;
            (bound(last) / bound(first - 1)).ln() / (last - first + 1) as f64
        }
    };
    let mut weights: Vec<f64> = ranks(scores).into_iter().map(weight).collect();
    weights.remove(label);
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_close;

    fn target(scores: &[f64], label: usize) -> Vec<f64> {
        non_target(&ZipfConfig::default(), scores, label)
    }

    #[test]
    fn equal_scores_share_a_place() {
        let found: Vec<(usize, usize)> = ranks(&[1.0, 3.0, 1.0, 2.0])
            .into_iter()
            .map(|r| (r.first, r.last))
            .collect();
        assert_eq!(found, [(3, 4), (1, 1), (3, 4), (2, 2)]);
    }

    #[test]
    fn targets_sum_to_one_and_follow_the_ranks() {
        for distribution in [ZipfDistribution::Rank, ZipfDistribution::Unbiased] {
            let config = ZipfConfig {
                distribution,
                ..ZipfConfig::default()
            };
            let target = non_target(&config, &[0.0, 5.0, 2.0, 0.0, 1.0], 1);
            assert_close(&[target.iter().sum()], &[1.0]);
            assert!(target[1] > target[3] && target[3] > target[0]);
            assert_close(&[target[0]], &[target[2]]);
            let even = non_target(&config, &[2.0; 5], 3);
            assert_close(&even, &[0.25; 4]);
        }
    }

    #[test]
    fn the_labels_score_shifts_the_classes_below_it_alone() {
        let shares = |label_score| target(&[4.0, label_score, 2.0, 1.0], 1);
        let (above, between) = (shares(5.0), shares(3.0));
        // Places 2, 3, 4 and 1, 3, 4.
        assert_close(
            &[above[1] / above[2], between[1] / between[2]],
            &[4.0 / 3.0; 2],
        );
        assert_close(&[above[0] / above[1], between[0] / between[1]], &[1.5, 3.0]);
    }

    #[test]
    fn a_greater_power_prefers_the_first_places() {
        let steep = ZipfConfig {
            power: 2.0,
            ..ZipfConfig::default()
        };
        assert_close(
            &non_target(&steep, &[9.0, 3.0, 2.0], 0),
            &[9.0 / 13.0, 4.0 / 13.0],
        );
    }
}
