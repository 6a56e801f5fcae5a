//! Laws of `cirkd`.

use limbeck_nn::{Store, TapKind};

use super::*;
use crate::Target;
use crate::testing::{
    assert_close, build, dense_outputs, dense_probe, dense_supervision, dense_terms,
    dense_terms_of, gradient, leaf, map, masks, number, numbers, pass, random, tensor,
};

fn small() -> CirkdConfig {
    CirkdConfig {
        pixel_memory: 12,
        region_memory: 6,
        pixel_contrast: 12,
        region_contrast: 7,
        pixel_update: 3,
        ..CirkdConfig::default()
    }
}

fn made(config: CirkdConfig) -> Result<(Cirkd, Store), MethodError> {
    let probe = dense_probe(
        [4, 5],
        &[map("feature", [3, 4, 5])],
        &[map("feature", [6, 4, 5])],
    );
    build(&probe, |probe, builder| Cirkd::new(config, probe, builder))
}

fn minibatch(student: Tensor<4>, teacher: Tensor<4>) -> f64 {
    number(&made(small()).unwrap().0.minibatch(student, teacher))
}

#[test]
fn lengths_of_pixels_and_rotations_of_channels_do_not_matter() {
    let (student, teacher) = (random("s", [2, 2, 3, 4]), random("t", [2, 6, 3, 4]));
    let value = minibatch(student.clone(), teacher.clone());
    assert!(value > 0.01);
    let lengths = random::<4>("lengths", [2, 1, 3, 4]).abs().add_scalar(0.1);
    assert_close(
        &[minibatch(
            student.clone() * lengths.clone(),
            teacher.clone() * lengths,
        )],
        &[value],
    );
    // (x, y) -> (−y, x)
    let channel = |i: usize| student.clone().slice([0..2, i..i + 1, 0..3, 0..4]);
    let turned = Tensor::cat(vec![channel(1).neg(), channel(0)], 1);
    assert_close(&[minibatch(turned, teacher)], &[value]);
}

#[test]
fn equal_features_cost_nothing_and_the_teacher_gets_no_gradient() {
    let (student, teacher) = (
        leaf(random("s", [2, 3, 3, 4])),
        leaf(random("t", [2, 3, 3, 4])),
    );
    let same = student.clone().inner();
    assert_close(&[minibatch(same.clone(), same)], &[0.0]);
    let method = made(small()).unwrap().0;
    let value = method.minibatch(student.clone(), teacher.clone().inner());
    let gradients = value.backward();
    assert!(
        gradient(&student, &gradients)
            .unwrap()
            .iter()
            .all(|g| g.is_finite())
    );
    assert!(gradient(&teacher, &gradients).is_none());
}

#[test]
fn a_pixel_without_direction_has_no_gradient_and_harms_none() {
    let zeros = random::<4>("s", [2, 3, 2, 2]).slice_fill([0..1, 0..3, 0..1, 0..1], 0.0);
    let student = leaf(zeros);
    let value = made(small())
        .unwrap()
        .0
        .minibatch(student.clone(), random("t", [2, 3, 2, 2]));
    let gradient = gradient(&student, &value.backward()).unwrap();
    assert!(gradient.iter().all(|g| g.is_finite() && g.abs() < 1e3));
    assert_eq!(gradient[0], 0.0);
}

#[test]
fn large_maps_are_averaged_where_it_is_asked_for() {
    let constant = |name, c| random::<4>(name, [1, c, 2, 2]);
    let (student, teacher) = (constant("s", 3), constant("t", 6));
    let doubled = |map| limbeck_nn::layer::resize_nearest(map, [4, 4]);
    let pooled = CirkdConfig {
        pool: Some(2),
        ..small()
    };
    let method = made(pooled).unwrap().0;
    let found = number(&method.minibatch(doubled(student.clone()), doubled(teacher.clone())));
    assert_close(&[found], &[minibatch(student, teacher)]);
}

