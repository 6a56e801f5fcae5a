//! Intervals over the images that were measured on: how far AP, and what is gained in it, would move with other
//! images of the same kind (see [`crate::metric::resampling`]).

use limbeck_data::Part;
use limbeck_methods::detection::{DetectionError, Kept, average_precision::ResampledPrecision};
use limbeck_report::Resampled;

use super::meter::{detections, ground_truth};
use crate::{
    TrainError,
    metric::resampling::{RESAMPLES, draws, interval, resampled, times_of},
};

/// What a network found in the images of `part`, matched with what is there.
fn matched(
    part: &Part,
    found: &[Vec<Kept>],
    classes: usize,
) -> Result<ResampledPrecision, TrainError> {
    let (mut truth, mut all) = (Vec::new(), Vec::new());
    for (image, found) in found.iter().enumerate() {
        truth.extend(ground_truth(image, &part.boxes(image)?));
        all.extend(detections(image, found));
    }
    let refused = |error: DetectionError| limbeck_methods::MethodError::from(error);
    Ok(ResampledPrecision::new(&truth, &all, classes).map_err(refused)?)
}

/// The 95 % interval of the mean gain of `students` over the `baselines` of the same seeds in AP, in points,
/// over `groups` of images of `part`. `None` where there are no pairs or fewer than two groups.
///
/// # Errors
/// Boxes that cannot be read.
pub(crate) fn gain_over_images(
    part: &Part,
    students: &[&[Vec<Kept>]],
    baselines: &[&[Vec<Kept>]],
    classes: usize,
    groups: &[Vec<usize>],
) -> Result<Option<Resampled>, TrainError> {
    if students.is_empty() || students.len() != baselines.len() || groups.len() < 2 {
        return Ok(None);
    }
    let all = |networks: &[&[Vec<Kept>]]| -> Result<Vec<_>, TrainError> {
        networks
            .iter()
            .map(|found| matched(part, found, classes))
            .collect()
    };
    let (students, baselines) = (all(students)?, all(baselines)?);
    let mut gains = Vec::new();
    for drawn in draws(groups.len()) {
        let times = times_of(groups, &drawn, part.len());
        let pairs = students.iter().zip(&baselines);
        let pairs: Option<Vec<f64>> = pairs
            .map(|(student, baseline)| Some(student.mean(&times)? - baseline.mean(&times)?))
            .collect();
        if let Some(pairs) = pairs {
            gains.push(100.0 * pairs.iter().sum::<f64>() / pairs.len() as f64);
        }
    }
    Ok(resampled(gains, groups, part.len()))
}

/// The 95 % interval of the AP of each class, in percent; `None` of one that is absent from a resample in ten
/// or more, or where there are fewer than two groups.
///
/// # Errors
/// Boxes that cannot be read.
pub(crate) fn class_intervals(
    part: &Part,
    found: &[Vec<Kept>],
    classes: usize,
    groups: &[Vec<usize>],
) -> Result<Vec<Option<[f64; 2]>>, TrainError> {
    if groups.len() < 2 {
        return Ok(vec![None; classes]);
    }
    let matched = matched(part, found, classes)?;
    let mut values = vec![Vec::new(); classes];
    for drawn in draws(groups.len()) {
        let times = times_of(groups, &drawn, part.len());
        for (values, ap) in values.iter_mut().zip(matched.classes(&times)) {
            values.extend(ap.map(|ap| 100.0 * ap));
        }
    }
    let enough = |values: Vec<f64>| match 10 * values.len() > 9 * RESAMPLES {
        true => interval(values),
        false => None,
    };
    Ok(values.into_iter().map(enough).collect())
}
