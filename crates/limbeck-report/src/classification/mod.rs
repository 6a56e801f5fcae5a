//! What the page shows of classifiers besides their measures: where student and teacher choose
//! different classes, which classes are taken for which, and whether confidence can be believed.

mod calibration;
mod classes;
mod disagreements;

use super::numbers::{count, fixed};
use super::section::Section;
use super::side::{Side, student};
use crate::confusion::{self, Given, confused};
use crate::evaluation::Classification;
use crate::results::Results;

/// The sections, those beside each other in one row.
pub fn rows(results: &Results) -> Vec<Vec<Section>> {
    let disagreements = disagreements::disagreements(results);
    let (classes, calibration) = (classes::classes(results), calibration::calibration(results));
    let confusion = confusion::confusion(results, Given::Images);
    vec![
        vec![Section::new(
            "disagreements",
            "Disagreements",
            disagreements,
        )],
        vec![
            Section::new("classes", "Classes", classes),
            Section::new("calibration", "Calibration", calibration),
        ],
        vec![Section::new("confusion", "Confusion", confusion)],
    ]
}

/// What speaks against the numbers of a classifier.
pub fn cautions(results: &Results) -> Vec<String> {
    let side = student(results);
    if details(&side).next().is_none() {
        return Vec::new();
    }
    let few = few_test_images(results, &side);
    few.into_iter()
        .chain(constant_choice(results, &side))
        .collect()
}

/// The details of each seed.
fn details<'a>(side: &'a Side) -> impl Iterator<Item = &'a Classification> {
    let tests = side.tests.iter();
    tests.filter_map(|test| test.details.classification())
}

/// Normal approximation of the binomial: 1.96 standard errors of a share over the test images.
fn few_test_images(results: &Results, side: &Side) -> Option<String> {
    let measure = results.compared_by()?;
    let share = (side.mean(&measure.name)? / 100.0).clamp(0.0, 1.0);
    let images = results.data.test;
    if images == 0 {
        return None;
    }
    let half = 196.0 * (share * (1.0 - share) / images as f64).sqrt();
    (half > 1.0).then(|| {
        format!(
            "With {} test images, chance alone moves a {} by about ±{} points from one test set to \
             another. Intervals here are over seeds, on the same images.",
            count(images as u64),
            measure.title,
            fixed(half, 1)
        )
    })
}

/// A student that gives every image the same class.
fn constant_choice(results: &Results, side: &Side) -> Option<String> {
    let class = confusion::constant_choice(&confused(side))?;
    Some(format!(
        "The student chooses the same class for every test image: {}.",
        results.data.class_name(class)
    ))
}
