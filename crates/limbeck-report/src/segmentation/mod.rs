//! What the page shows of segmentation networks besides their measures: pictures with the masks that
//! each network gives them, how well each class is found, and which classes are taken for which.

mod pictures;

use std::collections::BTreeMap;

use super::section::Section;
use super::side::{Side, sides, student};
use crate::class_table::{ClassTable, Found, absent, class_table, classes_of};
use crate::confusion::{Given, confused, confusion, constant_choice};
use crate::evaluation::{Evaluation, Segmentation};
use crate::listed::listed;
use crate::numbers::counted;
use crate::results::Results;

/// What is shown of each class.
const IOU: ClassTable = ClassTable {
    measure: "IoU",
    meaning: "IoU of each class over all test images, in percent: pixels that have the class and were given \
              it, of those that have it or were given it",
    second: "boundary",
    second_meaning: "Below each IoU stands that of the boundaries alone.",
    of: iou,
    occurs: |images| format!("in {}", counted(images as usize, "image")),
};

fn iou(test: &Evaluation) -> Option<Found<'_>> {
    test.details.segmentation().map(|details| Found {
        intervals: &details.intervals,
        second: &details.boundary,
        counts: &details.images,
    })
}

/// Whether a run was about masks.
pub fn is_of(results: &Results) -> bool {
    !results.segmented.is_empty() || sides(results).iter().any(|side| details(side).count() > 0)
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
            class_table(results, &IOU),
        )],
        vec![Section::new(
            "confusion",
            "Confusion",
            confusion(results, Given::Pixels),
        )],
    ]
}

/// What speaks against the numbers of a segmentation network.
pub fn cautions(results: &Results) -> Vec<String> {
    let side = student(results);
    if details(&side).next().is_none() {
        return Vec::new();
    }
    let absent = absent(&side);
    let names: Vec<String> = absent
        .iter()
        .map(|&class| results.data.class_name(class))
        .collect();
    let left_out = (!names.is_empty()).then(|| {
        format!(
            "No test image has {}: the mean IoU is that of the other {} classes.",
            listed(&names, "or"),
            classes_of(&side).saturating_sub(absent.len())
        )
    });
    left_out.into_iter().chain(choice(results, &side)).collect()
}

/// The details of each seed.
fn details<'a>(side: &'a Side) -> impl Iterator<Item = &'a Segmentation> {
    let tests = side.tests.iter();
    tests.filter_map(|test| test.details.segmentation())
}

/// A student that gives all pixels one class, or some class to none of them.
fn choice(results: &Results, side: &Side) -> Option<String> {
    let confusion = confused(side);
    if let Some(class) = constant_choice(&confusion) {
        return Some(format!(
            "The student gives every pixel of the test images the same class: {}.",
            results.data.class_name(class)
        ));
    }
    let some = |row: &BTreeMap<usize, u64>| row.values().any(|&pixels| pixels > 0);
    let there = |class: &usize| confusion.get(*class).is_some_and(some);
    let never: Vec<String> = (0..confusion.len())
        .filter(there)
        .filter(|class| !confusion.iter().any(|row| row.contains_key(class)))
        .map(|class| results.data.class_name(class))
        .collect();
    (!never.is_empty()).then(|| {
        let they = if never.len() == 1 { "it" } else { "they" };
        format!(
            "The student gives no pixel of the test images the class {}, though {they} occur{} there.",
            listed(&never, "or"),
            if never.len() == 1 { "s" } else { "" }
        )
    })
}
