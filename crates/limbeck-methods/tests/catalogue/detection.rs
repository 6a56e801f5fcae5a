//! Procedures that serve detection and need no second domain, between small real networks.

use limbeck_methods::{MethodEntry, TaskKind};
use serde_json::json;

use super::{
    rehearsal::Rehearsal,
    scene::serving,
    soundness::{check_put_back, check_steps},
};

fn procedures() -> impl Iterator<Item = &'static MethodEntry> {
    serving(TaskKind::Detection).filter(|entry| entry.is_procedure() && entry.id != "ssdayolo")
}

#[test]
fn steps_give_finite_terms_of_the_same_names_and_change_who_learns_alone() {
    assert!(procedures().any(|entry| entry.id == "tst"));
    for entry in procedures() {
        let id = entry.id;
        let mut rehearsal = Rehearsal::detecting(id, json!({}));
        check_steps(&mut rehearsal, id);
        let asked = &rehearsal.teacher.1;
        let beyond = asked.beyond.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(rehearsal.procedure.questions().beyond.is_some(), beyond);
    }
}

#[test]
fn what_is_put_back_makes_the_next_step_bit_for_bit() {
    for entry in procedures() {
        let id = entry.id;
        let new = || Rehearsal::detecting(id, json!({}));
        for stage in 0..new().stages.len() {
            let mut first = new();
            first.begin(stage);
            check_put_back(first, new(), stage, id);
        }
    }
}
