//! Share of the pixels that are right.

use limbeck_report::Measure;

use super::ClassPixels;
use crate::metric::percent;

/// Share of the pixels whose class was chosen.
pub fn pixel_accuracy(classes: &[ClassPixels]) -> Measure {
    let right = classes.iter().map(|pixels| pixels.right).sum();
    let all = classes.iter().map(|pixels| pixels.there).sum();
    counted(right, all)
}

/// The same of pixels that were counted.
pub(crate) fn counted(right: u64, all: u64) -> Measure {
    let value = match all {
        0 => f64::NAN,
        all => percent(right, all),
    };
    let meaning = "pixels whose class was chosen";
    Measure::percent("pixel_accuracy", "pixel accuracy", meaning, value)
}
