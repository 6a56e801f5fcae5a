//! Laws of the copy, of the factors and of the losses.

use burn::tensor::{DType, Device};
use limbeck_data::Normalisation;
use limbeck_nn::{InputShape, Network, model};
use serde_json::json;

use super::{golden::Frozen, *};
use crate::{
    Batch, Classification, Progress, Setting, Target, Teacher, TeacherNetwork,
    testing::{INPUT, POSITIONS, assert_close, network, number, numbers, probe, random},
};

/// How images are normalised where nothing is said of it.
fn usual() -> Normalisation {
    Normalisation::new(&[0.5; 3], &[0.25; 3])
}

/// The method between these networks, with the settings of `config`.
fn make_between(
    teacher: Network,
    student: Network,
    config: serde_json::Value,
) -> Result<(Wecolora, Cast, Frozen), MethodError> {
    let mut probe = Probe {
        student: student.taps(),
        teacher: Some(teacher.taps()),
        teacher_network: Some(TeacherNetwork {
            network: teacher.clone(),
            normalisation: usual(),
        }),
        ..probe(&[], &[])
    };
    probe.training.normalisation = usual();
    let mut cast = Cast::new(student);
    let config = serde_json::from_value(config).unwrap();
    let method = Wecolora::new(config, &probe, &mut cast)?;
    Ok((method, cast, Frozen(teacher)))
}

/// Between a teacher of six blocks and the student of three.
fn make(config: serde_json::Value) -> (Wecolora, Cast, Frozen) {
    make_between(network("vit_nano", 2), network("vit_nano_d3", 1), config).unwrap()
}

fn refusal(teacher: &str, student: &str, config: serde_json::Value) -> String {
    let networks = (network(teacher, 2), network(student, 1));
    let made = make_between(networks.0, networks.1, config);
    made.map(drop).unwrap_err().to_string()
}

/// What an act of the first stage gives: student and teacher, terms, and who took part.
fn play(
    method: &Wecolora,
    cast: &Cast,
    teacher: &dyn Teacher,
) -> (Outputs, Outputs, Vec<Term>, crate::Played) {
    let stage = method.stages(1).remove(0);
    let progress = Progress {
        epoch: 0,
        epochs: 1,
        step: 0,
        steps: 1,
    };
    let batch = Batch::new(images(), Target::None, POSITIONS[..4].to_vec());
    let mut scene = Scene::new(Setting {
        cast,
        act: &stage.acts[0],
        batch: &batch,
        teacher: Some(teacher),
        stage: progress,
        run: progress,
        task: &Classification::PLAIN,
        seed: 7,
    });
    let (student, other) = method.outputs(&mut scene).unwrap();
    let terms = method.comparison.terms(&student, &other).unwrap();
    (student, other, terms, scene.finish())
}

fn images() -> Tensor<4> {
    random("images", [4, INPUT.channels, INPUT.height, INPUT.width])
}

fn end_epoch(method: &mut Wecolora, cast: &mut Cast) {
    let mut interlude = Interlude {
        cast,
        teacher: None,
        held_out: None,
    };
    method.end_epoch(0, &mut interlude).unwrap();
}

/// Changes every factor and magnitude.
fn disturb(cast: &mut Cast) {
    let store = cast.store_mut(ADAPTERS).unwrap();
    for id in store.ids() {
        let entry = store.entry(id);
        let noise = random::<1>(&entry.name, entry.value.dims());
        let value = entry.value.clone() + noise.mul_scalar(0.05);
        store.set(id, value);
    }
}

fn of(store: &limbeck_nn::Store, name: &str) -> Vec<f64> {
    let id = store.find(name).unwrap_or_else(|| panic!("no {name}"));
    numbers(&store.entry(id).value)
}

