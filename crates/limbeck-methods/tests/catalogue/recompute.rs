//! Every method trains the same numbers, to the last bit, where networks compute their units again.

use limbeck_methods::{Member, TaskKind};
use serde_json::json;

use super::{
    rehearsal::{Rehearsal, numbers},
    scene::serving,
};

/// All numbers of all members after two steps of each stage, and of all terms.
fn trained(mut rehearsal: Rehearsal, again: bool) -> Vec<Vec<u64>> {
    if again {
        let networks = rehearsal.cast.members();
        let networks = networks.filter(|(_, member)| matches!(member, Member::Network(_)));
        let names: Vec<String> = networks.map(|(name, _)| name.to_owned()).collect();
        for name in names {
            rehearsal.cast.store_mut(&name).unwrap().recompute_units();
        }
    }
    let mut found = Vec::new();
    for stage in 0..rehearsal.stages.len() {
        rehearsal.begin(stage);
        for name in ["a", "b"] {
            found.push(rehearsal.step(stage, name));
        }
        rehearsal.end_epoch(stage);
    }
    for member in rehearsal.members() {
        found.extend(numbers(&rehearsal.cast, &member));
    }
    let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect();
    found.into_iter().map(bits).collect()
}

fn check(id: &str, rehearse: impl Fn() -> Rehearsal) {
    let (kept, again) = (trained(rehearse(), false), trained(rehearse(), true));
    assert!(kept == again, "{id}");
}

#[test]
fn methods_of_images_train_the_same_numbers() {
    for kind in [TaskKind::Classification, TaskKind::Pretraining] {
        for entry in serving(kind) {
            check(entry.id, || Rehearsal::new(entry.id, json!({})));
        }
    }
}

#[test]
fn methods_of_segmentation_train_the_same_numbers() {
    for entry in serving(TaskKind::Segmentation) {
        check(entry.id, || Rehearsal::segmenting(entry.id, json!({})));
    }
}

#[test]
fn methods_of_detection_train_the_same_numbers() {
    // One needs a second domain, the other maps that can be cut.
    let serving = serving(TaskKind::Detection);
    for entry in serving.filter(|entry| !["ssdayolo", "mgram"].contains(&entry.id)) {
        check(entry.id, || Rehearsal::detecting(entry.id, json!({})));
    }
}
