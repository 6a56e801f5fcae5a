//! Laws of the method; those of the memory are tested in `memory_bank.rs`.

use limbeck_nn::Store;

use super::*;
use crate::TrainingPart;
use crate::testing::{
    assert_close, build, labels, leaf, map, number, numbers, outputs, pass, probe, random, tensor,
    terms, tokens, vector,
};

/// Twelve images of three classes, vectors of four numbers.
fn crd_probe() -> Probe {
    let mut probe = probe(&[vector("pooled", 3)], &[vector("pooled", 5)]);
    probe.training = TrainingPart::labelled((0..12).map(|i| i % 3).collect());
    probe
}

fn config() -> CrdConfig {
    CrdConfig {
        negatives: 5,
        dimensions: 4,
        ..CrdConfig::default()
    }
}

fn make(config: CrdConfig) -> (Crd, Store) {
    build(&crd_probe(), |p, b| Crd::new(config, p, b)).unwrap()
}

fn refused(config: CrdConfig, probe: &Probe) -> String {
    let error = build(probe, |p, b| Crd::new(config, p, b)).unwrap_err();
    error.to_string()
}

#[test]
fn a_step_changes_the_rows_of_the_batch_alone_and_z_is_set_once() {
    let (mut method, store) = make(config());
    let taps = [vector("pooled", 3)];
    let teacher_taps = [vector("pooled", 5)];
    let teacher = outputs("t", 4, &teacher_taps);
    let first = method.state();
    assert!(!first.contains_key("contrast.log_z_v1"));
    let term = terms(&mut method, &store, &outputs("s", 4, &taps), &teacher).remove(0);
    assert!(number(&term.value) >= 0.0);
    assert_eq!((term.name.as_str(), term.weight), ("crd", 0.8));
    let second = method.state();
    for name in Crd::ROWS {
        let [before, after] = [&first, &second].map(|state| numbers(&state[name].1));
        assert_eq!(before[4 * 4..], after[4 * 4..], "{name}");
        for row in after[..4 * 4].chunks(4) {
            assert_close(&[row.iter().map(|x| x * x).sum()], &[1.0]);
        }
    }
    terms(&mut method, &store, &outputs("other", 4, &taps), &teacher);
    let third = method.state();
    for name in Crd::NORMALISERS {
        assert_eq!(numbers(&second[name].1), numbers(&third[name].1), "{name}");
    }
    assert_ne!(
        numbers(&second[Crd::ROWS[0]].1),
        numbers(&third[Crd::ROWS[0]].1)
    );
}

#[test]
fn gradients_reach_student_and_both_maps_but_neither_teacher_nor_memory() {
    let (mut method, store) = make(config());
    let tracked = store.tracked();
    let student = leaf(random("s", [4, 3]));
    let teacher = leaf(random("t", [4, 5]));
    let with = |x: &Tensor<2>| {
        let mut outputs = outputs("x", 4, &[]);
        let feature = limbeck_nn::Feature::Vector(x.clone());
        outputs.features.insert("pooled".to_owned(), feature);
        outputs
    };
    let term = terms(&mut method, &tracked, &with(&student), &with(&teacher)).remove(0);
    let mut gradients = term.value.backward();
    assert!(student.grad(&gradients).is_some());
    assert!(teacher.grad(&gradients).is_none());
    assert_eq!(
        tracked.gradients(&mut gradients).iter().flatten().count(),
        4
    );
    assert!(
        method
            .state()
            .values()
            .all(|(_, value)| !value.is_tracked())
    );
}

#[test]
fn negatives_are_of_other_classes_and_the_same_for_the_same_seed() {
    let (mut method, _) = make(config());
    let positions = [3, 7, 3];
    let picks = |method: &mut Crd, seed| -> Vec<i64> {
        let picks = method.pick(&positions, seed).unwrap();
        assert_eq!(picks.dims(), [3, 6]);
        picks.try_into_vec_as().unwrap()
    };
    let first = picks(&mut method, 1);
    assert_eq!(first, picks(&mut method, 1));
    assert_ne!(first, picks(&mut method, 2));
    for (row, position) in first.chunks(6).zip([3, 7, 3]) {
        assert_eq!(row[0], position);
        assert!(row[1..].iter().all(|pick| pick % 3 != position % 3));
    }
    let relaxed = CrdConfig {
        positive: Positive::SameClass,
        ..config()
    };
    let relaxed = picks(&mut make(relaxed).0, 1);
    assert!(
        relaxed
            .chunks(6)
            .zip([3, 7, 3])
            .all(|(row, p)| row[0] % 3 == p % 3)
    );
    let all = CrdConfig {
        others: Others::All,
        negatives: 11,
        ..config()
    };
    let all: Vec<i64> = make(all)
        .0
        .pick(&[0], 1)
        .unwrap()
        .try_into_vec_as()
        .unwrap();
    assert!(all[1..].iter().any(|pick| pick % 3 == 0));
}