#[test]
fn the_student_starts_as_the_teacher_without_the_blocks_that_are_left_out() {
    let (method, cast, teacher) = make(json!({}));
    let student = cast.network(STUDENT).unwrap();
    for entry in student.store.entries() {
        let name = match entry.name.strip_prefix("blocks.") {
            None => entry.name.clone(),
            Some(rest) => {
                let (block, rest) = rest.split_once('.').unwrap();
                format!("blocks.{}.{rest}", 2 * block.parse::<usize>().unwrap())
            }
        };
        let expected = of(&teacher.0.store, &name);
        assert_eq!(numbers(&entry.value), expected, "{}", entry.name);
    }
    // With factors that change nothing yet, the student is the copy.
    let (played, _, terms, _) = play(&method, &cast, &teacher);
    let plain = student.evaluate(images(), &Taps::none());
    assert_close(&numbers(&played.logits()), &numbers(&plain.logits()));
    assert_eq!(terms.len(), 1);
    assert!(number(&terms[0].value) > 1e-3);
}

#[test]
fn all_blocks_of_the_teacher_cost_nothing() {
    let (teacher, mut student) = (network("vit_nano", 2), network("vit_nano", 1));
    let copied = Copied::every(1, 6).unwrap();
    let from = TeacherNetwork {
        network: teacher.clone(),
        normalisation: usual(),
    };
    copied.fill(&mut student.store, &from, &usual()).unwrap();
    let shape = student.transformer().unwrap().config();
    for loss in ["last", "multi", "mae_kld"] {
        let config = serde_json::from_value(json!({ "loss": loss, "group_end": loss == "multi" }));
        let comparison = Comparison::new(&config.unwrap(), &copied, shape).unwrap();
        let own = student.evaluate(images(), &comparison.student_taps());
        let other = teacher.evaluate(images(), &comparison.teacher_taps());
        for term in comparison.terms(&own, &other).unwrap() {
            assert_eq!(number(&term.value), 0.0, "{loss}");
        }
    }
}

#[test]
fn a_first_step_moves_every_b_and_no_a_and_nothing_else() {
    for update in ["low_rank", "dora", "dora_compat"] {
        let (method, cast, teacher) = make(json!({ "update": update, "rank": 3 }));
        let (.., terms, played) = play(&method, &cast, &teacher);
        let mut gradients = terms[0].value.clone().backward();
        for (member, store) in &played.tracked {
            let found = store.gradients(&mut gradients);
            for (entry, gradient) in store.entries().iter().zip(found) {
                let moves = gradient.is_some_and(|g| numbers(&g).iter().any(|&x| x != 0.0));
                let learns = member == ADAPTERS && !entry.name.contains(".linear_a_");
                assert_eq!(moves, learns, "{update}: {member} {}", entry.name);
            }
        }
    }
}

#[test]
fn trained_numbers_are_those_of_the_factors() {
    let (width, inner, rank, depth) = (64, 256, 5, 3);
    for (update, more) in [
        ("low_rank", 0),
        ("dora", 3 * width + 2 * width + inner),
        ("dora_compat", 3 * width + 2 * width + inner),
    ] {
        let (_, cast, _) = make(json!({ "update": update, "rank": rank }));
        let count = cast.store(ADAPTERS).unwrap().trained_count();
        let of_block = rank * (10 * width + 2 * inner) + more;
        assert_eq!(count, depth * of_block, "{update}");
    }
    let (_, cast, _) = make(json!({}));
    let store = cast.store(ADAPTERS).unwrap();
    let named = "lora_vit.blocks.2.attn.qkv.linear_a_q.weight";
    let a = store.entry(store.find(named).unwrap());
    assert_eq!(a.shape, [10, 64], "a sixth of the width");
}

#[test]
fn magnitudes_start_at_the_copied_weights_but_for_the_released_start_of_qkv() {
    for (update, starts) in [("dora", true), ("dora_compat", false)] {
        let (method, cast, _) = make(json!({ "update": update }));
        let base = cast.store(BASE).unwrap();
        for (id, weight) in method.merged(&cast).unwrap() {
            let name = &cast.store(STUDENT).unwrap().entry(id).name;
            let copied = of(base, name);
            let merged = numbers(&weight);
            let off = copied
                .iter()
                .zip(&merged)
                .any(|(a, b)| (a - b).abs() > 1e-9);
            let expected = !starts && name.contains("qkv");
            assert_eq!(off, expected, "{update}: {name}");
        }
    }
}

