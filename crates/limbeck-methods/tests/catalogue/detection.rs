//! Procedures that serve detection and need no second domain, between small real networks.

use std::collections::BTreeSet;

use limbeck_methods::{MethodEntry, TaskKind};
use serde_json::json;

use super::{
    rehearsal::{Rehearsal, numbers},
    scene::serving,
};

fn procedures() -> impl Iterator<Item = &'static MethodEntry> {
    serving(TaskKind::Detection).filter(|entry| entry.is_procedure() && entry.id != "ssdayolo")
}

fn members(rehearsal: &Rehearsal) -> Vec<String> {
    let members = rehearsal.cast.members();
    members.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn steps_give_finite_terms_of_the_same_names_and_change_who_learns_alone() {
    assert!(procedures().any(|entry| entry.id == "tst"));
    for entry in procedures() {
        let id = entry.id;
        let mut rehearsal = Rehearsal::detecting(id, json!({}));
        let teacher = |rehearsal: &Rehearsal| -> Vec<Vec<f64>> {
            let entries = rehearsal.teacher.0.store.entries().iter();
            entries
                .map(|entry| entry.value.clone().try_into_vec_as().unwrap())
                .collect()
        };
        let before_teacher = teacher(&rehearsal);
        for stage in 0..rehearsal.stages.len() {
            rehearsal.begin(stage);
            let mut seen: Option<Vec<String>> = None;
            for step in ["a", "b"] {
                let mut names = Vec::new();
                for act in 0..rehearsal.stages[stage].acts.len() {
                    let batch = rehearsal.batch(step);
                    let (terms, _) = rehearsal.play(stage, act, &batch);
                    names.extend(terms.into_iter().map(|term| term.name));
                }
                let distinct: BTreeSet<&String> = names.iter().collect();
                assert_eq!(distinct.len(), names.len(), "{id}: {names:?}");
                if let Some(seen) = &seen {
                    assert_eq!(seen, &names, "{id}");
                }
                seen = Some(names);
                let all = |rehearsal: &Rehearsal| -> Vec<_> {
                    let names = members(rehearsal).into_iter();
                    names.map(|name| numbers(&rehearsal.cast, &name)).collect()
                };
                let before = all(&rehearsal);
                let values = rehearsal.step(stage, step);
                assert!(
                    values.iter().all(|value| value.is_finite()),
                    "{id}: {values:?}"
                );
                let after = all(&rehearsal);
                let who = members(&rehearsal);
                for (name, (before, after)) in who.iter().zip(before.iter().zip(&after)) {
                    let acts = &rehearsal.stages[stage].acts;
                    let learns = acts.iter().any(|act| act.trains(name));
                    let told = format!("{id}, stage {stage}: {name}");
                    assert_eq!(learns, after != before, "{told}");
                }
            }
            rehearsal.end_epoch(stage);
        }
        assert!(teacher(&rehearsal) == before_teacher, "{id}");
        let asked = &rehearsal.teacher.1;
        let beyond = asked.beyond.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(rehearsal.procedure.questions().beyond.is_some(), beyond);
    }
}

#[test]
fn what_is_put_back_makes_the_next_step_bit_for_bit() {
    for entry in procedures() {
        let id = entry.id;
        for stage in 0..Rehearsal::detecting(id, json!({})).stages.len() {
            let mut first = Rehearsal::detecting(id, json!({}));
            first.begin(stage);
            first.step(stage, "a");
            let mut second = Rehearsal::detecting(id, json!({}));
            second.cast = first.cast.clone();
            let state = first.procedure.state();
            second.procedure.load_state(state).unwrap();
            let expected = first.step(stage, "b");
            assert_eq!(second.step(stage, "b"), expected, "{id}");
            for member in members(&first) {
                let (found, expected) = (
                    numbers(&second.cast, &member),
                    numbers(&first.cast, &member),
                );
                assert!(found == expected, "{id}: {member}");
            }
        }
    }
}
