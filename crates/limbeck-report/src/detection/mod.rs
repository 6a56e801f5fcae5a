//! What the page shows of detectors besides their measures: pictures with the boxes that each network finds,
//! how well each class is found, precision at every recall, and which classes are taken for which.

mod pictures;
mod precision_recall;

use super::section::Section;
use super::side::{Role, Side, sides, student};
use crate::class_table::{ClassTable, Found, absent, class_table, classes_of};
use crate::confusion::{Given, confused, confusion};
use crate::evaluation::{Confusion, Detection, Evaluation};
use crate::listed::listed;
use crate::numbers::{counted, percent};
use crate::results::Results;

/// AP50, in percent, below which next to nothing is found.
const NOTHING: f64 = 1.0;

/// What is shown of each class.
const AP: ClassTable = ClassTable {
    measure: "AP",
    meaning: "Average precision (AP) of each class over all test images, in percent, the mean over overlaps of \
              0.5 to 0.95 as COCO counts it",
    second: "AP50",
    second_meaning: "Below each AP stands that at an overlap of 0.5.",
    of: average_precision,
    occurs: |objects| counted(objects as usize, "object"),
};

fn average_precision(test: &Evaluation) -> Option<Found<'_>> {
    test.details.detection().map(|details| Found {
        intervals: &details.intervals,
        second: &details.per_class_50,
        counts: &details.objects,
    })
}

/// Whether a run was about boxes.
pub fn is_of(results: &Results) -> bool {
    !results.detected.is_empty() || sides(results).iter().any(|side| details(side).count() > 0)
}

/// The sections, those beside each other in one row.
pub fn rows(results: &Results) -> Vec<Vec<Section>> {
    vec![
        vec![Section::new(
            "pictures",
            "Pictures",
            pictures::pictures(results),
        )],
        vec![Section::new(
            "classes",
            "Classes",
            class_table(results, &AP),
        )],
        vec![Section::new(
            "precision-recall",
            "Precision and recall",
            precision_recall::precision_recall(results),
        )],
        vec![Section::new(
            "confusion",
            "Confusion",
            confusion(results, Given::Boxes),
        )],
    ]
}

/// What speaks against the numbers of a detector.
pub fn cautions(results: &Results) -> Vec<String> {
    let side = student(results);
    if details(&side).next().is_none() {
        return Vec::new();
    }
    let mut cautions = Vec::new();
    let absent = absent(&side);
    if !absent.is_empty() {
        cautions.push(format!(
            "No test image has {} to be found: AP is that of {}.",
            named(results, &absent, "or"),
            match classes_of(&side).saturating_sub(absent.len()) {
                0 => "no class at all".into(),
                1 => "the one other class".into(),
                others => format!("the other {others} classes"),
            }
        ));
    }
    let teacher = sides(results)
        .into_iter()
        .find(|side| side.role == Role::Teacher);
    if let Some(ap50) = teacher
        .and_then(|side| side.mean("ap50"))
        .filter(|ap50| *ap50 < NOTHING)
    {
        cautions.push(format!(
            "With an AP50 of {} the teacher finds next to nothing. The usual reasons are another order of \
             classes, another size of images or weights of another network.",
            percent(ap50, 2)
        ));
    }
    cautions.extend(nothing_found(results, &side));
    cautions
}

/// The details of each seed.
fn details<'a>(side: &'a Side) -> impl Iterator<Item = &'a Detection> {
    let tests = side.tests.iter();
    tests.filter_map(|test| test.details.detection())
}

fn named(results: &Results, classes: &[usize], last: &str) -> String {
    let names: Vec<String> = classes
        .iter()
        .map(|&class| results.data.class_name(class))
        .collect();
    listed(&names, last)
}

/// A student that finds no box, hardly any right one, or none of some class.
fn nothing_found(results: &Results, side: &Side) -> Option<String> {
    let confusion = confused(side);
    let background = confusion.len().saturating_sub(1);
    let found: Vec<bool> = (0..background)
        .map(|class| is_found(&confusion, class))
        .collect();
    if !confusion.is_empty() && !found.contains(&true) {
        return Some(
            "The student finds no box with a score of 0.25 or more in any test image: pictures and confusion \
             show none. With so unsure a detector, AP ranks guesses."
                .into(),
        );
    }
    let ap50 = side.mean("ap50");
    if let Some(ap50) = ap50.filter(|ap50| *ap50 < NOTHING) {
        return Some(format!(
            "With an AP50 of {} the student has learnt next to nothing. A detector needs many steps: more \
             epochs, smaller batches or weights that have been trained before (`--weights`) help.",
            percent(ap50, 2)
        ));
    }
    let objects = |class: &usize| {
        let row = confusion.get(*class);
        row.is_some_and(|row| row.values().any(|&number| number > 0))
    };
    let never: Vec<usize> = (0..background)
        .filter(objects)
        .filter(|class| !found[*class])
        .collect();
    (!never.is_empty()).then(|| {
        format!(
            "The student finds no {} with a score of 0.25 or more, though there are some in the test images.",
            named(results, &never, "and no")
        )
    })
}

/// Whether any box was given that class.
fn is_found(confusion: &Confusion, class: usize) -> bool {
    let given =
        |row: &std::collections::BTreeMap<usize, u64>| row.get(&class).is_some_and(|n| *n > 0);
    confusion.iter().any(given)
}