#[test]
fn the_merged_student_gives_what_the_student_with_factors_gave() {
    for update in ["low_rank", "dora", "dora_compat"] {
        let (mut method, mut cast, teacher) = make(json!({ "update": update }));
        disturb(&mut cast);
        let (played, ..) = play(&method, &cast, &teacher);
        let before = cast.network(STUDENT).unwrap().clone();
        let base: Vec<Vec<f64>> = entries(&cast, BASE);
        end_epoch(&mut method, &mut cast);
        let merged = cast.network(STUDENT).unwrap();
        let plain = merged.evaluate(images(), &Taps::none());
        assert_close(&numbers(&played.logits()), &numbers(&plain.logits()));
        // What the factors are for has changed, all other weights are the copied ones to the bit.
        for (old, new) in before.store.entries().iter().zip(merged.store.entries()) {
            let adapted = [
                "attn.qkv.weight",
                "attn.proj.weight",
                "mlp.fc1.weight",
                "mlp.fc2.weight",
            ];
            let adapted = adapted.iter().any(|end| old.name.ends_with(end));
            let same = numbers(&old.value) == numbers(&new.value);
            assert_eq!(same, !adapted, "{update}: {}", old.name);
        }
        // The next epoch goes on from the copied weights, and merging again changes nothing.
        assert_eq!(entries(&cast, BASE), base);
        let again = entries(&cast, STUDENT);
        end_epoch(&mut method, &mut cast);
        assert_eq!(entries(&cast, STUDENT), again);
        let (after, ..) = play(&method, &cast, &teacher);
        assert_eq!(numbers(&after.logits()), numbers(&played.logits()));
    }
}

fn entries(cast: &Cast, member: &str) -> Vec<Vec<f64>> {
    let entries = cast.store(member).unwrap().entries().iter();
    entries.map(|entry| numbers(&entry.value)).collect()
}

#[test]
fn a_student_whose_images_are_normalised_otherwise_sees_the_same() {
    let (teacher, mut student) = (network("vit_nano", 2), network("vit_nano", 1));
    let own = Normalisation::new(&[0.4, 0.5, 0.3], &[0.2, 0.25, 0.3]);
    let made_for = Normalisation::new(&[0.45, 0.1, 0.3], &[0.3, 0.5, 0.1]);
    let from = TeacherNetwork {
        network: teacher.clone(),
        normalisation: made_for.clone(),
    };
    let copied = Copied::every(1, 6).unwrap();
    copied.fill(&mut student.store, &from, &own).unwrap();
    let pixels = images();
    let normalised = |normalisation: &Normalisation| {
        let of = |values: &[f64]| crate::testing::tensor(values.to_vec(), [1, 3, 1, 1]);
        (pixels.clone() - of(&normalisation.mean)) / of(&normalisation.std)
    };
    let expected = teacher.evaluate(normalised(&made_for), &Taps::none());
    let found = student.evaluate(normalised(&own), &Taps::none());
    assert_close(&numbers(&found.logits()), &numbers(&expected.logits()));
}

#[test]
fn full_trains_the_student_and_copy_nothing() {
    let (method, cast, teacher) = make(json!({ "update": "full" }));
    assert_eq!(cast.members().count(), 1);
    let (.., terms, played) = play(&method, &cast, &teacher);
    let mut gradients = terms[0].value.clone().backward();
    let store = &played.tracked[STUDENT];
    let found = store.gradients(&mut gradients);
    for (entry, gradient) in store.entries().iter().zip(found) {
        let beyond = entry.name.starts_with("head.") || entry.name.starts_with("fc_norm.");
        assert_eq!(gradient.is_some(), !beyond, "{}", entry.name);
    }
    let (method, cast, _) = make(json!({ "update": "copy" }));
    assert_eq!(cast.members().count(), 1);
    let stages = method.stages(10);
    assert_eq!((stages.len(), stages[0].epochs), (1, 1));
    assert!(stages[0].acts.is_empty() && method.pairs().is_empty());
}

