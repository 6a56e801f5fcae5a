use limbeck_nn::Network;
use serde_json::json;

use super::*;
use crate::{
    STUDENT,
    rehearsal::{PatchTeacher, batch, headless, setting},
    testing::{assert_close, build, network, number, pass, probe, random},
};

fn probe_of(student: &Network, teacher: &Network) -> Probe {
    Probe {
        student: student.taps(),
        teacher: Some(teacher.taps()),
        ..probe(&[], &[])
    }
}

fn made(settings: serde_json::Value, networks: [Network; 2]) -> Result<(Dmae, Cast), MethodError> {
    let [student, teacher] = networks;
    let probe = probe_of(&student, &teacher);
    let mut cast = Cast::new(student);
    let config = serde_json::from_value(settings).unwrap();
    let dmae = Dmae::new(config, &probe, &mut cast)?;
    Ok((dmae, cast))
}

fn usual() -> [Network; 2] {
    [headless("vit_nano", 1), headless("vit_micro", 2)]
}

fn refusal(settings: serde_json::Value, networks: [Network; 2]) -> String {
    made(settings, networks).map(drop).unwrap_err().to_string()
}

/// Values of the terms, by name.
fn values(dmae: &Dmae, cast: &Cast, teacher: Network) -> Vec<(String, f64)> {
    let stage = dmae.stages(1).remove(0);
    let batch = batch(1);
    let teacher = PatchTeacher(teacher);
    let mut scene = Scene::new(setting(cast, &stage.acts[0], &batch, Some(&teacher)));
    let terms = dmae.clone().play(0, 0, &mut scene).unwrap();
    let terms = terms.into_iter();
    terms.map(|term| (term.name, number(&term.value))).collect()
}

#[test]
fn a_copy_of_the_teacher_without_a_head_has_nothing_to_align() {
    let settings = json!({ "head": "none", "blocks": [[1, 1], [4, 4]] });
    let networks = [headless("vit_nano", 1), headless("vit_nano", 2)];
    let (dmae, cast) = made(settings, networks).unwrap();
    let teacher = cast.network(STUDENT).unwrap().clone();
    let terms = values(&dmae, &cast, teacher);
    assert_eq!(
        terms[1..],
        [("align.1-1".into(), 0.0), ("align.4-4".into(), 0.0)]
    );
    assert!(terms[0].1 > 0.0);
    let other = values(&dmae, &cast, headless("vit_nano", 2));
    assert!(other[1].1 > 1e-3 && other[0] == terms[0]);
}

#[test]
fn blocks_of_the_teacher_behind_its_own_do_not_matter() {
    let (dmae, cast) = made(json!({}), usual()).unwrap();
    let teacher = headless("vit_micro", 2);
    let terms = values(&dmae, &cast, teacher.clone());
    assert_eq!(terms[1].0, "align.4-4");
    let changed = |block: usize| {
        let mut teacher = teacher.clone();
        for id in teacher.store.ids() {
            let entry = teacher.store.entry(id);
            if entry.name.starts_with(&format!("blocks.{block}.")) {
                let value = entry.value.clone().mul_scalar(3.0).add_scalar(0.5);
                teacher.store.set(id, value);
            }
        }
        values(&dmae, &cast, teacher)
    };
    assert_eq!(changed(5), terms);
    assert_ne!(changed(4), terms);
}

#[test]
fn with_heads_only_directions_of_tokens_are_compared() {
    let probe = probe(&[], &[]);
    for head in [AlignmentHead::Fc, AlignmentHead::Mlp] {
        for distance in [AlignmentDistance::L1, AlignmentDistance::Mse] {
            let (alignment, store) = build(&probe, |_, builder| {
                Ok(Alignment::new(builder, head, distance, &[(6, 9)]))
            })
            .unwrap();
            let apart = |factor: f64| {
                let student = random("student", [2, 5, 6]);
                let teacher = random("teacher", [2, 5, 9]).mul_scalar(factor);
                number(&alignment.forward(&mut pass(&store), 0, student, teacher))
            };
            assert!(apart(1.0) > 1e-3);
            assert_close(&[apart(1.0)], &[apart(7.5)]);
        }
    }
}

#[test]
fn a_distillation_token_is_not_compared() {
    let networks = [headless("vit_nano", 1), headless("vit_nano_distilled", 2)];
    let (dmae, cast) = made(json!({}), networks).unwrap();
    let terms = values(&dmae, &cast, headless("vit_nano_distilled", 2));
    assert!(terms[1].1.is_finite());
}

#[test]
fn a_classifier_may_be_the_teacher() {
    let (dmae, cast) = made(
        json!({}),
        [headless("vit_nano", 1), network("vit_micro", 2)],
    )
    .unwrap();
    assert_eq!(values(&dmae, &cast, network("vit_micro", 2)).len(), 2);
}

#[test]
fn networks_and_blocks_that_do_not_fit_are_refused_with_a_sentence() {
    let error = refusal(json!({}), [network("resnet8", 1), headless("vit_micro", 2)]);
    assert!(error.contains("the student `resnet8`"), "{error}");
    let error = refusal(json!({}), [headless("vit_nano", 1), network("resnet14", 2)]);
    assert!(error.contains("cannot use the teacher"), "{error}");
    let error = refusal(json!({ "head": "none" }), usual());
    assert!(error.contains("64") && error.contains("128"), "{error}");
    let error = refusal(json!({ "blocks": [[6, 4]] }), usual());
    assert!(
        error.contains("blocks 0 to 5 of the student, found 6"),
        "{error}"
    );
    let error = refusal(json!({ "blocks": [[0, 9]] }), usual());
    assert!(error.contains("of the teacher, found 9"), "{error}");
    let error = refusal(json!({ "blocks": [[1, 2], [1, 2]] }), usual());
    assert!(error.contains("[1, 2] twice"), "{error}");
    assert!(refusal(json!({ "blocks": [] }), usual()).contains("a pair [student, teacher]"));
    assert!(refusal(json!({ "mask_ratio": 1.0 }), usual()).contains("method `dmae`"));
    let larger = crate::testing::INPUT.resized([32, 32]).headless();
    let device = probe(&[], &[]).device;
    let dtype = burn::tensor::DType::F64;
    let teacher = limbeck_nn::model::build("vit_micro", larger, 2, &device, dtype).unwrap();
    let error = refusal(json!({}), [headless("vit_nano", 1), teacher]);
    assert!(error.contains("4×4") && error.contains("8×8"), "{error}");
}
