//! Triplets of an anchor, a positive of its class and a negative of another class.

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use limbeck_data::Stream;

/// Added to each coordinate of a difference before its length is taken, as in PyTorch's
/// `pairwise_distance`.
const DIFFERENCE_SHIFT: f64 = 1e-6;
/// Smallest squared distance of two embeddings, as in RKD's code.
const SQUARE_FLOOR: f64 = 1e-12;
/// Distances below count as this much in distance-weighted sampling (Wu et al., "Sampling Matters
/// in Deep Embedding Learning", ICCV 2017).
const DISTANCE_CUT_OFF: f64 = 0.5;
/// From this distance on a negative is not drawn there: its loss would be zero.
const NONZERO_LOSS_CUT_OFF: f64 = 1.4;
/// Keeps the logarithm finite for vectors that are opposite.
const OPPOSITE_FLOOR: f64 = 1e-12;

/// Which negatives an anchor and its positive are set against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeSampler {
    /// One, drawn so that all distances between unit vectors come as often.
    #[default]
    DistanceWeighted,
    /// Every one.
    All,
    /// One, drawn uniformly.
    Random,
    /// The one nearest to the anchor.
    Hard,
    /// The nearest of those farther away than the positive, else the farthest of all.
    Semihard,
}

/// Places within the batch, one list entry for each triplet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triplets {
    /// Anchors.
    pub anchors: Vec<usize>,
    /// Images of the anchors' classes.
    pub positives: Vec<usize>,
    /// Images of other classes.
    pub negatives: Vec<usize>,
}

impl Triplets {
    fn push(&mut self, anchor: usize, positive: usize, negative: usize) {
        self.anchors.push(anchor);
        self.positives.push(positive);
        self.negatives.push(negative);
    }

    /// Number of triplets.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }
}

/// Squared distances of all pairs of embeddings `[B, D]`, row by row.
fn squared_distances(embeddings: &Tensor<2>) -> Vec<Vec<f64>> {
    let [_, width] = embeddings.dims();
    let numbers: Vec<f64> = embeddings.clone().into_data().iter::<f64>().collect();
    let rows: Vec<&[f64]> = numbers.chunks(width).collect();
    let squared = |x: &[f64], y: &[f64]| {
        let sum: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
        sum.max(SQUARE_FLOOR)
    };
    let row = |x: &&[f64]| rows.iter().map(|y| squared(x, y)).collect();
    rows.iter().map(row).collect()
}

/// Triplets of embeddings `[B, D]`, with the pairs of an anchor and a positive in the order of
/// rows; none where no class has two images or there is one class alone. `seed` decides what is
/// drawn.
pub fn sample_triplets(
    embeddings: &Tensor<2>,
    labels: &[i64],
    sampler: NegativeSampler,
    seed: u64,
) -> Triplets {
    let embeddings = embeddings.clone().inner();
    let count = labels.len();
    let distances = squared_distances(&embeddings);
    let weights = match sampler {
        NegativeSampler::DistanceWeighted => distance_weights(&embeddings, labels),
        _ => Vec::new(),
    };
    let mut random = Stream::of_seed(seed);
    let mut triplets = Triplets::default();
    for anchor in 0..count {
        let negatives: Vec<usize> = (0..count)
            .filter(|&i| labels[i] != labels[anchor])
            .collect();
        if negatives.is_empty() {
            continue;
        }
        let distance = |i: &usize| distances[anchor][*i];
        let nearest = |candidates: &mut dyn Iterator<Item = usize>| {
            candidates.min_by(|a, b| distance(a).total_cmp(&distance(b)))
        };
        for positive in 0..count {
            if positive == anchor || labels[positive] != labels[anchor] {
                continue;
            }
            let mut all = negatives.iter().copied();
            let chosen = match sampler {
                NegativeSampler::All => {
                    all.for_each(|negative| triplets.push(anchor, positive, negative));
                    continue;
                }
                NegativeSampler::Random => Some(negatives[random.below(negatives.len())]),
                NegativeSampler::Hard => nearest(&mut all),
                NegativeSampler::Semihard => {
                    let farther = |i: &usize| distance(i) > distance(&positive);
                    nearest(&mut all.filter(farther)).or_else(|| {
                        let rest = negatives.iter().copied();
                        rest.reduce(|a, b| if distance(&b) > distance(&a) { b } else { a })
                    })
                }
                NegativeSampler::DistanceWeighted => {
                    Some(drawn(&weights[anchor], random.unit(), &negatives))
                }
            };
            if let Some(negative) = chosen {
                triplets.push(anchor, positive, negative);
            }
        }
    }
    triplets
}

