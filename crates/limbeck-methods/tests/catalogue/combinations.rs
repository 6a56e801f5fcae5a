//! Methods joined by `+`.

use limbeck_methods::{Method, MethodError, build};
use serde_json::json;

use super::scene::{Scene, criteria, scenes};

fn scene() -> Scene {
    scenes().remove(0)
}

fn term_names(method: &mut Method) -> Vec<String> {
    let scene = scene();
    let store = method.store().clone();
    let student = scene.student(&scene.numbers("student"));
    let terms = scene.step(method, &store, &student, &scene.teacher(false));
    terms.into_iter().map(|term| term.name).collect()
}

#[test]
fn terms_are_added_and_names_keep_their_method() {
    let mut method = scene().build_default("drg+dsr");
    assert_eq!(term_names(&mut method), ["auxiliary", "drg", "dsr"]);
    assert!(method.store().find("drg.fc2.weight").is_some());
    assert!(method.store().find("fc2.weight").is_none());
    let state: Vec<String> = method.state().into_keys().collect();
    assert_eq!(state, ["dsr.previous_sorted"]);
    method.start_epoch();
    assert!(method.state().is_empty());
}

#[test]
fn modules_of_a_method_have_the_same_names_alone_as_in_its_file() {
    let method = scene().build_default("drg");
    assert!(method.store().find("fc2.weight").is_some());
}

#[test]
fn the_supervised_loss_keeps_the_greatest_factor_that_a_part_asks_for() {
    let weight = |name| scene().build_default(name).task_weight();
    assert_eq!(weight("kd"), 0.1);
    assert_eq!(weight("kd+at"), 1.0);
    assert_eq!(weight("drg+dsr"), 1.0);
    let half = scene().build("tat+kd", "tat", json!({ "ce_weight": 0.5 }));
    assert_eq!(half.unwrap().task_weight(), 0.5);
}

#[test]
fn taps_and_pairs_are_those_of_all_parts() {
    let method = scene().build_default("at+fitnet+rkd");
    let needs = method.needs();
    for tap in ["stage1", "stage2", "stage3", "pooled"] {
        assert!(
            needs.student.wants(tap) && needs.teacher.wants(tap),
            "{tap}"
        );
    }
    assert!(!needs.student.wants("stage1.preact"));
    assert_eq!(method.pairs().len(), 4);
}

fn refused(name: &str) -> String {
    let error: MethodError = build(name, &Default::default(), &scene().probe()).unwrap_err();
    error.to_string()
}

#[test]
fn names_that_make_no_method_are_refused() {
    assert_eq!(refused("dk"), "unknown method `dk`; did you mean `dkd`?");
    assert_eq!(
        refused("kd+review_kd"),
        "unknown method `review_kd`; did you mean `reviewkd`?"
    );
    assert_eq!(refused("zzzzzz"), "unknown method `zzzzzz`");
    assert!(refused("").starts_with("unknown method ``"));
    assert!(refused("kd+").starts_with("unknown method ``"));
    assert_eq!(
        refused("kd+kd"),
        "`kd+kd` cannot be a combination: it has `kd` twice"
    );
    assert!(refused("none+kd").contains("`none` is the baseline"));
}

#[test]
fn pairs_for_a_method_that_compares_no_layers_are_refused() {
    let mut probe = scene().probe();
    probe.pairs = Some(vec![("stage1".to_owned(), "stage1".to_owned())]);
    let error = build("kd", &Default::default(), &probe).unwrap_err();
    assert!(error.to_string().contains("compares no layers"), "{error}");
    assert!(build("kd+at", &Default::default(), &probe).is_ok());
}

#[test]
fn methods_that_compare_with_a_teacher_say_so_without_one() {
    let mut probe = scene().probe();
    probe.teacher = None;
    for entry in criteria() {
        let built = build(entry.id, &Default::default(), &probe);
        match (entry.needs_teacher, built) {
            (false, built) => assert!(built.is_ok(), "{}", entry.id),
            (true, Err(MethodError::NoTeacher { method })) => assert_eq!(method, entry.id),
            (true, other) => panic!("{}: {other:?}", entry.id),
        }
    }
}
