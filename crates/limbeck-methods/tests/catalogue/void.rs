//! Batches of which nothing is known, in part or at all.

use limbeck_data::VOID;
use limbeck_methods::TaskKind;
use limbeck_nn::Feature;

use super::scene::{Scene, gradient_of, masks, number, scenes, total};

fn dense() -> impl Iterator<Item = Scene> {
    let scenes = scenes().into_iter();
    scenes.filter(|scene| scene.task() == TaskKind::Segmentation)
}

#[test]
fn masks_of_void_alone_give_the_same_terms_without_infinities() {
    for scene in dense() {
        for entry in scene.criteria() {
            let names = |class: fn(usize) -> u8| {
                let mut method = scene.build_default(entry.id);
                let store = method.store().clone();
                let numbers = scene.numbers("student");
                let (student, teacher) = (scene.student(&numbers), scene.teacher(false));
                let target = masks(class);
                let terms = scene.step_on(&target, &mut method, &store, &student, &teacher);
                for term in &terms {
                    let value = number(&term.value);
                    assert!(value.is_finite(), "{}: {} is {value}", entry.id, term.name);
                }
                let gradients = total(&terms).backward();
                for name in numbers.keys() {
                    let gradient = gradient_of(&student, name, &gradients).unwrap_or_default();
                    let finite = gradient.iter().all(|g| g.is_finite());
                    assert!(finite, "{}: {name}", entry.id);
                }
                terms.into_iter().map(|term| term.name).collect::<Vec<_>>()
            };
            let known = names(|i| (i / 5 % 5) as u8);
            assert_eq!(names(|_| VOID), known, "{}, {}", entry.id, scene.name);
            // One image has a class, the others none.
            let few = names(|i| if i < 40 { 1 } else { VOID });
            assert_eq!(few, known, "{}, {}", entry.id, scene.name);
        }
    }
}

#[test]
fn classes_of_void_pixels_do_not_matter_to_what_compares_pixels() {
    // The last pixel of the masks is void: what the student says there changes nothing.
    for scene in dense() {
        for id in ["kd", "dkd", "tinyvit"] {
            let value = |moved: f64| {
                let mut method = scene.build_default(id);
                let store = method.store().clone();
                let mut numbers = scene.numbers("student");
                *numbers.get_mut("logits").unwrap().last_mut().unwrap() += moved;
                let student = scene.student(&numbers);
                assert!(matches!(student.prediction, Feature::Map(_)));
                let target = masks(|i| if i / 192 == 3 { VOID } else { 2 });
                let terms = scene.step_on(
                    &target,
                    &mut method,
                    &store,
                    &student,
                    &scene.teacher(false),
                );
                number(&total(&terms))
            };
            assert_eq!(value(0.0), value(5.0), "{id}, {}", scene.name);
        }
    }
}