#[test]
fn the_contrast_falls_when_embeddings_approach_their_own_rows() {
    let (mut method, _) = make(config());
    let rows = method.state();
    let row = |name: &str| numbers(&rows[name].1)[..4 * 4].to_vec();
    let own = |name: &str, sign: f64| {
        let row = tensor(row(name), [4, 4]).mul_scalar(sign);
        unit("student", row).unwrap()
    };
    let picks = method.pick(&[0, 1, 2, 3], 1).unwrap();
    let mut loss = |sign| {
        let embedded = Embedded {
            student: own(Crd::ROWS[1], sign),
            teacher: own(Crd::ROWS[0], sign),
        };
        number(&method.contrast(&embedded, &picks).unwrap())
    };
    let (away, there) = (loss(-1.0), loss(1.0));
    assert!(there < away, "{there} {away}");
}

#[test]
fn maps_and_tokens_are_averaged() {
    let student = [map("stage1", [3, 4, 4])];
    let teacher = [tokens("stage1", 5, [2, 2])];
    let mut probe = crd_probe();
    let plain = crate::testing::probe(&student, &teacher);
    (probe.student, probe.teacher) = (plain.student, plain.teacher);
    probe.pairs = Some(vec![("stage1".to_owned(), "stage1".to_owned())]);
    let (mut method, store) = build(&probe, |p, b| Crd::new(config(), p, b)).unwrap();
    let (s, t) = (outputs("s", 4, &student), outputs("t", 4, &teacher));
    assert!(number(&terms(&mut method, &store, &s, &t)[0].value).is_finite());
}

#[test]
fn settings_out_of_range_are_refused() {
    let probe = crd_probe();
    for (config, expected) in [
        (
            CrdConfig {
                negatives: 0,
                ..config()
            },
            "`negatives` must be at least 1, found 0",
        ),
        (
            CrdConfig {
                temperature: 0.0,
                ..config()
            },
            "`temperature` must be a number above 0, found 0",
        ),
        (
            CrdConfig {
                dimensions: 0,
                ..config()
            },
            "`dimensions` must be at least 1, found 0",
        ),
        (
            CrdConfig {
                momentum: 1.5,
                ..config()
            },
            "`momentum` must be a number from 0 to 1, found 1.5",
        ),
        (
            CrdConfig {
                weight: -1.0,
                ..config()
            },
            "`weight` must be a number of at least 0, found -1",
        ),
    ] {
        assert_eq!(refused(config, &probe), format!("method `crd`: {expected}"));
    }
}

#[test]
fn training_parts_without_images_or_without_other_classes_are_refused() {
    let mut probe = crd_probe();
    probe.training = TrainingPart::labelled(vec![1; 12]);
    let error = refused(config(), &probe);
    assert!(
        error.contains("of one class") && error.contains("`others`"),
        "{error}"
    );
    let all = CrdConfig {
        others: Others::All,
        ..config()
    };
    assert!(build(&probe, |p, b| Crd::new(all, p, b)).is_ok());
    probe.training = TrainingPart::labelled(Vec::new());
    assert!(refused(config(), &probe).contains("no training images"));
    probe.training = TrainingPart::unlabelled(12);
    assert!(refused(config(), &probe).contains("needs labels"));
}

#[test]
fn positions_picks_and_embeddings_that_do_not_fit_are_refused() {
    let (mut method, store) = make(config());
    let text = |error: MethodError| error.to_string();
    let beyond = text(method.pick(&[1, 12], 1).unwrap_err());
    assert!(
        beyond.contains("position 12") && beyond.contains("12 training images"),
        "{beyond}"
    );
    let embedded = method
        .embed(&mut pass(&store), random("s", [4, 3]), random("t", [4, 5]))
        .unwrap();
    let picks = labels(&[0; 8]).reshape([4, 2]);
    let shape = text(method.contrast(&embedded, &picks).unwrap_err());
    assert!(shape.contains("[4, 2], expected [4, 6]"), "{shape}");
    assert!(method.remember(&embedded, &[0, 1, 2, 99]).is_err());
    let zero = text(unit("teacher", tensor(vec![1.0, 0.0, 0.0, 0.0], [2, 2])).unwrap_err());
    assert!(zero.contains("embedding of the teacher is zero"), "{zero}");
}

#[test]
fn a_state_without_the_memory_or_with_another_shape_is_refused() {
    let (mut method, _) = make(config());
    let mut missing = method.state();
    missing.remove("contrast.memory_v2");
    let error = method.load_state(missing).unwrap_err().to_string();
    assert!(error.contains("`contrast.memory_v2` is missing"), "{error}");
    let wider = CrdConfig {
        dimensions: 7,
        ..config()
    };
    let error = method
        .load_state(make(wider).0.state())
        .unwrap_err()
        .to_string();
    assert!(error.contains("[12, 7], expected [12, 4]"), "{error}");
    let mut more = method.state();
    more.insert("extra".to_owned(), (vec![1], random("e", [1])));
    let error = method.load_state(more).unwrap_err().to_string();
    assert!(error.contains("no place for `extra`"), "{error}");
}
