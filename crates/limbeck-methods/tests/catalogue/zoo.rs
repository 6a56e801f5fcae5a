//! Every method, as it comes, on pairs of networks of the zoo.

use burn::tensor::{DType, Device};
use limbeck_methods::{Probe, TrainingPart, build, propose_pairs};
use limbeck_nn::{InputShape, Tap, model::outline};

use super::scene::criteria;

fn taps(name: &str, size: usize) -> Vec<Tap> {
    let input = InputShape {
        channels: 3,
        height: size,
        width: size,
        classes: 10,
    };
    match outline(name, input) {
        Ok(outline) => outline.taps,
        Err(error) => panic!("{name}: {error}"),
    }
}

fn probe(teacher: (&str, usize), student: (&str, usize)) -> Probe {
    Probe {
        student: taps(student.0, student.1),
        teacher: Some(taps(teacher.0, teacher.1)),
        classes: 10,
        batch: 64,
        pairs: None,
        seed: 0,
        device: Device::flex(),
        dtype: DType::F32,
        training: TrainingPart::labelled((0..100).map(|i| i % 10).collect()),
        teacher_classifier: None,
        teacher_network: None,
    }
}

/// Errors of the methods that refuse the pair.
fn refusals(teacher: (&str, usize), student: (&str, usize)) -> Vec<String> {
    let probe = probe(teacher, student);
    criteria()
        .filter_map(|entry| build(entry.id, &Default::default(), &probe).err())
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn all_methods_take_the_usual_pairs_of_the_field() {
    for (teacher, student) in [
        ("resnet32x4", "resnet8x4"),
        ("resnet56", "resnet20"),
        ("wrn_40_2", "wrn_16_2"),
        ("vgg13", "vgg8"),
        ("vgg13", "mobilenetv2"),
        ("cifar_resnet50", "mobilenetv2"),
        ("cifar_resnet50", "vgg8"),
        ("resnet32x4", "shufflev1"),
        ("resnet32x4", "shufflev2"),
        ("wrn_40_2", "shufflev1"),
        ("resnet32x4", "vgg8"),
        ("vit_micro_patch4", "resnet8"),
        ("vit_micro_patch4", "shufflev2"),
        ("vit_micro_patch4", "vit_nano_patch4"),
        ("resnet32x4", "vit_nano_patch4"),
    ] {
        let refused = refusals((teacher, 32), (student, 32));
        assert!(refused.is_empty(), "{teacher} to {student}: {refused:#?}");
    }
    for (teacher, student) in [
        ("resnet34", "resnet18"),
        ("resnet50", "mobilenet_v1"),
        ("deit_small", "resnet18"),
        ("deit_small", "deit_tiny"),
    ] {
        let refused = refusals((teacher, 224), (student, 224));
        assert!(refused.is_empty(), "{teacher} to {student}: {refused:#?}");
    }
}

#[test]
fn all_methods_take_small_grey_images_of_28_pixels() {
    for (teacher, student) in [("resnet32x4", "resnet8"), ("vit_micro_patch4", "resnet8")] {
        let refused = refusals((teacher, 28), (student, 28));
        assert!(refused.is_empty(), "{teacher} to {student}: {refused:#?}");
    }
}

#[test]
fn networks_may_see_images_of_different_sizes() {
    let refused = refusals(("deit_tiny", 224), ("resnet8", 32));
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn pairs_are_proposed_for_any_two_networks() {
    let pairs = propose_pairs(&taps("resnet8", 28), &taps("vit_micro_patch4", 28));
    let names: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(s, t)| (s.as_str(), t.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("stage1", "stage2"),
            ("stage2", "stage3"),
            ("stage3", "stage4")
        ]
    );
}
