//! Whether a network is right as often as it says.

use limbeck_report::Measure;

use super::{Answer, Found, Metric, MetricError};

/// Number of bins of confidence, of equal width.
///
/// Guo, Pleiss, Sun, Weinberger. "On Calibration of Modern Neural Networks". ICML 2017, section 5.
pub const BINS: usize = 15;

/// The expected calibration error, Σ over bins of (images / all) · |share right − mean confidence|
/// (equation 3 of the same paper). Bin i of 15 holds confidences in (i/15, (i+1)/15]; a confidence
/// of 0 is in the first.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    bins: [Bin; BINS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    images: u64,
    confidence: f64,
    right: u64,
}

impl Calibration {
    /// Takes in one image: the probability of the chosen class, 0..1, and whether it is right.
    pub fn add(&mut self, confidence: f64, is_right: bool) {
        let index = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.bins[index.clamp(1, BINS) - 1];
        bin.images += 1;
        bin.confidence += confidence;
        bin.right += u64::from(is_right);
    }

    /// For each bin: images, mean confidence, share right (both 0..1; 0 for an empty bin).
    pub fn bins(&self) -> Vec<(u64, f64, f64)> {
        self.bins
            .iter()
            .map(|bin| {
                let images = bin.images.max(1) as f64;
                (
                    bin.images,
                    bin.confidence / images,
                    bin.right as f64 / images,
                )
            })
            .collect()
    }

    /// In percent; 0 without images.
    pub fn error(&self) -> f64 {
        let images: u64 = self.bins.iter().map(|bin| bin.images).sum();
        let gaps: f64 = self
            .bins
            .iter()
            .map(|bin| (bin.right as f64 - bin.confidence).abs())
            .sum();
        100.0 * gaps / images.max(1) as f64
    }
}

impl Metric for Calibration {
    fn add(&mut self, answer: &Answer<'_>) {
        let is_right = answer.prediction.class == Some(answer.label);
        self.add(answer.prediction.confidence, is_right);
    }

    fn finish(self: Box<Self>, found: &mut Found) -> Result<(), MetricError> {
        let meaning = "15 bins of confidence";
        let error = self.error();
        let measure = Measure::percent("calibration_error", "calibration error", meaning, error);
        found.measures.push(measure.lower_is_better());
        found.details.calibration = self.bins();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_weighted_gap_between_confidence_and_truth() {
        let mut calibration = Calibration::default();
        for (confidence, is_right) in [(0.95, true), (0.97, false), (0.5, true), (0.48, false)] {
            calibration.add(confidence, is_right);
        }
        // Last bin: 2 images, confidence 0.96, half right; bin (7/15, 8/15]: 0.49, half right.
        let expected = 100.0 * (0.5 * 0.46 + 0.5 * 0.01);
        assert!((calibration.error() - expected).abs() < 1e-12);
        let bins = calibration.bins();
        assert_eq!(bins.len(), 15);
        assert_eq!((bins[14].0, bins[14].2), (2, 0.5));
        assert!((bins[7].1 - 0.49).abs() < 1e-12);
        assert_eq!(bins[0], (0, 0.0, 0.0));
    }

    #[test]
    fn bounds_belong_to_the_bin_below_and_zero_to_the_first() {
        let mut calibration = Calibration::default();
        for confidence in [0.0, 0.2, 0.21, 1.0] {
            calibration.add(confidence, true);
        }
        let bins = calibration.bins();
        let filled: Vec<usize> = (0..15).filter(|&bin| bins[bin].0 > 0).collect();
        assert_eq!(filled, [0, 2, 3, 14]);
    }

    #[test]
    fn a_network_that_is_right_as_often_as_it_says_has_no_error() {
        let mut calibration = Calibration::default();
        for image in 0..4 {
            calibration.add(0.75, image != 0);
        }
        assert_eq!(calibration.error(), 0.0);
        assert_eq!(Calibration::default().error(), 0.0);
    }
}
