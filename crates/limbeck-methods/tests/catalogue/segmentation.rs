//! Every method that serves segmentation, between small real networks.

use std::collections::BTreeSet;

use limbeck_methods::{MethodEntry, MethodError, TaskKind, check_data};
use serde_json::{Value, json};

use super::{
    rehearsal::{Rehearsal, SCENERY},
    scene::serving,
    soundness::{check_put_back, check_steps},
};

/// All methods with settings, also those that have stages or acts of their own only then.
fn forms() -> Vec<(&'static str, Value)> {
    let small = json!({
        "pixel_memory": 40, "region_memory": 20, "pixel_contrast": 30, "region_contrast": 15,
    });
    let settings = |id: &str| match id {
        "cirkd" => small.clone(),
        _ => json!({}),
    };
    let mut forms: Vec<_> = serving(TaskKind::Segmentation)
        .map(|entry| (entry.id, settings(entry.id)))
        .collect();
    forms.push(("cwd", json!({ "feature_weight": 50.0 })));
    forms.push(("skds", json!({ "holistic_weight": 0.1 })));
    forms.push(("fitnet", json!({ "hint_share": 0.4 })));
    forms.push(("dml", json!({ "update": "simultaneous" })));
    forms.push(("tfkd", json!({ "form": "self" })));
    forms
}

#[test]
fn steps_give_finite_terms_of_the_same_names_and_change_who_learns_alone() {
    for (id, settings) in forms() {
        let mut rehearsal = Rehearsal::segmenting(id, settings.clone());
        check_steps(&mut rehearsal, id);
        let said = rehearsal.procedure.questions();
        for tap in rehearsal.teacher.1.taps.lock().unwrap().names() {
            assert!(
                said.taps.wants(tap),
                "{id} asks about {tap} and does not say so"
            );
        }
    }
}

#[test]
fn who_compares_no_logits_learns_from_a_teacher_with_fewer_classes() {
    let mut comparing = BTreeSet::new();
    let without = [
        (
            "cwd",
            json!({ "logits_weight": 0.0, "feature_weight": 50.0 }),
        ),
        ("mgram", json!({ "kd_weight": 0.0 })),
        ("rtk", json!({ "kd_weight": 0.0 })),
        ("skds", json!({ "pixel_weight": 0.0 })),
    ];
    for (id, settings) in forms().into_iter().chain(without) {
        let same = Rehearsal::segmenting(id, settings.clone());
        if same.procedure.questions().logits {
            comparing.insert(match id {
                "fitnet" => "fitnet in stages",
                _ => id,
            });
            continue;
        }
        let mut rehearsal = Rehearsal::segmenting_after(id, settings.clone(), SCENERY.classes - 1);
        assert!(!rehearsal.procedure.questions().logits, "{id}");
        for stage in 0..rehearsal.stages.len() {
            rehearsal.begin(stage);
            let values = rehearsal.step(stage, "a");
            assert!(
                values.iter().all(|value| value.is_finite()),
                "{id} {settings}: {values:?}"
            );
        }
    }
    let expected = [
        "cirkd",
        "cwd",
        "dkd",
        "fitnet in stages",
        "kd",
        "mgram",
        "rtk",
        "skds",
        "tinyvit",
    ];
    assert_eq!(comparing, expected.into());
    let dpk = Rehearsal::segmenting("dpk", json!({ "kd_weight": 1.0 }));
    assert!(dpk.procedure.questions().logits);
}

#[test]
fn what_is_put_back_makes_the_next_step_bit_for_bit() {
    for (id, settings) in forms() {
        let mut first = Rehearsal::segmenting(id, settings.clone());
        let last = first.stages.len() - 1;
        first.begin(last);
        check_put_back(first, Rehearsal::segmenting(id, settings), last, id);
    }
}

#[test]
fn methods_of_whole_images_are_refused_with_those_that_fit() {
    let check = |name: &str| check_data(name, &Default::default(), TaskKind::Segmentation, true);
    let in_runs = |entry: &&MethodEntry| entry.command().is_none();
    for entry in limbeck_methods::METHODS.iter().filter(in_runs) {
        match entry.tasks.contains(&TaskKind::Segmentation) {
            true => assert!(check(entry.id).is_ok(), "{}", entry.id),
            false => {
                let error = check(entry.id).unwrap_err();
                assert!(matches!(error, MethodError::Task { .. }), "{error}");
                let error = error.to_string();
                assert!(error.contains("cwd") && error.contains("kd, "), "{error}");
            }
        }
    }
    assert!(check("kd+crd").is_err() && check("kd+cwd").is_ok());
}
