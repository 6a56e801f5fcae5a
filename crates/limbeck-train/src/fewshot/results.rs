//! What the draws found.

use std::fmt::Write;

use limbeck_methods::SgvaConfig;
use limbeck_report::paired_gain;
use serde::{Deserialize, Serialize};

/// Version of the file.
const VERSION: u32 = 1;

/// A number over all draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Mean over the draws.
    pub mean: f64,
    /// 95 % interval of the mean by Student's t; `None` of a single draw.
    pub ci95: Option<[f64; 2]>,
    /// Each draw's.
    pub values: Vec<f64>,
}

impl Estimate {
    /// Of these draws.
    pub fn of(values: Vec<f64>) -> Self {
        Self::difference(&values, &vec![0.0; values.len()])
    }

    /// Of the difference `left − right`, draw by draw.
    pub fn difference(left: &[f64], right: &[f64]) -> Self {
        let values = left.iter().zip(right).map(|(left, right)| left - right);
        let gain = paired_gain(left, right);
        Self {
            mean: gain.as_ref().map_or(f64::NAN, |gain| gain.mean),
            ci95: gain.and_then(|gain| gain.ci95),
            values: values.collect(),
        }
    }

    /// Such as `61.3 (60.2 to 62.4)`.
    fn text(&self, signed: bool) -> String {
        let number = |value: f64, signed: bool| {
            let text = match signed {
                true => format!("{value:+.1}"),
                false => format!("{value:.1}"),
            };
            // What rounds to nothing has no sign; others have a true minus.
            match text.as_str() {
                "+0.0" | "-0.0" => "0.0".to_owned(),
                _ => text.replace('-', "−"),
            }
        };
        let mean = number(self.mean, signed);
        match self.ci95 {
            Some([low, high]) => {
                format!(
                    "{mean} ({} to {})",
                    number(low, signed),
                    number(high, signed)
                )
            }
            None => mean,
        }
    }
}

/// Top-1 in percent with so many shots of each class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShotsRow {
    /// Images of each class.
    pub shots: usize,
    /// Images with the given texts; it needs no shots.
    pub zero_shot: Estimate,
    /// Images with the means of the shots' frozen features.
    pub prototypes: Estimate,
    /// Ridge regression on the shots' frozen features.
    pub linear_probe: Estimate,
    /// The method.
    pub sgva: Estimate,
    /// Its difference to the linear probe, draw by draw.
    pub sgva_minus_linear_probe: Estimate,
    /// Its difference to zero-shot, draw by draw.
    pub sgva_minus_zero_shot: Estimate,
    /// What each draw's α has become.
    pub alpha: Vec<f64>,
    /// Each draw's λ.
    pub lambda: Vec<f64>,
    /// Each draw's strength of the ridge.
    pub regularisation: Vec<f64>,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FewshotResults {
    /// Version of this file.
    pub version: u32,
    /// File of the features.
    pub features: String,
    /// File of the features to test on, where that is another one.
    pub test: Option<String>,
    /// File of the text vectors.
    pub texts: String,
    /// File of the projection.
    pub projection: Option<String>,
    /// Images there are.
    pub images: usize,
    /// Number of classes.
    pub classes: usize,
    /// Numbers of a feature.
    pub width: usize,
    /// Classes of each draw, where these are not all.
    pub way: Option<usize>,
    /// Number of draws, or of episodes.
    pub draws: usize,
    /// What was drawn from.
    pub seed: u64,
    /// Images that each draw tests on; the fewest of all draws.
    pub test_images: usize,
    /// Settings of the method.
    pub settings: SgvaConfig,
    /// What looked wrong though it went on.
    pub warnings: Vec<String>,
    /// A row for each number of shots.
    pub rows: Vec<ShotsRow>,
}

impl FewshotResults {
    /// The version that is written.
    pub(super) const VERSION: u32 = VERSION;

    /// What was found, for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let what = match self.way {
            Some(way) => format!(
                "{} episodes of {way} of {} classes",
                self.draws, self.classes
            ),
            None => format!(
                "{} classes, {} draws of the shots",
                self.classes, self.draws
            ),
        };
        let _ = writeln!(
            text,
            "{what}, {} images to test on; top-1 in %, mean and its 95 % interval",
            self.test_images
        );
        let heading = [
            "shots",
            "zero-shot",
            "prototypes",
            "linear probe",
            "sgva",
            "sgva − linear probe",
            "sgva − zero-shot",
        ];
        let mut lines: Vec<Vec<String>> = vec![heading.map(str::to_owned).to_vec()];
        for row in &self.rows {
            lines.push(vec![
                row.shots.to_string(),
                row.zero_shot.text(false),
                row.prototypes.text(false),
                row.linear_probe.text(false),
                row.sgva.text(false),
                row.sgva_minus_linear_probe.text(true),
                row.sgva_minus_zero_shot.text(true),
            ]);
        }
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heading.len()).map(width).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:>width$}", width = *width))
                .collect();
            let _ = writeln!(text, "{}", cells.join("  "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_their_interval_and_differences_with_their_sign() {
        let estimate = Estimate::of(vec![1.0, 2.0, 3.0]);
        assert_eq!(estimate.text(false), "2.0 (−0.5 to 4.5)");
        assert_eq!(Estimate::of(vec![50.0]).text(false), "50.0");
        let difference = Estimate::difference(&[1.0, 1.0], &[1.0, 1.0]);
        assert_eq!(difference.text(true), "0.0 (0.0 to 0.0)");
        assert_eq!(
            Estimate::of(vec![2.5, 2.5]).text(true),
            "+2.5 (+2.5 to +2.5)"
        );
    }
}