/// One step with these labels, keys at fixed places.
fn step(method: &mut Cirkd, store: &Store, labels: &[i64]) -> [f64; 2] {
    let maps = [random("s", [2, 3, 2, 3]), random("t", [2, 6, 2, 3])];
    let places = Places {
        pixels: vec![0, 11, 4],
        regions: vec![5, 0],
    };
    let order = |_, _, count: usize| (0..count).rev().collect();
    let found = method.memory(&mut pass(store), maps, labels, order, Some(places));
    found.unwrap().map(|value| number(&value))
}

const LABELS: [i64; 12] = [0, 0, 0, 0, 2, -1, -1, 2, 2, 4, 4, 4];

#[test]
fn queues_keep_unit_vectors_of_each_class_the_oldest_go_first() {
    let (mut method, store) = made(small()).unwrap();
    let before = method.state();
    step(&mut method, &store, &LABELS);
    let after = method.state();
    let of = |state: &State, name: &str| numbers(&state[name].1);
    assert_eq!(of(&after, "pixel_queue_ptr"), [3.0, 0.0, 3.0, 0.0, 3.0]);
    assert_eq!(of(&after, "segment_queue_ptr"), [1.0, 0.0, 2.0, 0.0, 1.0]);
    let teacher = random::<4>("t", [2, 6, 2, 3]);
    let vector = |image: usize, positions: &[usize]| {
        let numbers = numbers(&unit(teacher.clone(), 1));
        let channel = |c: usize| {
            let at = |p: &usize| numbers[(image * 6 + c) * 6 + p];
            positions.iter().map(at).sum::<f64>()
        };
        let sums: Vec<f64> = (0..6).map(channel).collect();
        let length = sums.iter().map(|x| x * x).sum::<f64>().sqrt();
        sums.into_iter().map(|x| x / length).collect::<Vec<_>>()
    };
    // The last three of the first image's four pixels of class 0, the last first.
    let pixels = of(&after, "teacher_pixel_queue");
    for (place, position) in [(0, 3), (1, 2), (2, 1)] {
        assert_close(&pixels[place * 6..place * 6 + 6], &vector(0, &[position]));
    }
    let regions = of(&after, "teacher_segment_queue");
    assert_close(&regions[..6], &vector(0, &[0, 1, 2, 3]));
    assert_close(&regions[2 * 36 + 6..2 * 36 + 12], &vector(1, &[1, 2]));
    // Classes that are not there keep what they had.
    let earlier = of(&before, "teacher_pixel_queue");
    assert_eq!(pixels[12 * 6..24 * 6], earlier[12 * 6..24 * 6]);
    for _ in 0..7 {
        step(&mut method, &store, &LABELS);
        let state = method.state();
        for name in ["teacher_pixel_queue", "teacher_segment_queue"] {
            for vector in of(&state, name).chunks(6) {
                assert_close(&[vector.iter().map(|x| x * x).sum()], &[1.0]);
            }
        }
        assert!(
            of(&state, "pixel_queue_ptr")
                .iter()
                .all(|&next| next < 12.0)
        );
        assert!(
            of(&state, "segment_queue_ptr")
                .iter()
                .all(|&next| next < 6.0)
        );
    }
}

#[test]
fn void_positions_change_nothing_and_void_images_cost_nothing() {
    let (mut method, store) = made(small()).unwrap();
    assert_eq!(step(&mut method, &store, &[-1; 12]), [0.0, 0.0]);
    let state = method.state();
    let ptr = numbers(&state["pixel_queue_ptr"].1);
    assert_eq!(ptr, [0.0; 5]);
    assert!(
        step(&mut method, &store, &LABELS)
            .iter()
            .all(|&value| value > 0.0)
    );
}

#[test]
fn all_terms_are_there_for_void_batches_too_and_a_gradient_reaches_the_student() {
    let taps = [map("feature", [3, 4, 5])];
    for target in [
        masks([4, 16, 20]),
        Target::Masks(masks([4, 16, 20]).masks("test").unwrap().ones_like() * 255),
    ] {
        let (mut method, store) = made(small()).unwrap();
        let mut student = dense_outputs("s", [4, 5], &taps);
        let feature = leaf(random("s/feature", [4, 3, 4, 5]));
        student
            .features
            .insert("feature".to_owned(), Feature::Map(feature.clone()));
        let teacher = dense_outputs("t", [4, 5], &[map("feature", [6, 4, 5])]);
        let terms = dense_terms_of(&mut method, &store, &student, &teacher, &target);
        let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
        assert_eq!(names, ["kd", "minibatch", "pixel_memory", "region_memory"]);
        let total = terms
            .into_iter()
            .map(|term| term.value)
            .reduce(|a, b| a + b)
            .unwrap();
        assert!(number(&total.clone().inner()).is_finite());
        let gradient = gradient(&feature, &total.backward()).unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()) && gradient.iter().any(|&g| g != 0.0));
    }
}

