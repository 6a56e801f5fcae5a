//! Bits of each layer by how well clusters describe its weights.
//!
//! Zhang, Lei, Xie, Li, Yang, Jia. "Guided Hybrid Quantization for Object Detection in Remote Sensing
//! Imagery via One-to-one Self-teaching". TGRS 2023, hybrid quantisation. Its code runs k-means++ from a
//! random start; here centres begin at quantiles, so that the same weights always get the same bits.

use super::{Bits, QuantiseError};

/// Numbers of bits that are tried, from few to many (the code's `bit_min` and `bit_max`).
pub const CANDIDATES: std::ops::RangeInclusive<u32> = 2..=8;

/// The greatest distance that is small enough, in millionths of a squared weight: the code's.
pub const THRESHOLD: f64 = 0.1;

/// Rounds of k-means at the most, as in the code.
const ROUNDS: usize = 50;
/// Distances are told in millionths.
const SCALE: f64 = 1e6;

/// The fewest bits whose clusters are nearer to the weights than `threshold`, else 8; of a layer called
/// `layer` for messages.
///
/// # Errors
/// A threshold that is not above 0, no weights, or weights that are not finite.
pub fn hybrid_bits(layer: &str, weights: &[f64], threshold: f64) -> Result<Bits, QuantiseError> {
    check_threshold(threshold)?;
    let sorted = sorted(layer, weights)?;
    let mut candidates = CANDIDATES;
    let near = |&bits: &u32| distance(&sorted, bits) < threshold;
    Bits::new(candidates.find(near).unwrap_or(*CANDIDATES.end()))
}

/// Refuses a threshold that no distance is below.
pub(super) fn check_threshold(threshold: f64) -> Result<(), QuantiseError> {
    match threshold > 0.0 && threshold.is_finite() {
        true => Ok(()),
        false => Err(QuantiseError::Threshold { found: threshold }),
    }
}

/// The mean squared distance, in millionths, from the nearest of 2^bits centres, for each of
/// [`CANDIDATES`].
///
/// # Errors
/// As [`hybrid_bits`].
pub fn hybrid_distances(layer: &str, weights: &[f64]) -> Result<Vec<f64>, QuantiseError> {
    let sorted = sorted(layer, weights)?;
    Ok(CANDIDATES.map(|bits| distance(&sorted, bits)).collect())
}

/// [`hybrid_distances`] with `bits` bits alone.
///
/// # Errors
/// As [`hybrid_bits`].
pub fn cluster_distance(layer: &str, weights: &[f64], bits: u32) -> Result<f64, QuantiseError> {
    Ok(distance(&sorted(layer, weights)?, bits))
}

fn sorted(layer: &str, weights: &[f64]) -> Result<Vec<f64>, QuantiseError> {
    let layer = || layer.to_owned();
    if weights.is_empty() {
        return Err(QuantiseError::NoWeights { layer: layer() });
    }
    if !weights.iter().all(|w| w.is_finite()) {
        return Err(QuantiseError::NotFinite { layer: layer() });
    }
    let mut sorted = weights.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(sorted)
}

fn distance(sorted: &[f64], bits: u32) -> f64 {
    let count = sorted.len();
    let clusters = (1usize << bits).min(count);
    // ⌊(j + 1/2)·n/k⌋ in whole numbers.
    let quantile = |j: usize| sorted[(2 * j + 1) * count / (2 * clusters)];
    let mut centres: Vec<f64> = (0..clusters).map(quantile).collect();
    let mut ends = ends(sorted, &centres);
    for _ in 0..ROUNDS {
        let mut start = 0;
        let mut changed = false;
        for (centre, &end) in centres.iter_mut().zip(&ends) {
            // An empty cluster keeps its centre.
            if end > start {
                let mean = sorted[start..end].iter().sum::<f64>() / (end - start) as f64;
                changed |= mean != *centre;
                *centre = mean;
            }
            start = end;
        }
        // One that was empty may have been passed by its neighbour.
        centres.sort_by(f64::total_cmp);
        ends = self::ends(sorted, &centres);
        if !changed {
            break;
        }
    }
    let mut start = 0;
    let mut sum = 0.0;
    for (centre, &end) in centres.iter().zip(&ends) {
        sum += (sorted[start..end].iter())
            .map(|w| (w - centre) * (w - centre))
            .sum::<f64>();
        start = end;
    }
    SCALE * sum / count as f64
}

/// Where the weights nearest to each centre end; a weight midway belongs to the lower one.
fn ends(sorted: &[f64], centres: &[f64]) -> Vec<usize> {
    let mut end = 0;
    let mut ends = Vec::with_capacity(centres.len());
    for pair in centres.windows(2) {
        let [low, high] = [pair[0], pair[1]];
        let lower = |w: &f64| (w - low).abs() <= (w - high).abs();
        end += sorted[end..].partition_point(lower);
        ends.push(end);
    }
    ends.push(sorted.len());
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(scale: f64) -> Vec<f64> {
        (0..997)
            .map(|i| scale * (f64::from(i) * 0.7).sin())
            .collect()
    }

    #[test]
    fn a_larger_threshold_never_gives_more_bits_and_smaller_weights_never_either() {
        let bits = |scale, threshold| hybrid_bits("l", &weights(scale), threshold).unwrap();
        for pair in [0.01, 0.1, 1.0, 10.0, 1e3, 1e6].windows(2) {
            assert!(bits(0.02, pair[0]) >= bits(0.02, pair[1]));
            assert!(bits(pair[1] / 1e3, 0.1) >= bits(pair[0] / 1e3, 0.1));
        }
        assert_eq!(bits(0.02, 1e9).count(), 2);
        assert_eq!(bits(100.0, 0.1).count(), 8);
    }

    #[test]
    fn distances_grow_with_the_square_of_the_weights() {
        let one = hybrid_distances("l", &weights(1.0)).unwrap();
        let two = hybrid_distances("l", &weights(2.0)).unwrap();
        assert_eq!(one.len(), 7);
        for (one, two) in one.into_iter().zip(two) {
            assert!((two / one - 4.0).abs() < 1e-9);
        }
    }

    #[test]
    fn as_many_centres_as_weights_leave_no_distance() {
        assert_eq!(cluster_distance("l", &[3.0, -1.0, 2.0], 2), Ok(0.0));
        assert_eq!(cluster_distance("l", &[0.5; 100], 2), Ok(0.0));
        // Midway between 0 and 2: with the lower one.
        let found = cluster_distance("l", &[0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 2.0], 1).unwrap();
        assert!(
            (found - 1e6 * (3.0 / 16.0 + 9.0 / 16.0) / 7.0).abs() < 1e-6,
            "{found}"
        );
    }

    #[test]
    fn what_cannot_be_clustered_is_told() {
        let error = hybrid_bits("conv1.weight", &[], 0.1).unwrap_err();
        assert!(error.to_string().contains("`conv1.weight` has no weights"));
        let error = hybrid_bits("conv1.weight", &[f64::INFINITY], 0.1).unwrap_err();
        assert!(error.to_string().contains("not finite"));
        for threshold in [0.0, -1.0, f64::NAN] {
            let error = hybrid_bits("l", &[1.0], threshold).unwrap_err();
            assert!(error.to_string().contains("more than 0"), "{error}");
        }
    }
}
