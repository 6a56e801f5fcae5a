//! Laws of `dino` and `patchssl`.

use burn::tensor::{DType, Device, Tensor};
use serde_json::json;

use super::*;
use crate::{
    Batch, Pretraining, Setting, Target,
    patchssl::{PatchsslConfig, matched_tokens},
    rehearsal::{headless, total},
    testing::{
        INPUT, POSITIONS, assert_close, gradient, leaf, network_probe, number, numbers, random,
    },
};

const IMAGES: usize = 3;

fn cast_of(student: &str) -> Cast {
    Cast::new(headless(student, 1))
}

fn small() -> DinoConfig {
    DinoConfig {
        prototypes: 12,
        hidden: 10,
        bottleneck: 8,
        local_crops: 2,
        ..DinoConfig::default()
    }
}

fn dino(config: DinoConfig) -> Result<(Dino, Cast), MethodError> {
    let mut cast = cast_of("vit_nano");
    let made = Dino::new(config, &network_probe(), &mut cast)?;
    Ok((made, cast))
}

/// `patchssl`, whose parts can be looked at.
fn patchssl(config: DinoConfig) -> Result<(Dino, Cast), MethodError> {
    let mut cast = cast_of("vit_nano");
    let compared = Compared::Patches {
        matching: matched_tokens,
        patch_colours: true,
    };
    let made = Dino::comparing("patchssl", compared, config, &network_probe(), &mut cast)?;
    Ok((made, cast))
}

fn batch() -> Batch {
    let shape = [IMAGES, INPUT.channels, INPUT.height, INPUT.width];
    let indices = POSITIONS[..IMAGES].to_vec();
    Batch::new(random("images", shape), Target::None, indices)
}