/// The one of `among` whose share of `weights` the number `at` (0..1) falls into.
fn drawn(weights: &[f64], at: f64, among: &[usize]) -> usize {
    let mut sum = 0.0;
    let found = among.iter().find(|&&i| {
        sum += weights[i];
        at < sum
    });
    // Rounding may leave the sum just below one.
    *found.unwrap_or(&among[among.len() - 1])
}

/// Probability with which distance-weighted sampling draws each negative for each anchor,
/// `[B, B]`: rows sum to one and are zero for images of the anchor's class. A row is all zero where
/// there is one class alone.
pub fn distance_weights(embeddings: &Tensor<2>, labels: &[i64]) -> Vec<Vec<f64>> {
    let embeddings = embeddings.clone().inner();
    let dimensions = embeddings.dims()[1] as f64;
    let lengths = embeddings.clone().square().sum_dim(1);
    let units = embeddings / lengths.clamp_min(SQUARE_FLOOR * SQUARE_FLOOR).sqrt();
    let mut rows = squared_distances(&units);
    for (i, row) in rows.iter_mut().enumerate() {
        let distances: Vec<f64> = row
            .iter()
            .enumerate()
            .map(|(j, square)| (square + f64::from(u8::from(i == j))).sqrt())
            .map(|distance| distance.max(DISTANCE_CUT_OFF))
            .collect();
        let logarithm = |distance: f64| {
            let chord = (1.0 - 0.25 * distance * distance).max(OPPOSITE_FLOOR);
            (2.0 - dimensions) * distance.ln() - (dimensions - 3.0) / 2.0 * chord.ln()
        };
        let logarithms: Vec<f64> = distances.iter().map(|&d| logarithm(d)).collect();
        let greatest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_negative = |j: usize| labels[j] != labels[i];
        for (j, weight) in row.iter_mut().enumerate() {
            let can_be_drawn = is_negative(j) && distances[j] < NONZERO_LOSS_CUT_OFF;
            *weight = match can_be_drawn {
                true => (logarithms[j] - greatest).exp(),
                false => 0.0,
            };
        }
        if row.iter().sum::<f64>() == 0.0 {
            for (j, weight) in row.iter_mut().enumerate() {
                *weight = f64::from(u8::from(is_negative(j)));
            }
        }
        let sum: f64 = row.iter().sum();
        if sum > 0.0 {
            row.iter_mut().for_each(|weight| *weight /= sum);
        }
    }
    rows
}

