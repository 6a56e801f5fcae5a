//! Mean over the classes of the share of their pixels that are right.

use limbeck_report::Measure;

use super::{ClassPixels, mean_of};
use crate::metric::percent;

/// Mean over the classes that are there of the share of their pixels that were called by them.
pub fn mean_accuracy(classes: &[ClassPixels]) -> Measure {
    let shares = classes
        .iter()
        .map(|pixels| (pixels.there > 0).then(|| percent(pixels.right, pixels.there)));
    let value = mean_of(shares).unwrap_or(f64::NAN);
    let meaning = "share of a class's pixels that are right, mean of the classes that are there";
    Measure::percent("mean_accuracy", "mean accuracy", meaning, value)
}