#[test]
fn each_loss_compares_its_blocks() {
    let pairs = |teacher: &str, student: &str, config| {
        let (method, ..) = make_between(network(teacher, 2), network(student, 1), config).unwrap();
        let pairs = method.pairs().into_iter();
        pairs
            .map(|(a, b)| format!("{a}-{b}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let nano = |config| pairs("vit_nano", "vit_nano_d3", config);
    assert_eq!(nano(json!({})), "block2-block5");
    assert_eq!(nano(json!({ "loss": "mae_kld" })), "block2-block5");
    let multi = json!({ "loss": "multi" });
    assert_eq!(
        nano(multi.clone()),
        "block0-block1 block1-block3 block2-block5"
    );
    assert_eq!(
        pairs("vit_nano", "vit_nano_d2", multi),
        "block0-block1 block1-block4"
    );
    let group_end = json!({ "loss": "multi", "group_end": true });
    assert_eq!(
        pairs("vit_nano", "vit_nano_d2", group_end),
        "block0-block2 block1-block5"
    );
    let after_norm = json!({ "after_norm": true });
    let token = ["vit_nano_distilled", "vit_nano_distilled_patch4_d3"];
    assert_eq!(pairs(token[0], token[1], after_norm), "tokens-tokens");
    // Blocks 0, 4 and 8 of nine: what is left over belongs to the last one.
    let four = json!({ "reduction_factor": 4 });
    assert_eq!(pairs("vit_mini", "vit_mini_d3", four), "block2-block8");
}

#[test]
fn what_cannot_be_copied_is_refused_before_anything_is_trained() {
    let plain = || json!({});
    for (teacher, student, config, words) in [
        (
            "vit_nano",
            "vit_nano",
            plain(),
            "the student has 6 blocks and the teacher 6; it has to have fewer, such as `vit_nano_patch4_d3`",
        ),
        (
            "vit_nano_d3",
            "vit_nano",
            plain(),
            "such as `vit_nano_patch4_d2`",
        ),
        (
            "vit_nano",
            "vit_nano_d4",
            plain(),
            "are 3, 2, 1; give it one of these depths",
        ),
        (
            "vit_micro",
            "vit_nano_d3",
            plain(),
            "tokens of length 64, the teacher 128",
        ),
        (
            "vit_nano_distilled",
            "vit_nano_d3",
            plain(),
            "no distillation token, the teacher one",
        ),
        (
            "vit_nano",
            "vit_nano_distilled_patch4_d3",
            plain(),
            "a distillation token, the teacher none",
        ),
        (
            "resnet14",
            "vit_nano_d3",
            plain(),
            "`resnet14` has none such",
        ),
        ("vit_nano", "resnet8", plain(), "`resnet8` has none such"),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "reduction_factor": 0 }),
            "`reduction_factor` must be from 1 to 6",
        ),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "reduction_factor": 7 }),
            "no more can be copied than there are, found 7",
        ),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "reduction_factor": 3 }),
            "of the teacher's 6 are 2",
        ),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "rank": 0 }),
            "`rank` must be at least 1, found 0",
        ),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "rank": 65 }),
            "`rank` must be at most 64",
        ),
        (
            "vit_mini",
            "vit_mini_d5",
            json!({ "loss": "multi" }),
            "groups of 2 blocks, and the teacher's 9",
        ),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "group_end": true }),
            "set that, or leave it out",
        ),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "after_norm": true }),
            "norm the mean of their patches",
        ),
        (
            "vit_nano",
            "vit_nano_d3",
            json!({ "after_norm": true, "loss": "multi" }),
            "leave `after_norm` out",
        ),
    ] {
        let error = refusal(teacher, student, config);
        assert!(error.contains(words), "{teacher} to {student}: {error}");
    }
    let large = InputShape {
        height: 32,
        width: 32,
        ..INPUT
    };
    let teacher = model::build("vit_nano", large, 2, &Device::flex(), DType::F64).unwrap();
    let made = make_between(teacher, network("vit_nano_d3", 1), plain());
    let error = made.map(drop).unwrap_err().to_string();
    assert!(
        error.contains("16×16") && error.contains("augment.size"),
        "{error}"
    );
}

#[test]
fn stored_outputs_without_weights_are_refused() {
    let student = network("vit_nano_d3", 1);
    let probe = Probe {
        student: student.taps(),
        teacher: Some(network("vit_nano", 2).taps()),
        ..probe(&[], &[])
    };
    let made = Wecolora::new(WecoloraConfig::default(), &probe, &mut Cast::new(student));
    let error = made.map(drop).unwrap_err().to_string();
    assert!(
        error.contains("give the teacher itself with --teacher"),
        "{error}"
    );
}