/// Mean over triplets of max(‖a − p + 1e-6‖ − ‖a − n + 1e-6‖ + margin, 0) of embeddings `[B, D]`,
/// `[1]`. There must be triplets.
pub fn triplet_loss(embeddings: Tensor<2>, triplets: &Triplets, margin: f64) -> Tensor<1> {
    let rows = |places: &[usize]| {
        let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let data = TensorData::new(places, [triplets.len()]);
        let places = Tensor::<1, Int>::from_data(data, &embeddings.device());
        embeddings.clone().select(0, places)
    };
    let anchors = rows(&triplets.anchors);
    let distance = |other: Tensor<2>| {
        let difference = (anchors.clone() - other).add_scalar(DIFFERENCE_SHIFT);
        difference.square().sum_dim(1).sqrt()
    };
    let near = distance(rows(&triplets.positives));
    let far = distance(rows(&triplets.negatives));
    (near - far).add_scalar(margin).clamp_min(0.0).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, number, random, tensor};

    const LABELS: [i64; 6] = [0, 0, 1, 1, 2, 2];

    fn sampled(sampler: NegativeSampler) -> (Triplets, Vec<Vec<f64>>) {
        let x = random("x", [6, 3]);
        let distances = squared_distances(&x);
        (sample_triplets(&x, &LABELS, sampler, 1), distances)
    }

    #[test]
    fn every_sampler_keeps_to_the_classes_and_to_its_definition() {
        for sampler in [
            NegativeSampler::DistanceWeighted,
            NegativeSampler::All,
            NegativeSampler::Random,
            NegativeSampler::Hard,
            NegativeSampler::Semihard,
        ] {
            let (triplets, distances) = sampled(sampler);
            let expected = if sampler == NegativeSampler::All {
                24
            } else {
                6
            };
            assert_eq!(triplets.len(), expected, "{sampler:?}");
            for t in 0..triplets.len() {
                let (a, p) = (triplets.anchors[t], triplets.positives[t]);
                let n = triplets.negatives[t];
                assert!(a != p && LABELS[a] == LABELS[p] && LABELS[a] != LABELS[n]);
                let others = (0..6).filter(|&i| LABELS[i] != LABELS[a]);
                let least = others
                    .clone()
                    .map(|i| distances[a][i])
                    .fold(f64::MAX, f64::min);
                let most = others.clone().map(|i| distances[a][i]).fold(0.0, f64::max);
                match sampler {
                    NegativeSampler::Hard => assert_eq!(distances[a][n], least),
                    NegativeSampler::Semihard if most > distances[a][p] => {
                        assert!(distances[a][n] > distances[a][p]);
                        let nearer = |&i: &usize| {
                            distances[a][i] > distances[a][p] && distances[a][i] < distances[a][n]
                        };
                        assert_eq!(others.filter(nearer).count(), 0);
                    }
                    NegativeSampler::Semihard => assert_eq!(distances[a][n], most),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn weights_are_shares_and_zero_for_the_own_class() {
        for (i, row) in distance_weights(&random("x", [6, 4]), &LABELS)
            .iter()
            .enumerate()
        {
            assert_close(&[row.iter().sum()], &[1.0]);
            assert!((0..6).all(|j| row[j] >= 0.0 && (LABELS[i] != LABELS[j] || row[j] == 0.0)));
        }
        // All negatives too far away: uniform.
        let apart = tensor(vec![1.0, 0.0, 1.0, 0.01, -1.0, 0.0, -1.0, 0.01], [4, 2]);
        let weights = distance_weights(&apart, &[0, 0, 1, 1]);
        assert_close(&weights[0], &[0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn what_is_drawn_depends_on_the_seed_alone() {
        let x = random("x", [6, 3]);
        let sample = |seed| sample_triplets(&x, &LABELS, NegativeSampler::Random, seed);
        assert_eq!(sample(1), sample(1));
        assert!((2..9).any(|seed| sample(seed) != sample(1)));
    }

    #[test]
    fn without_positives_or_negatives_there_are_no_triplets() {
        let x = random("x", [3, 3]);
        for labels in [[0, 1, 2], [1, 1, 1]] {
            let found = sample_triplets(&x, &labels, NegativeSampler::Hard, 1);
            assert!(found.is_empty());
        }
    }

    #[test]
    fn negatives_beyond_the_margin_cost_nothing() {
        let x = tensor(vec![0.0, 0.0, 0.1, 0.0, 5.0, 0.0, 5.1, 0.0], [4, 2]);
        let triplets = sample_triplets(&x, &[0, 0, 1, 1], NegativeSampler::All, 1);
        assert_eq!(number(&triplet_loss(x.clone(), &triplets, 0.2)), 0.0);
        assert!(number(&triplet_loss(x, &triplets, 10.0)) > 4.0);
    }
}
