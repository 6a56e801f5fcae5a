//! Laws of the method; those of samplers and recall are tested beside them.

use burn::tensor::Int;
use limbeck_nn::Feature;

use super::*;
use crate::testing::{
    assert_close, build, gradient, leaf, map, number, numbers, outputs, probe, random, tensor,
    terms, tokens, vector,
};

fn make() -> (Rkd, limbeck_nn::Store) {
    let probe = probe(&[vector("pooled", 3)], &[vector("pooled", 3)]);
    build(&probe, |p, b| Rkd::new(RkdConfig::default(), p, b)).unwrap()
}

fn losses(student: Tensor<2>, teacher: Tensor<2>) -> Vec<f64> {
    let (mut method, store) = make();
    let with = |vector: Tensor<2>| {
        let mut outputs = outputs("x", vector.dims()[0], &[]);
        let feature = Feature::Vector(vector);
        outputs.features.insert("pooled".to_owned(), feature);
        outputs
    };
    terms(&mut method, &store, &with(student), &with(teacher))
        .iter()
        .map(|term| number(&term.value))
        .collect()
}

#[test]
fn turned_scaled_and_shifted_embeddings_cost_nothing() {
    let teacher = random("t", [6, 2]);
    let (sine, cosine) = 0.7f64.sin_cos();
    let turn = tensor(vec![cosine, -sine, sine, cosine], [2, 2]);
    let moved = teacher.clone().matmul(turn).mul_scalar(3.0) + random("shift", [1, 2]);
    for student in [teacher.clone(), moved] {
        assert_close(&losses(student, teacher.clone()), &[0.0, 0.0]);
    }
    let other = losses(random("s", [6, 2]), teacher);
    assert!(other.iter().all(|&loss| loss > 1e-3));
}

#[test]
fn cosines_are_between_minus_one_and_one() {
    let cosines = numbers(&make().0.angles(random("s", [6, 4])));
    assert!(cosines.iter().all(|c| c.abs() <= 1.0 + 1e-12));
    assert!(cosines.iter().any(|c| *c < -0.1) && cosines.iter().any(|c| *c > 0.1));
}

#[test]
fn the_mean_distance_of_other_pairs_is_one_and_of_an_image_to_itself_zero() {
    let distances = numbers(&make().0.distances(random("s", [5, 3])));
    assert_close(&[distances.iter().sum::<f64>() / 20.0], &[1.0]);
    assert!((0..5).all(|i| distances[6 * i] == 0.0));
}

#[test]
fn widths_may_differ_and_the_order_of_images_does_not_matter() {
    let (student, teacher) = (random("s", [5, 3]), random("t", [5, 7]));
    let before = losses(student.clone(), teacher.clone());
    let order = Tensor::<1, Int>::from_data([3, 0, 4, 1, 2], &student.device());
    let after = losses(student.select(0, order.clone()), teacher.select(0, order));
    assert_close(&before, &after);
}

#[test]
fn identical_images_have_finite_gradients() {
    let row = random("row", [1, 3]);
    for rows in [
        Tensor::cat(vec![row.clone(), row.clone(), random("s", [2, 3])], 0),
        row.expand([4, 3]),
    ] {
        let (method, _) = make();
        let student = leaf(rows);
        let teacher = random("t", [4, 3]);
        let loss = huber(
            method.distances(student.clone()),
            method.distances(teacher.clone()),
        ) + huber(method.angles(student.clone()), method.angles(teacher));
        let gradient = gradient(&student, &loss.backward()).unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()));
    }
}

#[test]
fn small_and_large_differences_follow_huber() {
    let zero = tensor(vec![0.0; 3], [3]);
    let values = tensor(vec![0.5, -1.0, 3.0], [3]);
    // 0.125, 0.5, 2.5.
    assert_close(&[number(&huber(values, zero))], &[3.125 / 3.0]);
}

