//! Gradients through the public interface, in f64.

use limbeck_nn::Store;
use serde_json::{Value, json};

use super::scene::{Numbers, Scene, gradient_of, number, scenes, total};

/// Step of the central differences: their error is its square, rounding is divided by it.
const STEP: f64 = 1e-5;
/// Numbers of each tensor that are tried.
const TRIED: usize = 4;

/// Settings under which nothing is detached on the way of the student's gradient: a difference
/// quotient sees through detachment.
fn settings(id: &str) -> Value {
    match id {
        // The guide is detached; `drg.rs` checks the guidance on its own.
        "drg" => json!({ "weight": 0.0 }),
        // The switch's gradient is that of its soft form, which so high a temperature makes level;
        // the golden files have it.
        "ghost" => json!({ "temperature": 1e12 }),
        // What the teacher's head says of positions is detached from that head; `idd.rs` checks it.
        "idd" => json!({ "position_weight": 0.0 }),
        // The lengths are detached.
        "skds" => json!({ "lengths_learn": true }),
        _ => json!({}),
    }
}

fn loss(scene: &Scene, id: &str, store: Option<&Store>, numbers: &Numbers) -> f64 {
    let mut method = scene.build(id, id, settings(id)).unwrap();
    let store = store.cloned().unwrap_or_else(|| method.store().clone());
    let student = scene.student(numbers);
    let terms = scene.second_step(&mut method, &store, &student, &scene.teacher(false));
    number(&total(&terms))
}

#[track_caller]
fn assert_derivative(what: &str, gradient: f64, above: f64, below: f64) {
    let quotient = (above - below) / (2.0 * STEP);
    let allowed = 1e-6 * (1.0 + gradient.abs().max(quotient.abs()));
    assert!(
        (gradient - quotient).abs() <= allowed,
        "{what}: gradient {gradient}, difference quotient {quotient}"
    );
}

/// Some indices below `count`, spread over it.
fn tried(count: usize) -> impl Iterator<Item = usize> {
    (0..TRIED.min(count)).map(move |i| (7919 * (i + 1)) % count)
}

#[test]
fn gradients_of_student_outputs_agree_with_difference_quotients() {
    for scene in scenes() {
        for entry in scene.criteria() {
            let mut method = scene.build(entry.id, entry.id, settings(entry.id)).unwrap();
            let numbers = scene.numbers("student");
            let student = scene.student(&numbers);
            let store = method.store().clone();
            let terms = scene.second_step(&mut method, &store, &student, &scene.teacher(false));
            let gradients = total(&terms).backward();
            let mut arrived = 0;
            for name in numbers.keys() {
                let Some(gradient) = gradient_of(&student, name, &gradients) else {
                    continue;
                };
                arrived += 1;
                for i in tried(gradient.len()) {
                    let moved = |by: f64| {
                        let mut moved = numbers.clone();
                        moved.get_mut(name).unwrap()[i] += by;
                        loss(&scene, entry.id, None, &moved)
                    };
                    let what = format!("{}, {}, `{name}` at {i}", entry.id, scene.name);
                    assert_derivative(&what, gradient[i], moved(STEP), moved(-STEP));
                }
            }
            assert!(arrived > 0, "{}: no gradient at all", entry.id);
        }
    }
}

#[test]
fn gradients_of_modules_agree_with_difference_quotients() {
    for scene in scenes() {
        for entry in scene.criteria() {
            let mut method = scene.build(entry.id, entry.id, settings(entry.id)).unwrap();
            let numbers = scene.numbers("student");
            let store = method.store().clone();
            let tracked = store.tracked();
            let student = scene.student(&numbers);
            let terms = scene.second_step(&mut method, &tracked, &student, &scene.teacher(false));
            let gradients = tracked.gradients(&mut total(&terms).backward());
            for (id, gradient) in store.ids().zip(gradients) {
                let name = &store.entry(id).name;
                if !store.entry(id).role.is_trained() {
                    assert!(gradient.is_none(), "{}: {name} is trained", entry.id);
                    continue;
                }
                let count = store.entry(id).shape.iter().product();
                // What a batch of this size leaves alone has none.
                let gradient: Vec<f64> = match gradient {
                    Some(gradient) => gradient.try_into_vec_as().unwrap(),
                    None => vec![0.0; count],
                };
                let values: Vec<f64> = store.entry(id).value.clone().try_into_vec_as().unwrap();
                for i in tried(values.len()).take(2) {
                    let moved = |by: f64| {
                        let mut moved = store.clone();
                        let mut values = values.clone();
                        values[i] += by;
                        moved.set_values(id, values);
                        loss(&scene, entry.id, Some(&moved), &numbers)
                    };
                    let what = format!("{}, {}, `{name}` at {i}", entry.id, scene.name);
                    assert_derivative(&what, gradient[i], moved(STEP), moved(-STEP));
                }
            }
        }
    }
}

#[test]
fn no_gradient_reaches_the_teacher_even_where_it_records_some() {
    for scene in scenes() {
        for entry in scene.criteria() {
            let mut method = scene.build_default(entry.id);
            let teacher = scene.teacher(true);
            let student = scene.student(&scene.numbers("student"));
            let store = method.store().clone();
            let terms = scene.second_step(&mut method, &store, &student, &teacher);
            let gradients = total(&terms).backward();
            let names = teacher
                .features
                .keys()
                .map(String::as_str)
                .chain(["logits"]);
            for name in names {
                assert!(
                    gradient_of(&teacher, name, &gradients).is_none(),
                    "{}, {}: `{name}`",
                    entry.id,
                    scene.name
                );
            }
        }
    }
}

#[test]
fn taps_that_a_method_does_not_need_are_not_read() {
    for scene in scenes() {
        for entry in scene.criteria() {
            let mut method = scene.build_default(entry.id);
            let needs = method.needs();
            let mut student = scene.student(&scene.numbers("student"));
            let mut teacher = scene.teacher(false);
            let store = method.store().clone();
            student.features.retain(|name, _| needs.student.wants(name));
            teacher.features.retain(|name, _| needs.teacher.wants(name));
            // Refuses a batch without a tap that it reads.
            scene.step(&mut method, &store, &student, &teacher);
        }
    }
}

#[test]
fn single_precision_gives_the_same_terms_as_double() {
    for scene in scenes() {
        for entry in scene.criteria() {
            let terms = |dtype| {
                let scene = Scene {
                    dtype,
                    ..scene.clone()
                };
                let mut method = scene.build_default(entry.id);
                let store = method.store().clone();
                let student = scene.student(&scene.numbers("student"));
                let teacher = scene.teacher(false);
                let terms = scene.second_step(&mut method, &store, &student, &teacher);
                assert!(terms.iter().all(|term| term.value.dtype() == dtype));
                terms
                    .iter()
                    .map(|term| number(&term.value))
                    .collect::<Vec<_>>()
            };
            let double = terms(burn::tensor::DType::F64);
            for (double, single) in double.iter().zip(terms(burn::tensor::DType::F32)) {
                assert!(
                    (double - single).abs() <= 1e-4 * (1.0 + double.abs()),
                    "{}, {}: {single} instead of {double}",
                    entry.id,
                    scene.name
                );
            }
        }
    }
}
