//! What methods make of images without labels.

use std::collections::BTreeMap;

use limbeck_methods::{
    Batch, Classification, HeldOut, Interlude, MethodEntry, MethodError, Progress, Scene, Setting,
    Target, TaskKind, TrainingPart, cast, check_data, without_labels,
};
use serde_json::{Value, json};

use super::{
    rehearsal::{Asked, Few, FrozenNetwork, batch, pair_of, probe_of},
    scene::{number, serving},
};

/// Images of which nothing is known.
fn unlabelled(name: &str) -> Batch {
    let mut batch = batch(name);
    batch.target = Target::None;
    if let Some(replay) = &mut batch.replay {
        replay.target = Target::None;
    }
    batch
}

struct Unlabelled;

impl HeldOut for Unlabelled {
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        look(&unlabelled("held out"))
    }
}

/// Plays every act of every stage on images without labels, and gives the names of the terms.
fn learn(entry: &MethodEntry, settings: Value) -> Result<Vec<String>, MethodError> {
    let played = play(
        entry,
        settings,
        &unlabelled("images"),
        Classification::PLAIN,
    )?;
    Ok(played.into_keys().collect())
}

/// Plays every act of every stage on these images: the terms by name.
fn play(
    entry: &MethodEntry,
    settings: Value,
    images: &Batch,
    task: Classification,
) -> Result<BTreeMap<String, f64>, MethodError> {
    let [student, teacher] = pair_of(entry.id);
    let mut probe = probe_of(&student, Some(&teacher));
    let labelled = !matches!(images.target, Target::None);
    probe.training = TrainingPart {
        labels: probe.training.labels.filter(|_| labelled),
        ..probe.training
    };
    let settings = [(entry.id.to_owned(), settings)].into();
    let (mut procedure, mut cast) = cast(entry.id, &settings, &probe, student)?;
    let teacher = FrozenNetwork(teacher, Asked::default());
    let mut values = BTreeMap::new();
    for (index, stage) in procedure.stages(3).iter().enumerate() {
        let mut interlude = Interlude {
            cast: &mut cast,
            teacher: Some(&teacher),
            held_out: match labelled {
                true => Some(&Few(TaskKind::Classification)),
                false => Some(&Unlabelled),
            },
        };
        procedure.begin_stage(index, &mut interlude)?;
        procedure.begin_epoch(index, &mut interlude)?;
        for act in 0..stage.acts.len() {
            let progress = Progress {
                epoch: 0,
                epochs: 3,
                step: 0,
                steps: 10,
            };
            let mut scene = Scene::new(Setting {
                cast: &cast,
                act: &stage.acts[act],
                batch: images,
                teacher: Some(&teacher),
                stage: progress,
                run: progress,
                task: &task,
                seed: 7,
            });
            for term in procedure.play(index, act, &mut scene)? {
                let value = number(&term.value);
                assert!(value.is_finite(), "{}: {} is {value}", entry.id, term.name);
                values.insert(term.name, value);
            }
        }
    }
    Ok(values)
}

#[test]
fn a_method_goes_on_without_labels_or_says_that_it_needs_them() {
    for entry in serving(TaskKind::Classification).filter(|entry| entry.needs_teacher) {
        let found = learn(entry, json!({}));
        match (entry.reads_labels(json!({})).unwrap(), found) {
            (false, Ok(names)) => {
                assert!(!names.is_empty(), "{}", entry.id);
                let supervised = names.iter().any(|name| name.starts_with("task"));
                assert!(!supervised, "{}: {names:?}", entry.id);
            }
            (true, Err(MethodError::NoLabels { reader })) => {
                assert!(
                    reader.contains(entry.id) || reader.contains("supervised"),
                    "{reader}"
                );
            }
            (reads, found) => panic!("{}: reads labels: {reads}, found {found:?}", entry.id),
        }
    }
}

#[test]
fn settings_decide_whether_labels_are_read() {
    for (id, settings) in [
        ("crd", json!({ "others": "all", "negatives": 4 })),
        ("wtakd", json!({ "form": "dense" })),
    ] {
        let entry = limbeck_methods::find(id).unwrap();
        assert!(!entry.reads_labels(settings.clone()).unwrap(), "{id}");
        learn(entry, settings).unwrap_or_else(|error| panic!("{id}: {error}"));
    }
    for (id, settings) in [
        ("hints", json!({ "wsl_weight": 1.0 })),
        ("rkd", json!({ "triplet_weight": 1.0 })),
        ("crd", json!({ "others": "all", "positive": "same_class" })),
    ] {
        let entry = limbeck_methods::find(id).unwrap();
        assert!(entry.reads_labels(settings.clone()).unwrap(), "{id}");
        assert!(learn(entry, settings).is_err(), "{id}");
    }
}

#[test]
fn data_without_labels_is_refused_with_what_would_fit() {
    let check = |name: &str, labelled| {
        let checked = check_data(
            name,
            &Default::default(),
            TaskKind::Classification,
            labelled,
        );
        checked.map_err(|error| error.to_string())
    };
    for entry in serving(TaskKind::Classification) {
        assert_eq!(check(entry.id, true), Ok(()), "{}", entry.id);
        let needs = entry.needs_labels(json!({})).unwrap();
        assert_eq!(check(entry.id, false).is_err(), needs, "{}", entry.id);
        assert_eq!(without_labels().contains(&entry.id), !needs, "{}", entry.id);
    }
    let error = check("dkd", false).unwrap_err();
    assert!(error.contains("`dkd` needs labels"), "{error}");
    assert!(error.contains("at, ") && error.contains("kd, "), "{error}");
    // A part with a teacher is enough where the other reads no labels itself.
    assert_eq!(check("kd+dsr", false), Ok(()));
    assert!(check("kd+drg", false).unwrap_err().contains("`drg`"));
    assert!(check("none", false).unwrap_err().contains("`none`"));
}

#[test]
fn labels_are_smoothed_wherever_a_term_learns_from_them() {
    for (id, settings, supervised) in [
        ("byot", json!({}), &["task", "branches"] as &[&str]),
        ("drg", json!({}), &["task", "auxiliary"]),
        ("dlb", json!({}), &["task"]),
        ("mfef", json!({}), &["task", "task.peer1", "fused"]),
        ("hssakd", json!({}), &["task", "joint"]),
        (
            "sharedhead",
            json!({ "loss": "paper" }),
            &["task", "head_task"],
        ),
        ("tst", json!({}), &["task", "task.augmented"]),
        ("zipf", json!({}), &["task", "head.0"]),
    ] {
        let entry = limbeck_methods::find(id).unwrap();
        let terms = |label_smoothing| {
            let task = Classification { label_smoothing };
            play(entry, settings.clone(), &batch("images"), task).unwrap()
        };
        let (plain, smoothed) = (terms(0.0), terms(0.1));
        assert!(plain.keys().eq(smoothed.keys()), "{id}");
        for (name, value) in &plain {
            let changes = smoothed[name] != *value;
            let expected = supervised.contains(&name.as_str());
            assert_eq!(changes, expected, "{id}: {name} {value}");
        }
    }
}