/// Plays a step in epoch `epoch`, counted from 0, with `look` at the scene.
fn scene_at<T>(cast: &Cast, epoch: usize, look: impl FnOnce(&mut Scene<'_>) -> T) -> T {
    let act = Act::training([STUDENT, HEAD]);
    let progress = Progress {
        epoch,
        epochs: 10,
        step: 0,
        steps: 10,
    };
    let batch = batch();
    let mut scene = Scene::new(Setting {
        cast,
        act: &act,
        batch: &batch,
        teacher: None,
        stage: progress,
        run: progress,
        task: &Pretraining,
        seed: 7,
    });
    look(&mut scene)
}

fn play(procedure: &mut dyn Procedure, cast: &Cast) -> Vec<Term> {
    scene_at(cast, 1, |scene| procedure.play(0, 0, scene)).unwrap()
}

/// A view of tokens 0 to 4 with random logits of `prototypes`.
fn view(name: &str, prototypes: usize) -> ViewTokens {
    ViewTokens {
        tokens: (0..5).collect(),
        logits: random(name, [2, 5, prototypes]),
    }
}

fn pair(tokens: &[usize]) -> ViewPair {
    ViewPair {
        teacher: 0,
        student: 1,
        teacher_tokens: tokens.to_vec(),
        student_tokens: tokens.to_vec(),
    }
}

/// Both parts of the loss of one pair.
fn loss(teacher: &ViewTokens, student: &ViewTokens, tokens: &[usize]) -> [f64; 2] {
    let student = [student.clone(), student.clone()];
    let found = objective(
        "dino",
        &[pair(tokens)],
        &student,
        std::slice::from_ref(teacher),
        0.1,
    )
    .unwrap();
    [number(&found.class_token), number(&found.patches)]
}

#[test]
fn class_tokens_alone_are_one_nth_of_a_loss_over_n_tokens() {
    let (teacher, student) = (view("teacher", 6), view("student", 6));
    let alone = loss(&teacher, &student, &[0]);
    let among = loss(&teacher, &student, &[0, 2, 3]);
    assert_close(&[alone[0] / 3.0], &[among[0]]);
    assert_eq!(alone[1], 0.0);
    assert!(among[1] > 0.0);
}

#[test]
fn the_loss_is_least_where_the_student_says_the_same_and_is_the_teachers_entropy_then() {
    let teacher = view("teacher", 6);
    let same = ViewTokens {
        logits: teacher.logits.clone().mul_scalar(0.1),
        ..teacher.clone()
    };
    let tokens = [0, 1, 2, 3, 4];
    let sum = |parts: [f64; 2]| parts[0] + parts[1];
    let p = burn::tensor::activation::softmax(teacher.logits.clone(), 2);
    let entropy = -numbers(&(p.clone() * p.log())).iter().sum::<f64>() / 10.0;
    assert_close(&[sum(loss(&teacher, &same, &tokens))], &[entropy]);
    assert!(sum(loss(&teacher, &view("other", 6), &tokens)) > entropy);
}

#[test]
fn a_constant_in_the_teachers_logits_changes_nothing_and_no_gradient_reaches_it_or_the_centre() {
    let student = view("student", 6);
    let centre = leaf(random::<2>("centre", [5, 6]));
    let of = |shift: f64| {
        let mut teacher = view("teacher", 6);
        teacher.logits = leaf(teacher.logits.add_scalar(shift));
        let sharp = sharpened("dino", &teacher, &centre, 0.04).unwrap();
        assert!(!sharp.logits.is_tracked());
        loss(&sharp, &student, &[0, 1])
    };
    let (plain, shifted) = (of(0.0), of(3.0));
    assert_close(&plain, &shifted);
}

#[test]
fn gradients_are_those_of_the_cross_entropy_and_only_of_compared_tokens() {
    let teacher = view("teacher", 6);
    let logits = leaf(random::<3>("student", [2, 5, 6]));
    let student = ViewTokens {
        tokens: (0..5).collect(),
        logits: logits.clone(),
    };
    let views = [student.clone(), student];
    let found = objective(
        "dino",
        &[pair(&[0, 3])],
        &views,
        std::slice::from_ref(&teacher),
        0.1,
    )
    .unwrap();
    let gradients = (found.class_token + found.patches).backward();
    let found = gradient(&logits, &gradients).unwrap();
    let softmax = |x: Tensor<3>| burn::tensor::activation::softmax(x, 2);
    let p = softmax(teacher.logits);
    let q = softmax(random::<3>("student", [2, 5, 6]).mul_scalar(10.0));
    let slopes = numbers(&(q - p).mul_scalar(10.0 / 4.0));
    let compared = slopes.iter().enumerate();
    let compared = compared.map(|(i, slope)| match i / 6 % 5 {
        0 | 3 => *slope,
        _ => 0.0,
    });
    let expected: Vec<f64> = compared.collect();
    assert_close(&found, &expected);
}

#[test]
fn what_does_not_fit_each_other_is_refused() {
    let (teacher, student) = (view("teacher", 6), view("student", 6));
    let centre = Tensor::zeros([4, 6], (&Device::flex(), DType::F64));
    let error = sharpened("dino", &teacher, &centre, 0.04).unwrap_err();
    assert!(error.to_string().contains("a centre of [4, 6]"), "{error}");
    let views = [student.clone(), student];
    let mut odd = pair(&[0, 1]);
    odd.teacher_tokens = vec![0];
    for (pair, text) in [(odd, "cannot be compared"), (pair(&[0, 7]), "token 7")] {
        let error =
            objective("dino", &[pair], &views, std::slice::from_ref(&teacher), 0.1).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(objective("dino", &[], &views, &[teacher], 0.1).is_err());
}

#[test]
fn temperature_and_momentum_follow_their_schedules() {
    let at = |epoch| teacher_temperature(epoch, 0.04, 0.07, 4);
    assert_close(
        &[at(0), at(1), at(3), at(4), at(90)],
        &[0.04, 0.05, 0.07, 0.07, 0.07],
    );
    assert_eq!(teacher_temperature(0, 0.04, 0.07, 0), 0.07);
    assert_eq!(teacher_temperature(0, 0.04, 0.07, 1), 0.04);
    let at = |done| teacher_momentum(0.9, done, 100);
    assert_close(&[at(0), at(50), at(100)], &[0.9, 0.95, 1.0]);
    let (method, _) = dino(small()).unwrap();
    let progress = Progress {
        epoch: 1,
        epochs: 2,
        step: 0,
        steps: 10,
    };
    let followers = method.followers(0, progress);
    let names: Vec<_> = followers
        .iter()
        .map(|f| (&f.member[..], &f.follows[..]))
        .collect();
    assert_eq!(names, [(TEACHER, STUDENT), (TEACHER_HEAD, HEAD)]);
    assert_close(&[followers[0].momentum], &[0.998]);
}

#[test]
fn the_mean_of_what_goes_into_the_last_map_is_enough_for_the_centre() {
    let (method, cast) = patchssl(small()).unwrap();
    scene_at(&cast, 0, |scene| {
        let images = scene.batch().images.clone();
        let mut stream = scene.stream();
        let kinds = method.kinds.iter();
        let views: Vec<View> = kinds
            .map(|kind| kind.draw(&images, 4, &method.normalisation, &mut stream))
            .collect();
        let all: Vec<usize> = (0..17).collect();
        let (teacher, mean) = method.teach(scene, &views, &[all.clone(), all]).unwrap();
        let logits = teacher.into_iter().map(|view| view.logits).collect();
        let expected = Tensor::cat(logits, 0).mean_dim(0).squeeze_dim::<2>(0);
        assert_close(&numbers(&mean), &numbers(&expected));
    });
}

#[test]
fn student_and_head_learn_and_the_prototypes_after_the_first_epoch() {
    let (mut of_class, cast) = dino(small()).unwrap();
    let terms = play(&mut of_class, &cast);
    let names: Vec<&str> = terms.iter().map(|term| &term.name[..]).collect();
    assert_eq!(names, ["class_token", "teacher_entropy"]);
    let (mut of_patches, cast) = patchssl(small()).unwrap();
    for (epoch, learns) in [(0, false), (1, true)] {
        let act = of_patches.stages(10)[0].acts[0].clone();
        assert!(act.trains(STUDENT) && act.trains(HEAD));
        let progress = Progress {
            epoch,
            epochs: 10,
            step: 0,
            steps: 10,
        };
        let batch = batch();
        let mut scene = Scene::new(Setting {
            cast: &cast,
            act: &act,
            batch: &batch,
            teacher: None,
            stage: progress,
            run: progress,
            task: &Pretraining,
            seed: 7,
        });
        let terms = of_patches.play(0, 0, &mut scene).unwrap();
        let names: Vec<&str> = terms.iter().map(|term| &term.name[..]).collect();
        assert_eq!(names, ["class_token", "patches", "teacher_entropy"]);
        let mut gradients = total(&terms).backward();
        let played = scene.finish();
        let members: Vec<&String> = played.tracked.keys().collect();
        assert_eq!(members, [HEAD, STUDENT]);
        for (member, store) in &played.tracked {
            let found = store.gradients(&mut gradients);
            for (entry, gradient) in store.entries().iter().zip(found) {
                let expected = match &entry.name[..] {
                    "last_layer.weight_v" => learns,
                    "last_layer.weight_g" => false,
                    _ => true,
                };
                assert_eq!(gradient.is_some(), expected, "{member}: {}", entry.name);
            }
        }
    }
}

#[test]
fn a_step_that_is_repeated_says_the_same_and_the_centre_moves() {
    let values =
        |terms: Vec<Term>| -> Vec<f64> { terms.iter().map(|term| number(&term.value)).collect() };
    let (mut first, cast) = patchssl(small()).unwrap();
    let mut second = first.clone();
    assert_eq!(
        values(play(&mut first, &cast)),
        values(play(&mut second, &cast))
    );
    assert_eq!(numbers(&first.centre), numbers(&second.centre));
    assert!(numbers(&first.centre).iter().all(|c| c.abs() > 0.0));
    assert_eq!(first.centre.dims(), [17, 12]);
    assert_ne!(
        values(play(&mut first, &cast)),
        values(play(&mut first, &cast))
    );
}

#[test]
fn what_is_remembered_can_be_put_back_and_nothing_else() {
    let (mut method, cast) = patchssl(small()).unwrap();
    play(&mut method, &cast);
    let (mut resumed, _) = patchssl(small()).unwrap();
    resumed.load_state(method.state()).unwrap();
    let of = |method: &Dino| {
        let parts = method.state().into_iter();
        parts
            .map(|(name, (shape, x))| (name, shape, numbers(&x)))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&resumed), of(&method));
    let (mut other, _) = patchssl(DinoConfig {
        prototypes: 11,
        ..small()
    })
    .unwrap();
    let error = other.load_state(method.state()).unwrap_err().to_string();
    assert!(
        error.contains("[17, 12]") && error.contains("[17, 11]"),
        "{error}"
    );
    let error = other.load_state(State::new()).unwrap_err().to_string();
    assert!(error.contains("`centre` is missing"), "{error}");
}

#[test]
fn both_kinds_of_collapse_are_told_once_and_healthy_outputs_never() {
    let watch = |logits: Vec<Vec<f64>>| {
        let (rows, prototypes) = (logits.len(), logits[0].len());
        let numbers = TensorData::new(logits.concat(), [rows, 1, prototypes]);
        let logits = Tensor::from_data(numbers, (&Device::flex(), DType::F64));
        let view = ViewTokens {
            tokens: vec![0],
            logits,
        };
        let mut watch = CollapseWatch::new(prototypes, &Device::flex(), DType::F64);
        watch.look(&[view.clone(), view]);
        watch
    };
    let mut one = watch(vec![vec![50.0, 0.0, 0.0, 0.0]; 3]);
    assert_eq!(one.warning("dino", 1), None);
    let told = one.warning("dino", 2).unwrap();
    assert!(told.contains("the same prototype"), "{told}");
    assert_eq!(one.warning("dino", 3), None);
    let told = watch(vec![vec![0.001, 0.0, 0.0, 0.0]; 3]).warning("dino", 2);
    assert!(told.unwrap().contains("all prototypes alike"));
    let healthy = vec![vec![9.0, 0.0, 0.0, 0.0], vec![0.0, 0.0, 9.0, 0.0]];
    assert_eq!(watch(healthy).warning("dino", 9), None);
    let mut nothing = CollapseWatch::new(4, &Device::flex(), DType::F64);
    assert_eq!(nothing.warning("dino", 9), None);
}

#[test]
fn settings_out_of_range_are_refused_in_one_sentence() {
    let refused = [
        (
            json!({ "prototypes": 1 }),
            "`prototypes` must be at least 2",
        ),
        (
            json!({ "teacher_temperature": 0.0 }),
            "`teacher_temperature` must be a number above 0",
        ),
        (
            json!({ "student_temperature": -1.0 }),
            "`student_temperature` must be a number above 0",
        ),
        (
            json!({ "momentum": 1.5 }),
            "`momentum` must be a number from 0 to 1",
        ),
        (
            json!({ "centre_momentum": -0.1 }),
            "`centre_momentum` must be a number from 0 to 1",
        ),
        (
            json!({ "local_size": 6 }),
            "`local_size` must be a multiple of the student's patches of 4",
        ),
        (
            json!({ "global_size": 0 }),
            "`global_size` must be a multiple",
        ),
        (
            json!({ "local_size": 20 }),
            "`local_size` must be at most as large as the large crops of 16×16",
        ),
        (
            json!({ "local_scale": 0.5 }),
            "`local_scale` must be at most global_scale",
        ),
        (
            json!({ "global_scale": 1.5 }),
            "`global_scale` must be a number from 0 to 1",
        ),
        (json!({ "enlarged": 0 }), "`enlarged` must be at least 1"),
    ];
    for (settings, text) in refused {
        let config: PatchsslConfig = serde_json::from_value(settings).unwrap();
        let error = dino(config.dino.clone()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        let error = patchssl(config.dino).unwrap_err().to_string();
        assert!(
            error.contains(text) && error.contains("`patchssl`"),
            "{error}"
        );
    }
}

#[test]
fn students_without_tokens_or_with_a_distillation_token_are_refused() {
    for (student, text) in [
        ("resnet8", "the student `resnet8`: it has no tokens"),
        ("vit_nano_distilled", "its distillation token"),
    ] {
        let mut cast = cast_of(student);
        let error = Dino::new(small(), &network_probe(), &mut cast).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn crops_of_other_sizes_and_larger_images_are_seen() {
    let config = DinoConfig {
        global_size: Some(12),
        local_size: Some(4),
        local_crops: 1,
        ..small()
    };
    let (mut method, cast) = patchssl(config).unwrap();
    assert!(number(&total(&play(&mut method, &cast))).is_finite());
    assert_eq!(method.centre.dims(), [10, 12]);
    let config = DinoConfig {
        enlarged: 2,
        local_crops: 0,
        ..small()
    };
    let (mut method, cast) = dino(config).unwrap();
    assert_eq!(method.stages(3)[0].images.enlarged, 2);
    let error = scene_at(&cast, 0, |scene| method.play(0, 0, scene)).unwrap_err();
    assert!(
        error.to_string().contains("needs images of 32×32"),
        "{error}"
    );
}

#[test]
fn settings_of_both_methods_are_called_alike() {
    let of = |value: serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let own = of(serde_json::to_value(PatchsslConfig::default()).unwrap());
    let mut expected = of(serde_json::to_value(DinoConfig::default()).unwrap());
    expected.push("patch_colours".to_owned());
    expected.sort_unstable();
    assert_eq!(own, expected);
    let unknown = serde_json::from_value::<PatchsslConfig>(json!({ "momentun": 1.0 }));
    assert!(unknown.unwrap_err().to_string().contains("momentun"));
}
