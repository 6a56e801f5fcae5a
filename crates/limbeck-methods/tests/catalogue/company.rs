//! Methods that see each image together with another view, another image of its class, or the
//! batch before.

use burn::tensor::Tensor;
use limbeck_methods::{Batch, Played, STUDENT, Target, Term, cross_entropy};
use limbeck_nn::Taps;
use serde_json::json;

use super::{
    rehearsal::{Rehearsal, batch},
    scene::number,
};

fn value(terms: &[Term], name: &str) -> f64 {
    let term = terms.iter().find(|term| term.name == name);
    number(&term.unwrap_or_else(|| panic!("no term {name}")).value)
}

/// Logits of the student for `images`, as in training.
fn logits(rehearsal: &Rehearsal, images: &Tensor<4>) -> Tensor<2> {
    let student = rehearsal.cast.network(STUDENT).unwrap();
    let (outputs, _) = student.train(&student.store, images.clone(), &Taps::none(), 0);
    outputs.logits()
}

fn cost(rehearsal: &Rehearsal, batch: &Batch) -> f64 {
    let logits = logits(rehearsal, &batch.images);
    let Target::Classes { labels, shares } = &batch.target else {
        panic!("the batch has labels");
    };
    number(&cross_entropy(logits, labels, shares.as_ref(), 0.0))
}

#[track_caller]
fn assert_close(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-9, "{left} and {right}");
}

fn seen_batches(rehearsal: &Rehearsal, played: &Played) -> Vec<f64> {
    let store = &rehearsal.cast.network(STUDENT).unwrap().store;
    let updates = played.updates[STUDENT].iter();
    updates
        .filter(|&(&id, _)| store.entry(id).name.ends_with("num_batches_tracked"))
        .map(|(_, value)| number(value))
        .collect()
}

#[test]
fn cskd_follows_the_statistics_of_partners_too_and_an_image_is_its_own_best_partner() {
    let mut rehearsal = Rehearsal::new("cskd", json!({ "weight": 0.5 }));
    rehearsal.begin(0);
    let mut seen = batch("a");
    let (terms, played) = rehearsal.play(0, 0, &seen);
    assert_close(value(&terms, "task"), cost(&rehearsal, &seen));
    assert!(value(&terms, "class_wise") > 1e-6);
    let counts = seen_batches(&rehearsal, &played);
    assert!(!counts.is_empty() && counts.iter().all(|&count| count == 2.0));
    seen.partners = Some(Box::new(seen.clone()));
    let (terms, _) = rehearsal.play(0, 0, &seen);
    assert_close(value(&terms, "class_wise"), 0.0);
}

#[test]
fn ddgsd_finds_nothing_to_teach_between_equal_views() {
    for form in ["paper", "port"] {
        let mut rehearsal = Rehearsal::new("ddgsd", json!({ "form": form }));
        rehearsal.begin(0);
        let mut seen = batch("a");
        let (terms, _) = rehearsal.play(0, 0, &seen);
        assert!(value(&terms, "kl") > 1e-6 && value(&terms, "mmd") > 1e-6);
        seen.views = vec![seen.images.clone()];
        let (terms, _) = rehearsal.play(0, 0, &seen);
        assert_close(value(&terms, "kl"), 0.0);
        assert_close(value(&terms, "mmd"), 0.0);
        assert_close(value(&terms, "task"), 2.0 * cost(&rehearsal, &seen));
    }
}

#[test]
fn dlb_begins_with_cross_entropy_alone_and_then_looks_back() {
    let mut rehearsal = Rehearsal::new("dlb", json!({}));
    rehearsal.begin(0);
    let first = batch("a");
    let (terms, _) = rehearsal.play(0, 0, &first);
    assert_close(value(&terms, "task"), cost(&rehearsal, &first));
    assert_eq!(value(&terms, "consistency"), 0.0);
    // Nothing was updated: the same view again is predicted as it was.
    let mut second = batch("b");
    let replay = second.replay.as_mut().unwrap();
    replay.images = first.images.clone();
    let (terms, _) = rehearsal.play(0, 0, &second);
    assert_close(value(&terms, "consistency"), 0.0);
    let mean = (cost(&rehearsal, &first) + cost(&rehearsal, &second)) / 2.0;
    assert_close(value(&terms, "task"), mean);
    let (terms, _) = rehearsal.play(0, 0, &batch("c"));
    assert!(value(&terms, "consistency") > 1e-6);
}
