//! What every procedure has to hold to.

use std::collections::BTreeSet;

use limbeck_methods::{MethodEntry, MethodError, Progress, TaskKind, cast, entries};
use serde_json::json;

use super::{
    rehearsal::{Rehearsal, batch, numbers, pair_of, probe_of},
    scene::serving,
    soundness::check_put_back,
};

/// All methods for whole images.
fn of_images() -> impl Iterator<Item = &'static MethodEntry> {
    serving(TaskKind::Classification).chain(serving(TaskKind::Pretraining))
}

fn procedures() -> impl Iterator<Item = &'static MethodEntry> {
    of_images().filter(|entry| entry.is_procedure())
}

fn is_plain(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.chars().all(allowed)
}

#[test]
fn stages_have_names_of_their_own_and_members_that_are_there() {
    for entry in procedures() {
        let rehearsal = Rehearsal::new(entry.id, json!({}));
        let names: BTreeSet<&str> = rehearsal.stages.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names.len(), rehearsal.stages.len(), "{}", entry.id);
        assert!(!rehearsal.stages.is_empty(), "{}", entry.id);
        assert_eq!(rehearsal.procedure.stages(3), rehearsal.stages);
        for stage in &rehearsal.stages {
            assert!(is_plain(&stage.name), "{}: {}", entry.id, stage.name);
            assert!(rehearsal.cast.network(&stage.student).is_ok());
            let end = stage.schedule_from + stage.epochs;
            assert!(
                end <= stage.schedule_epochs || stage.epochs == 0,
                "{}",
                entry.id
            );
            for trained in stage.acts.iter().flat_map(|act| &act.trains) {
                let store = rehearsal.cast.store(&trained.member);
                let store = store.unwrap_or_else(|error| panic!("{}: {error}", entry.id));
                for fixed in &trained.fixed {
                    let known = store.entries().iter().any(|e| e.name.starts_with(fixed));
                    assert!(known, "{}: nothing is called {fixed}", entry.id);
                }
            }
        }
        for (name, _) in rehearsal.cast.members() {
            assert!(is_plain(name), "{}: {name}", entry.id);
        }
    }
}

#[test]
fn every_act_gives_finite_terms_of_the_same_names_at_every_step() {
    for entry in procedures() {
        let mut rehearsal = Rehearsal::new(entry.id, json!({}));
        for stage in 0..rehearsal.stages.len() {
            rehearsal.begin(stage);
            let mut seen: Option<Vec<String>> = None;
            for step in ["a", "b"] {
                let mut names = Vec::new();
                for act in 0..rehearsal.stages[stage].acts.len() {
                    let (terms, _) = rehearsal.play(stage, act, &batch(step));
                    for term in terms {
                        let value = super::scene::number(&term.value);
                        assert!(value.is_finite(), "{}: {} is {value}", entry.id, term.name);
                        names.push(term.name);
                    }
                }
                let distinct: BTreeSet<&String> = names.iter().collect();
                assert_eq!(distinct.len(), names.len(), "{}: {names:?}", entry.id);
                if let Some(seen) = &seen {
                    assert_eq!(seen, &names, "{}", entry.id);
                }
                seen = Some(names);
                rehearsal.step(stage, step);
            }
            rehearsal.end_epoch(stage);
        }
    }
}

#[test]
fn an_act_changes_the_members_that_it_trains_and_the_teacher_never() {
    for entry in procedures() {
        let mut rehearsal = Rehearsal::new(entry.id, json!({}));
        let before_teacher = rehearsal.teacher_numbers();
        for stage in 0..rehearsal.stages.len() {
            rehearsal.begin(stage);
            let names = rehearsal.members();
            let before: Vec<_> = names.iter().map(|n| numbers(&rehearsal.cast, n)).collect();
            rehearsal.step(stage, "a");
            for (name, before) in names.iter().zip(before) {
                let acts = &rehearsal.stages[stage].acts;
                let trained = acts.iter().any(|act| act.trains(name));
                let changed = numbers(&rehearsal.cast, name) != before;
                if trained {
                    assert!(changed, "{}: {name} has learnt nothing", entry.id);
                }
                let progress = Progress {
                    epoch: 0,
                    epochs: 3,
                    step: 0,
                    steps: 10,
                };
                let mut followers = rehearsal.procedure.followers(stage, progress).into_iter();
                if followers.any(|follower| &follower.member == name) {
                    assert!(changed, "{}: {name} does not follow", entry.id);
                } else if !trained && acts.len() == 1 && changed {
                    // Statistics may follow the data; trained numbers may not change.
                    let store = rehearsal.cast.store(name).unwrap();
                    for (now, (entry_of, old)) in numbers(&rehearsal.cast, name)
                        .iter()
                        .zip(store.entries().iter().zip(&before))
                    {
                        let same = now == old || !entry_of.role.is_trained();
                        assert!(same, "{}: {name} {}", entry.id, entry_of.name);
                    }
                }
            }
        }
        assert_eq!(rehearsal.teacher_numbers(), before_teacher, "{}", entry.id);
    }
}

#[test]
fn a_procedure_that_is_put_back_makes_the_next_step_bit_for_bit() {
    for entry in procedures() {
        for stage in 0..Rehearsal::new(entry.id, json!({})).stages.len() {
            let mut first = Rehearsal::new(entry.id, json!({}));
            for earlier in 0..stage {
                first.begin(earlier);
            }
            first.begin(stage);
            let second = Rehearsal::new(entry.id, json!({}));
            check_put_back(first, second, stage, entry.id);
        }
    }
}

#[test]
fn procedures_that_learn_from_a_teacher_say_so_without_one() {
    for entry in procedures() {
        let [student, _] = pair_of(entry.id);
        let probe = probe_of(&student, None);
        let made = cast(entry.id, &Default::default(), &probe, student);
        match (entry.needs_teacher, made) {
            (false, made) => assert!(made.is_ok(), "{}", entry.id),
            (true, Err(MethodError::NoTeacher { method })) => assert_eq!(method, entry.id),
            (true, other) => panic!("{}: {:?}", entry.id, other.map(drop)),
        }
    }
}

#[test]
fn what_a_method_asks_its_teacher_is_what_it_says() {
    let mut forms: Vec<(&str, serde_json::Value)> =
        of_images().map(|entry| (entry.id, json!({}))).collect();
    forms.push(("fitnet", json!({ "hint_share": 0.4 })));
    forms.push((
        "sharedhead",
        json!({ "form": "student_head", "teacher_model": "resnet14" }),
    ));
    forms.push(("wtakd", json!({ "form": "dense" })));
    for (id, settings) in forms {
        let mut rehearsal = Rehearsal::new(id, settings);
        for stage in 0..rehearsal.stages.len() {
            rehearsal.begin(stage);
            rehearsal.step(stage, "a");
            rehearsal.end_epoch(stage);
        }
        let said = rehearsal.procedure.questions();
        let asked = &rehearsal.teacher.1;
        let beyond = asked.beyond.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(said.beyond.is_some(), beyond, "{id}");
        for tap in asked.taps.lock().unwrap().names() {
            assert!(
                said.taps.wants(tap),
                "{id} asks about {tap} and does not say so"
            );
        }
    }
}

#[test]
fn procedures_cannot_be_joined() {
    for entry in procedures() {
        let error = entries(&format!("kd+{}", entry.id))
            .unwrap_err()
            .to_string();
        assert!(error.contains("training steps of its own"), "{error}");
        assert!(error.contains(entry.id), "{error}");
    }
}
