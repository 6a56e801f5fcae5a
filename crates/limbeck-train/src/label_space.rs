//! Teachers whose classes are others than those that are learnt, or whose task is another.

use std::collections::BTreeSet;

use limbeck_data::{Dataset, Labelling};
use limbeck_nn::{Network, TaskKind};

use crate::run_teacher::RunTeacher;

/// Most names of classes that a sentence lists.
const LISTED: usize = 8;

/// The task that labels of this kind are for; `None` of images without.
pub(crate) fn task_of_labels(labelling: Labelling) -> Option<TaskKind> {
    match labelling {
        Labelling::None => None,
        Labelling::Classes => Some(TaskKind::Classification),
        Labelling::Masks => Some(TaskKind::Segmentation),
        Labelling::Boxes => Some(TaskKind::Detection),
    }
}

/// Whether what `network` predicts can be held against the labels of `dataset`: both are of one task
/// and of as many classes. Of images without labels it can.
pub(crate) fn is_comparable(network: &Network, dataset: &Dataset) -> bool {
    let Some(wanted) = task_of_labels(dataset.labelling) else {
        return true;
    };
    network.task().is_none_or(|task| task == wanted)
        && network.input().classes == dataset.classes.len()
}

/// Whether `teacher` knows other classes than the labels of `dataset`: it cannot be compared with them,
/// or the names that it tells are others.
pub(crate) fn knows_others(teacher: &RunTeacher, dataset: &Dataset) -> bool {
    let named = teacher.class_names();
    let named = named.filter(|_| dataset.labelling != Labelling::None);
    !is_comparable(teacher.network(), dataset)
        || named.is_some_and(|names| *names != dataset.classes)
}

/// What the user should know of a teacher of other classes.
pub(crate) fn note(teacher: &RunTeacher, dataset: &Dataset) -> String {
    let classes = teacher.classes();
    let own: BTreeSet<&String> = dataset.classes.iter().collect();
    let shared: Vec<&String> = classes.iter().filter(|name| own.contains(name)).collect();
    let shared = match (teacher.class_names(), shared.len()) {
        (None, _) | (_, 0) => String::new(),
        (_, count) => format!(
            "; {count} of their names ({}) are the data's too, which is not used",
            listed(&shared)
        ),
    };
    format!(
        "teacher: `{}` knows other classes than the data's ({}): its predictions are not read, and it is \
         neither measured nor agreed with{shared}",
        teacher.network().name(),
        known(teacher.network(), teacher.class_names())
    )
}

/// What a network tells apart, in words.
fn known(network: &Network, names: Option<&[String]>) -> String {
    if network.is_headless() {
        return "none at all".to_owned();
    }
    let count = network.input().classes;
    let of = match network.task() {
        Some(TaskKind::Segmentation) => "of pixels",
        _ => "of images",
    };
    match names {
        Some(names) => format!(
            "{count} {of}: {}",
            listed(&names.iter().collect::<Vec<_>>())
        ),
        None => format!("{count} {of}"),
    }
}

/// The first names, joined by commas.
fn listed(names: &[&String]) -> String {
    let mut text: Vec<&str> = names
        .iter()
        .take(LISTED)
        .map(|name| name.as_str())
        .collect();
    if names.len() > LISTED {
        text.push("…");
    }
    text.join(", ")
}
