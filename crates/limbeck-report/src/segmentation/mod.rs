//! What the page shows of segmentation networks besides their measures: pictures with the masks that
//! each network gives them, how well each class is found, and which classes are taken for which.

mod classes;
mod pictures;

use std::collections::BTreeMap;

use super::section::Section;
use super::side::{Side, sides, student};
use crate::confusion::{Given, confused, confusion, constant_choice};
use crate::evaluation::Segmentation;
use crate::results::Results;

/// Names that a sentence lists at the most.
const LISTED: usize = 8;

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
            classes::classes(results),
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

/// Number of classes that there are measures of.
fn classes_of(side: &Side) -> usize {
    let tests = side.tests.iter();
    tests.map(|test| test.per_class.len()).max().unwrap_or(0)
}

/// Classes without an IoU under any seed: no pixel is of them, and none was given them.
fn absent(side: &Side) -> Vec<usize> {
    let is_absent = |class: &usize| {
        side.tests
            .iter()
            .all(|test| test.per_class.get(*class).copied().flatten().is_none())
    };
    (0..classes_of(side)).filter(is_absent).collect()
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

/// `a, b or c`; of many, the first.
fn listed(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] if names.len() <= LISTED => format!("{} {last} {end}", first.join(", ")),
        _ => format!(
            "{} {last} {} others",
            names[..LISTED].join(", "),
            names.len() - LISTED
        ),
    }
}
