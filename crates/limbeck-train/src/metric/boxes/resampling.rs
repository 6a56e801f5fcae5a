//! Intervals over the images that were measured on: how far AP, and what is gained in it, would move with other
//! images of the same kind (see [`crate::metric::resampling`]).

use limbeck_data::Part;
use limbeck_methods::{
    MethodError,
    detection::{
        DetectionError, Kept,
        average_precision::{GroundTruth, ResampledPrecision},
    },
};
use limbeck_report::Resampled;

use super::meter::{detections, ground_truth};
use crate::{
    TrainError,
    metric::resampling::{draws, interval, resampled, times_of},
};

/// Resamples: the ends of a 95 % interval then have 25 values outside of them (Efron and Tibshirani, "An
/// Introduction to the Bootstrap", 1993, section 13.3: 1,000 or more). Each goes through all boxes anew.
const RESAMPLES: usize = 1_000;

/// AP of each class of a network, 0 to 1, in each resample; `None` of a class that is absent from it.
#[derive(Clone, Debug)]
pub(crate) struct ResampledClasses(Vec<Vec<Option<f64>>>);

impl ResampledClasses {
    /// What each of `networks` found in the images of `part`, over `groups` of images: network by network, each
    /// by a thread of its own. Empty where there are fewer than two groups.
    ///
    /// # Errors
    /// Boxes that cannot be read, or a class that there is not.
    pub fn of(
        part: &Part,
        networks: &[&[Vec<Kept>]],
        classes: usize,
        groups: &[Vec<usize>],
    ) -> Result<Vec<Self>, TrainError> {
        if groups.len() < 2 {
            return Ok(Vec::new());
        }
        let mut truth = Vec::new();
        for image in 0..part.len() {
            truth.extend(ground_truth(image, &part.boxes(image)?));
        }
        let times: Vec<Vec<u64>> = draws(groups.len())
            .take(RESAMPLES)
            .map(|drawn| times_of(groups, &drawn, part.len()))
            .collect();
        let one = |found: &[Vec<Kept>]| Self::one(&truth, found, classes, &times);
        let all: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = networks
                .iter()
                .map(|found| scope.spawn(|| one(found)))
                .collect();
            started.into_iter().map(|thread| thread.join()).collect()
        });
        let each = all.into_iter().map(|found| match found {
            Ok(found) => found.map_err(|error| MethodError::from(error).into()),
            Err(_) => Err(TrainError::Setting(
                "an interval over images could not be taken: its thread panicked".to_owned(),
            )),
        });
        each.collect()
    }

    fn one(
        truth: &[GroundTruth],
        found: &[Vec<Kept>],
        classes: usize,
        times: &[Vec<u64>],
    ) -> Result<Self, DetectionError> {
        let found: Vec<_> = found
            .iter()
            .enumerate()
            .flat_map(|(image, found)| detections(image, found))
            .collect();
        let matched = ResampledPrecision::new(truth, &found, classes)?;
        Ok(Self(
            times.iter().map(|times| matched.classes(times)).collect(),
        ))
    }

    /// The mean over classes in each resample.
    fn means(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        self.0.iter().map(|classes| {
            let known: Vec<f64> = classes.iter().copied().flatten().collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
    }

    /// The 95 % interval of the AP of each class, in percent; `None` of one that is absent from a resample in
    /// ten or more.
    pub fn intervals(&self) -> Vec<Option<[f64; 2]>> {
        let classes = self.0.first().map_or(0, Vec::len);
        let of = |class: usize| {
            let values = self.0.iter().filter_map(|resample| resample[class]);
            let values: Vec<f64> = values.map(|ap| 100.0 * ap).collect();
            match 10 * values.len() > 9 * RESAMPLES {
                true => interval(values),
                false => None,
            }
        };
        (0..classes).map(of).collect()
    }
}

/// The 95 % interval of the mean gain of `students` over the `baselines` of the same seeds in AP, in points,
/// over `groups` of `images` images. `None` where there are no pairs or fewer than two groups.
pub(crate) fn gain_over_images(
    students: &[ResampledClasses],
    baselines: &[ResampledClasses],
    groups: &[Vec<usize>],
    images: usize,
) -> Option<Resampled> {
    if students.is_empty() || students.len() != baselines.len() {
        return None;
    }
    let pairs = students.iter().zip(baselines);
    let gains: Vec<Vec<Option<f64>>> = pairs
        .map(|(student, baseline)| {
            let both = student.means().zip(baseline.means());
            both.map(|(student, baseline)| Some(student? - baseline?))
                .collect()
        })
        .collect();
    let mean = |resample: usize| -> Option<f64> {
        let pairs = gains
            .iter()
            .map(|pair| pair.get(resample).copied().flatten());
        let pairs: Option<Vec<f64>> = pairs.collect();
        let pairs = pairs?;
        Some(100.0 * pairs.iter().sum::<f64>() / pairs.len() as f64)
    };
    resampled((0..RESAMPLES).filter_map(mean).collect(), groups, images)
}