#[test]
fn a_batch_of_one_is_refused_before_and_forgiven_at_the_end_of_an_epoch() {
    assert_eq!(losses(random("s", [1, 3]), random("t", [1, 3])), [0.0, 0.0]);
    let mut probe = probe(&[vector("pooled", 3)], &[vector("pooled", 3)]);
    probe.batch = 1;
    let error = build(&probe, |p, b| Rkd::new(RkdConfig::default(), p, b)).unwrap_err();
    assert!(error.to_string().contains("found a batch of 1"), "{error}");
}

#[test]
fn maps_and_tokens_are_averaged_over_positions() {
    let mut probe = probe(&[map("stage1", [3, 4, 4])], &[tokens("stage1", 5, [7, 7])]);
    let config = RkdConfig::default();
    let error = build(&probe, |p, b| Rkd::new(config.clone(), p, b)).unwrap_err();
    assert!(
        error.to_string().contains("no layers to compare"),
        "{error}"
    );
    probe.pairs = Some(vec![("stage1".to_owned(), "stage1".to_owned())]);
    let (mut method, store) = build(&probe, |p, b| Rkd::new(config, p, b)).unwrap();
    let student = outputs("s", 4, &[map("stage1", [3, 4, 4])]);
    let teacher = outputs("t", 4, &[tokens("stage1", 5, [7, 7])]);
    let found = terms(&mut method, &store, &student, &teacher);
    let vector = |o: &limbeck_nn::Outputs, tap: &str| o.feature(tap).unwrap().to_vector();
    let expected = losses(
        vector(&student, "stage1").unwrap(),
        vector(&teacher, "stage1").unwrap(),
    );
    assert_close(
        &[number(&found[0].value), number(&found[1].value)],
        &expected,
    );
}

#[test]
fn triplets_are_a_term_where_they_have_a_weight() {
    let taps = [vector("pooled", 3)];
    let config = RkdConfig {
        triplet_weight: 1.0,
        ..RkdConfig::default()
    };
    let made = build(&probe(&taps, &taps), |p, b| Rkd::new(config, p, b));
    let (mut method, store) = made.unwrap();
    // Labels are 0, 1, 2, 3, 4, 0, …
    let (s, t) = (outputs("s", 6, &taps), outputs("t", 6, &taps));
    let found = terms(&mut method, &store, &s, &t);
    assert_eq!(found[2].name, "triplet");
    assert!(number(&found[2].value).is_finite());
    let error = method
        .triplets(&random("x", [3, 3]), &[0, 1, 2], 0)
        .unwrap_err();
    assert!(error.to_string().contains("`images_per_class`"), "{error}");
}

#[test]
fn normalised_embeddings_have_length_one_and_zeros_stay() {
    let config = RkdConfig {
        normalize: true,
        ..RkdConfig::default()
    };
    let taps = [vector("pooled", 2)];
    let made = build(&probe(&taps, &taps), |p, b| Rkd::new(config, p, b));
    let x = tensor(vec![3.0, 4.0, 0.0, 0.0], [2, 2]);
    assert_close(
        &numbers(&made.unwrap().0.embedding(x)),
        &[0.6, 0.8, 0.0, 0.0],
    );
}

#[test]
fn batches_are_made_of_whole_classes_where_that_is_wanted() {
    let taps = [vector("pooled", 3)];
    let made = |images| {
        let config = RkdConfig {
            images_per_class: Some(images),
            ..RkdConfig::default()
        };
        build(&probe(&taps, &taps), |p, b| Rkd::new(config, p, b))
    };
    let images = made(2).unwrap().0.images();
    let expected = Balanced {
        classes: 2,
        images: 2,
    };
    assert_eq!(images.balanced, Some(expected));
    for wrong in [1, 3, 4] {
        let error = made(wrong).unwrap_err().to_string();
        assert!(error.contains("`images_per_class`"), "{error}");
    }
}
