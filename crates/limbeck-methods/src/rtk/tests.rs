//! Laws of the method.

use limbeck_nn::Store;

use super::*;
use crate::testing::{
    assert_close, build, gradient, leaf, map, number, numbers, outputs, pass, probe, random,
    tensor, terms, tokens,
};

fn student() -> Vec<Tap> {
    vec![map("block0", [2, 4, 4]), map("block1", [3, 2, 2])]
}

fn teacher() -> Vec<Tap> {
    vec![
        map("block0", [2, 4, 4]),
        map("block1", [3, 2, 2]),
        map("block2", [3, 4, 4]),
        map("block3", [5, 8, 8]),
    ]
}

fn config(keep: usize) -> RtkConfig {
    RtkConfig {
        width: 3,
        keep: Some(keep),
        ..RtkConfig::default()
    }
}

fn make(config: RtkConfig) -> (Rtk, Store) {
    build(&probe(&student(), &teacher()), |p, b| {
        Rtk::new(config, p, b)
    })
    .unwrap()
}

fn maps(name: &str, taps: &[Tap]) -> Vec<Tensor<4>> {
    let outputs = outputs(name, 4, taps);
    let map = |tap: &Tap| outputs.feature(&tap.name).unwrap().to_map().unwrap();
    taps.iter().map(map).collect()
}

fn attend(keep: usize) -> Attended {
    let (method, store) = make(config(keep));
    method.attend(
        &mut pass(&store),
        &maps("s", &student()),
        &maps("t", &teacher()),
    )
}

#[test]
fn kept_weights_sum_to_one_and_there_are_as_many_as_wanted() {
    for keep in 1..=4 {
        let attended = attend(keep);
        let full = numbers(&attended.full);
        for (row, full) in numbers(&attended.weights).chunks(4).zip(full.chunks(4)) {
            assert_close(&[row.iter().sum()], &[1.0]);
            assert_eq!(row.iter().filter(|&&w| w > 0.0).count(), keep);
            let least = full.iter().zip(row).filter(|(_, w)| **w > 0.0);
            let least = least.map(|(f, _)| *f).fold(f64::INFINITY, f64::min);
            let dropped = full.iter().zip(row).filter(|(_, w)| **w == 0.0);
            assert!(dropped.into_iter().all(|(f, _)| *f <= least));
        }
    }
    let all = attend(4);
    assert_close(&numbers(&all.weights), &numbers(&all.full));
}