#[test]
fn grids_of_any_sizes_meet_at_the_smaller() {
    let student_taps = [map("feature", [3, 4, 10])];
    let teacher_taps = [map("feature", [6, 8, 5])];
    let mut probe = dense_probe([4, 10], &student_taps, &teacher_taps);
    probe.teacher.as_mut().unwrap().last_mut().unwrap().kind = TapKind::Map([5, 8, 5]);
    let (mut method, store) =
        build(&probe, |probe, builder| Cirkd::new(small(), probe, builder)).unwrap();
    let student = dense_outputs("s", [4, 10], &student_taps);
    let teacher = dense_outputs("t", [8, 5], &teacher_taps);
    let terms = dense_terms(&mut method, &store, &student, &teacher);
    assert!(terms.iter().all(|term| number(&term.value) > 0.0));
}

#[test]
fn without_weights_of_the_memory_there_are_no_queues_and_no_labels() {
    let config = CirkdConfig {
        pixel_weight: 0.0,
        region_weight: 0.0,
        ..small()
    };
    assert!(!config.reads_labels() && small().reads_labels());
    let (method, store) = made(config).unwrap();
    assert!(method.state().is_empty() && store.entries().is_empty());
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let default = small;
    let refused = |config| made(config).unwrap_err().to_string();
    let many = CirkdConfig {
        pixel_contrast: 60,
        ..default()
    };
    let error = refused(many);
    assert!(
        error.contains("`pixel_memory` must be at least 13"),
        "{error}"
    );
    let many = CirkdConfig {
        pixel_update: 13,
        ..default()
    };
    assert!(refused(many).contains("at least 13"));
    let cold = CirkdConfig {
        temperature: -1.0,
        ..default()
    };
    assert!(refused(cold).contains("`temperature`"));
    let nothing = CirkdConfig {
        kd_weight: 0.0,
        minibatch_weight: 0.0,
        pixel_weight: 0.0,
        region_weight: 0.0,
        ..default()
    };
    assert!(refused(nothing).contains("`minibatch_weight`"));
    let (mut method, store) = made(default()).unwrap();
    let target = Target::Masks(masks([4, 16, 20]).masks("test").unwrap().ones_like() * 9);
    let taps = |width| [map("feature", [width, 4, 5])];
    let (student, teacher) = (
        dense_outputs("s", [4, 5], &taps(3)),
        dense_outputs("t", [4, 5], &taps(6)),
    );
    let step = Step {
        student: &student,
        teacher: Some(&teacher),
        supervision: dense_supervision(&target),
        indices: &[0, 1, 2, 3],
        progress: crate::Progress {
            epoch: 0,
            epochs: 1,
            step: 0,
            steps: 1,
        },
    };
    let error = method
        .terms(&step, &mut pass(&store))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("class 9") && error.contains("5 classes"),
        "{error}"
    );
}

#[test]
fn state_of_other_sizes_is_refused() {
    let (mut method, _) = made(small()).unwrap();
    let larger = CirkdConfig {
        pixel_memory: 13,
        ..small()
    };
    let state = made(larger).unwrap().0.state();
    let error = method.load_state(state).unwrap_err().to_string();
    assert!(error.contains("[5, 13, 6], expected [5, 12, 6]"), "{error}");
    let mut state = method.state();
    let beyond = (
        "pixel_queue_ptr".to_owned(),
        (vec![5], tensor(vec![12.0; 5], [5])),
    );
    state.extend([beyond]);
    let error = method.load_state(state).unwrap_err().to_string();
    assert!(
        error.contains("says 12, expected a place below 12"),
        "{error}"
    );
}
