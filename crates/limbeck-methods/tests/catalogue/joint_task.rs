//! The forms of `hssakd`, with small real networks.

use limbeck_methods::Term;
use serde_json::json;

use super::{
    rehearsal::{Rehearsal, batch, numbers},
    scene::number,
};

const FORMS: [&str; 3] = ["offline", "joint", "online"];

fn names(terms: &[Term]) -> Vec<&str> {
    terms.iter().map(|term| term.name.as_str()).collect()
}

#[test]
fn every_form_learns_what_its_stage_trains_and_leaves_the_rest_to_the_last_bit() {
    for form in FORMS {
        let mut rehearsal = Rehearsal::new("hssakd", json!({ "form": form }));
        for stage in 0..rehearsal.stages.len() {
            rehearsal.begin(stage);
            let members: Vec<String> = rehearsal
                .cast
                .members()
                .map(|(name, _)| name.to_owned())
                .collect();
            let before: Vec<_> = members
                .iter()
                .map(|name| numbers(&rehearsal.cast, name))
                .collect();
            let values = rehearsal.step(stage, "a");
            assert!(values.iter().all(|value| value.is_finite()), "{form}");
            for (name, before) in members.iter().zip(before) {
                let trained = rehearsal.stages[stage].acts[0].trains(name);
                let changed = numbers(&rehearsal.cast, name) != before;
                assert_eq!(changed, trained, "{form}, stage {stage}: {name}");
            }
        }
    }
}

#[test]
fn the_joint_task_becomes_easier_on_the_same_batch() {
    for form in FORMS {
        let mut rehearsal = Rehearsal::new("hssakd", json!({ "form": form }));
        rehearsal.begin(0);
        let joint = |rehearsal: &mut Rehearsal| {
            let (terms, _) = rehearsal.play(0, 0, &batch("a"));
            let term = terms.iter().find(|term| term.name == "joint");
            number(&term.unwrap().value)
        };
        let first = joint(&mut rehearsal);
        for _ in 0..5 {
            rehearsal.step(0, "a");
        }
        let last = joint(&mut rehearsal);
        assert!(last < first, "{form}: {first}, then {last}");
    }
}

#[test]
fn two_peers_have_the_same_terms_each_and_a_teacher_gives_no_labels_to_branches() {
    let mut online = Rehearsal::new("hssakd", json!({ "form": "online" }));
    online.begin(0);
    let (terms, _) = online.play(0, 0, &batch("a"));
    let found = names(&terms);
    let own = ["task", "joint", "kd", "joint_kd", "joint_accuracy"];
    assert_eq!(found[..5], own);
    assert_eq!(found[5..], own.map(|name| format!("{name}.peer")));
    let mut offline = Rehearsal::new("hssakd", json!({}));
    offline.begin(1);
    let (terms, _) = offline.play(1, 0, &batch("a"));
    assert_eq!(names(&terms), ["task", "kd", "joint_kd", "joint_accuracy"]);
}