#[test]
fn among_equals_the_lower_layers_are_kept() {
    let weights = tensor(vec![0.2, 0.3, 0.2, 0.3, 0.25, 0.25, 0.25, 0.25], [1, 2, 4]);
    let kept = numbers(&greatest(&weights, 3));
    assert_eq!(kept, [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
}

#[test]
fn a_single_kept_layer_teaches_the_attention_nothing() {
    let (method, store) = make(config(1));
    let tracked = store.tracked();
    let students: Vec<_> = maps("s", &student()).into_iter().map(leaf).collect();
    let attended = method.attend(&mut pass(&tracked), &students, &maps("t", &teacher()));
    let mut gradients = attended.loss().backward();
    assert!(
        gradient(&students[0], &gradients)
            .unwrap()
            .iter()
            .any(|g| g.abs() > 1e-6)
    );
    for found in tracked.gradients(&mut gradients).into_iter().flatten() {
        assert!(numbers(&found).iter().all(|g| g.abs() < 1e-15));
    }
}

/// D of maps.
fn compared(student: &[Tensor<4>], teacher: &[Tensor<4>]) -> Tensor<3> {
    let (student, teacher) = (Summaries::of(student), Summaries::of(teacher));
    distances(&student.energies, &teacher.energies)
}

#[test]
fn distances_are_zero_for_equal_maps_bounded_and_blind_to_scale() {
    let (s, t) = (maps("s", &student()), maps("t", &teacher()));
    let found = numbers(&compared(&s, &t));
    for (at, distance) in found.iter().enumerate() {
        let pixels = [16.0, 4.0, 16.0, 64.0][at % 4];
        assert!((0.0..=2.0 / pixels).contains(distance));
    }
    let scaled: Vec<_> = s.iter().map(|map| map.clone().mul_scalar(-3.0)).collect();
    assert_close(&numbers(&compared(&scaled, &t)), &found);
    let own = numbers(&compared(&s, &s));
    for row in own.chunks(4) {
        assert_close(&[row[0], row[3]], &[0.0, 0.0]);
        assert!(row[1] > 1e-6 && row[2] > 1e-6);
    }
}

#[test]
fn the_base_method_spreads_over_student_layers() {
    let (method, store) = make(RtkConfig {
        attention: LayerChoice::Afd,
        ..config(2)
    });
    let attended = method.attend(
        &mut pass(&store),
        &maps("s", &student()),
        &maps("t", &teacher()),
    );
    let sums = numbers(&attended.weights.clone().sum_dim(1));
    assert_close(&sums, &[1.0; 16]);
}

#[test]
fn layers_are_blocks_or_those_that_were_named_and_tokens_serve_too() {
    let (mut method, store) = make(config(2));
    assert_eq!(method.pairs(), [("block1".to_owned(), "block3".to_owned())]);
    let (s, t) = (outputs("s", 4, &student()), outputs("t", 4, &teacher()));
    let found = terms(&mut method, &store, &s, &t);
    let names: Vec<_> = found.iter().map(|t| (t.name.as_str(), t.weight)).collect();
    assert_eq!(names, [("attention", 200.0), ("kd", 0.9)]);

    let grids = [tokens("stage1", 5, [3, 3]), tokens("stage2", 5, [3, 3])];
    let mut probe = probe(&student(), &grids);
    let (method, _) = build(&probe, |p, b| Rtk::new(RtkConfig::default(), p, b)).unwrap();
    assert_eq!((method.keep, method.teacher.len()), (2, 2));
    let pair = |s: &str, t: &str| (s.to_owned(), t.to_owned());
    probe.pairs = Some(vec![pair("block0", "stage2"), pair("block1", "stage2")]);
    let (mut method, store) = build(&probe, |p, b| Rtk::new(RtkConfig::default(), p, b)).unwrap();
    assert_eq!(
        (method.keep, method.teacher.len(), method.student.len()),
        (1, 1, 2)
    );
    assert_eq!(method.pairs().len(), 2);
    let (s, t) = (outputs("s", 4, &student()), outputs("t", 4, &grids));
    assert!(number(&terms(&mut method, &store, &s, &t)[0].value).is_finite());
}

#[test]
fn a_map_of_zeros_has_finite_gradients() {
    let zeros = leaf(random("s", [4, 3, 4, 4]).zeros_like());
    let loss = compared(std::slice::from_ref(&zeros), &maps("t", &teacher())).sum();
    assert!(
        gradient(&zeros, &loss.backward())
            .unwrap()
            .iter()
            .all(|&g| g == 0.0)
    );
}

#[test]
fn the_usual_keep_is_the_number_of_sizes() {
    let layer = |size| Layer {
        name: String::new(),
        shape: [1, size, size],
    };
    assert_eq!(usual_keep(&[8, 8, 8, 4, 4, 2].map(layer)), 3);
    assert_eq!(usual_keep(&[8, 8, 8].map(layer)), 2);
    assert_eq!(usual_keep(&[8].map(layer)), 1);
}

#[test]
fn settings_out_of_range_are_refused() {
    for (config, expected) in [
        (
            config(0),
            "`keep` must be 1 to the 4 layers of the teacher, found 0",
        ),
        (
            config(5),
            "`keep` must be 1 to the 4 layers of the teacher, found 5",
        ),
        (
            RtkConfig {
                width: 0,
                ..config(1)
            },
            "`width` must be at least 1, found 0",
        ),
        (
            RtkConfig {
                temperature: -1.0,
                ..config(1)
            },
            "`temperature` must be a number above 0, found -1",
        ),
    ] {
        let error = build(&probe(&student(), &teacher()), |p, b| {
            Rtk::new(config, p, b)
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("method `rtk`: {expected}")
        );
    }
    let mut single = probe(&student(), &teacher());
    single.batch = 1;
    let error = build(&single, |p, b| Rtk::new(config(1), p, b)).unwrap_err();
    assert!(error.to_string().contains("at least 2 images"), "{error}");
    let none = probe(&[], &teacher());
    let error = build(&none, |p, b| Rtk::new(config(1), p, b)).unwrap_err();
    assert!(
        error.to_string().contains("student has no blocks"),
        "{error}"
    );
}
