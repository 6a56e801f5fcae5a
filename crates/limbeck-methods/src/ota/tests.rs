//! Laws of the copy, of the images that are made, and of the distillation.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::Stream;
use limbeck_nn::Network;

use super::{jitter::Jitter, representer::Representer, *};
use crate::{
    Batch, Classification, HeldOut, Played, Setting, TeacherNetwork,
    rehearsal::{BATCH, batch, headless, total},
    testing::{INPUT, assert_close, network, network_probe, number, numbers, random},
};

/// The method for `resnet8` with the settings of `config`.
fn make_of(teacher: Network, config: OtaConfig) -> Result<(Ota, Cast), MethodError> {
    let mut probe = network_probe();
    probe.teacher = Some(teacher.taps());
    probe.teacher_network = Some(TeacherNetwork {
        network: teacher,
        normalisation: probe.training.normalisation.clone(),
    });
    let mut cast = Cast::new(network("resnet8", 1));
    let method = Ota::new(config, &probe, &mut cast)?;
    Ok((method, cast))
}

fn make(config: OtaConfig) -> (Ota, Cast) {
    make_of(network("resnet14", 2), config).unwrap()
}

/// Few steps, without chance but in the noise.
fn still() -> OtaConfig {
    OtaConfig {
        steps: 3,
        other_class: 0.0,
        flip: 0.0,
        roll: 0,
        ..OtaConfig::default()
    }
}

fn stage_of(method: &Ota, name: &str) -> usize {
    let stages = method.stages(2);
    stages.iter().position(|stage| stage.name == name).unwrap()
}

/// Plays a step of the stage called `name`.
fn play(
    method: &mut Ota,
    cast: &Cast,
    name: &str,
    seed: u64,
) -> Result<(Vec<Term>, Played), MethodError> {
    let stage = stage_of(method, name);
    let act = method.stages(2).remove(stage).acts.remove(0);
    let progress = Progress {
        epoch: 0,
        epochs: 2,
        step: 0,
        steps: 1,
    };
    let batch = batch(1);
    let mut scene = Scene::new(Setting {
        cast,
        act: &act,
        batch: &batch,
        teacher: None,
        stage: progress,
        run: progress,
        task: &Classification::PLAIN,
        seed,
    });
    let terms = method.play(stage, 0, &mut scene)?;
    Ok((terms, scene.finish()))
}

fn term(terms: &[Term], name: &str) -> f64 {
    number(&terms.iter().find(|term| term.name == name).unwrap().value)
}

fn values(network: &Network) -> Vec<Vec<f64>> {
    let entries = network.store.entries().iter();
    entries.map(|entry| numbers(&entry.value)).collect()
}

fn guided(images: Tensor<4>, targets: Vec<usize>) -> Guided {
    Guided {
        images,
        labels: vec![0, 1, 2, 3],
        targets,
    }
}

fn labels_of(guided: &Guided) -> Tensor<1, Int> {
    let labels: Vec<i64> = guided.targets.iter().map(|&class| class as i64).collect();
    let device = guided.images.device();
    Tensor::from_data(TensorData::new(labels, [guided.targets.len()]), &device)
}

const STILL: Jitter = Jitter::NONE;

#[test]
fn the_copy_has_the_teachers_backbone_a_head_of_its_own_and_the_students_classes() {
    let teacher = network("resnet14", 2);
    let (_, cast) = make_of(teacher.clone(), OtaConfig::default()).unwrap();
    let copy = cast.network(TASK).unwrap();
    assert_eq!(copy.input(), INPUT);
    let entries = copy.store.entries().iter().zip(teacher.store.entries());
    for (own, from) in entries {
        let same = numbers(&own.value) == numbers(&from.value);
        let is_backbone = copy.is_backbone(&own.name).unwrap();
        assert!(
            same == is_backbone || own.shape == [INPUT.classes],
            "{}",
            own.name
        );
    }
}

#[test]
fn an_image_that_is_its_guide_is_at_no_distance_and_far_ones_are_drawn_closer() {
    let (method, cast) = make(OtaConfig {
        bn_weight: 0.0,
        ..still()
    });
    let copy = cast.network(TASK).unwrap();
    let guided = guided(batch(1).images, vec![0, 1, 2, 3]);
    let labels = labels_of(&guided);
    let terms = |images: Tensor<4>| {
        let generator = &method.generator;
        generator
            .terms(copy, None, &guided, &labels, &images, STILL)
            .unwrap()
    };
    assert_eq!(number(&terms(guided.images.clone()).guide), 0.0);
    let distance = |weight: f64, steps: usize| {
        let config = OtaConfig {
            guide_weight: weight,
            steps,
            ..still()
        };
        let (method, _) = make(config);
        let mut stream = Stream::of_seed(5);
        let made = method
            .generator
            .run(copy, None, &guided, &mut stream)
            .unwrap();
        number(&terms(made.images).guide)
    };
    let (near, free, before) = (distance(100.0, 30), distance(0.0, 30), distance(100.0, 1));
    assert!(
        near < 0.5 * before && near < free,
        "{near}, {free}, {before}"
    );
}

#[test]
fn the_loss_falls_and_most_images_become_of_the_class_that_they_are_made_for() {
    let made = |steps, targets: Vec<usize>| {
        let config = OtaConfig {
            steps,
            guide_weight: 0.1,
            ..still()
        };
        let (method, cast) = make(config.clone());
        let copy = cast.network(TASK).unwrap();
        let guided = guided(batch(1).images, targets.clone());
        let mut stream = Stream::of_seed(5);
        let made = method
            .generator
            .run(copy, None, &guided, &mut stream)
            .unwrap();
        let logits = copy.evaluate(made.images, &Taps::none()).logits();
        let chosen: Vec<i64> = logits.argmax(1).reshape([BATCH]).try_into_vec_as().unwrap();
        let right = chosen.iter().zip(&targets);
        let right = right.filter(|(a, b)| **a == **b as i64).count();
        (number(&made.objective.total(&config)), right)
    };
    let targets = vec![4, 3, 2, 0];
    let ((first, _), (last, right)) = (made(1, targets.clone()), made(60, targets));
    assert!(last < first, "{last} and {first}");
    assert!(right >= 3, "{right} of 4");
}

#[test]
fn images_for_another_class_are_guided_by_the_shallow_half_alone() {
    let (method, cast) = make(still());
    let copy = cast.network(TASK).unwrap();
    let images = random("made", [BATCH, 3, 16, 16]);
    let of = |targets| {
        let guided = guided(batch(1).images, targets);
        let labels = labels_of(&guided);
        let generator = &method.generator;
        let terms = generator.terms(copy, None, &guided, &labels, &images, STILL);
        number(&terms.unwrap().guide)
    };
    let (own, some, all) = (
        of(vec![0, 1, 2, 3]),
        of(vec![0, 2, 2, 3]),
        of(vec![1, 2, 3, 4]),
    );
    assert!(
        own > some && some > all && all > 0.0,
        "{own}, {some}, {all}"
    );
    // Of three stages two are shallow.
    let taps = Taps::from_iter(["stage1", "stage2"]);
    let [made, guide] = [images.clone(), batch(1).images].map(|it| copy.evaluate(it, &taps));
    let apart = |tap: &str| {
        let [made, guide] = [&made, &guide].map(|it| it.feature(tap).unwrap().to_map().unwrap());
        number(&(made - guide).square().mean())
    };
    assert_close(&[all], &[(apart("stage1") + apart("stage2")) / 3.0]);
}

#[test]
fn nothing_but_the_gallery_changes_when_images_are_made_and_pixels_stay_pixels() {
    let (mut method, cast) = make(still());
    let before = values(cast.network(TASK).unwrap());
    let (terms, played) = play(&mut method, &cast, "generate", 3).unwrap();
    assert!(played.tracked.is_empty() && played.updates.is_empty());
    assert_eq!(values(cast.network(TASK).unwrap()), before);
    assert!(terms.iter().all(|term| !term.value.is_tracked()));
    let share = term(&terms, "of_class");
    assert!((0.0..=1.0).contains(&share));
    assert_eq!(method.gallery.count(), BATCH);
    let shown = method.made_images();
    assert_eq!(shown.len(), BATCH);
    for made in &shown {
        assert_eq!((made.image.width, made.image.channels), (16, 3));
        assert_eq!(made.label, made.made_for);
        assert!(made.chosen.1 > 0.0 && made.chosen.1 <= 1.0);
    }
    // Half of all normal numbers are outside of what pixels with this normalisation can be.
    let images = method
        .generator
        .range
        .clamp(random("far", [1, 3, 16, 16]).mul_scalar(9.0));
    let greatest = images.clone().abs().max();
    assert_close(&[number(&greatest)], &[2.0]);
}

#[test]
fn the_logits_that_are_kept_are_those_of_the_bytes() {
    let (mut method, cast) = make(still());
    play(&mut method, &cast, "generate", 3).unwrap();
    let bytes = method.gallery.bytes_of(&[2]);
    let image = method.generator.range.images(&bytes, [1, 3, 16, 16]);
    assert_eq!(method.generator.range.bytes(&image), bytes);
    let copy = cast.network(TASK).unwrap();
    let logits = copy.evaluate(image, &Taps::none()).logits();
    let kept = method
        .gallery
        .logits_of(&[2], (cast.device(), cast.dtype()));
    assert_close(&numbers(&kept), &numbers(&logits));
}

#[test]
fn what_was_made_is_put_back_and_taught_to_the_same_bits() {
    let (mut method, cast) = make(still());
    play(&mut method, &cast, "generate", 3).unwrap();
    let (mut other, _) = make(still());
    other.load_state(method.state()).unwrap();
    assert_eq!(other.made_images(), method.made_images());
    let terms = |method: &mut Ota| {
        let (terms, _) = play(method, &cast, "distil", 9).unwrap();
        (term(&terms, "task"), term(&terms, "kd"))
    };
    assert_eq!(terms(&mut other), terms(&mut method));
    // And it goes on from there.
    for method in [&mut method, &mut other] {
        play(method, &cast, "generate", 4).unwrap();
        assert_eq!(method.gallery.count(), 2 * BATCH);
    }
    assert_eq!(other.state().len(), method.state().len());
    let drawn: Vec<usize> = (0..2 * BATCH).collect();
    assert_eq!(
        other.gallery.bytes_of(&drawn),
        method.gallery.bytes_of(&drawn)
    );

    let mut state = method.state();
    state.remove("bytes");
    let error = other.load_state(state).unwrap_err().to_string();
    assert!(error.contains("8 made images"), "{error}");
}

#[test]
fn made_images_have_no_part_where_alpha_is_0_and_none_are_made_where_none_are_asked_for() {
    let config = OtaConfig {
        alpha: 0.0,
        ..still()
    };
    let (mut method, cast) = make(config.clone());
    let (without, _) = play(&mut method, &cast, "distil", 9).unwrap();
    play(&mut method, &cast, "generate", 3).unwrap();
    let (with, _) = play(&mut method, &cast, "distil", 9).unwrap();
    assert_eq!(term(&with, "task"), term(&without, "task"));
    assert_eq!(number(&total(&with)), term(&without, "task"));
    let none = OtaConfig {
        per_image: 0,
        ..config
    };
    let (method, _) = make(none);
    let names: Vec<String> = method
        .stages(3)
        .into_iter()
        .map(|stage| stage.name)
        .collect();
    assert_eq!(names, ["first", "real", "distil"]);
}

#[test]
fn made_images_are_half_of_what_the_student_sees() {
    let (mut method, cast) = make(still());
    let (alone, _) = play(&mut method, &cast, "distil", 9).unwrap();
    play(&mut method, &cast, "generate", 3).unwrap();
    let (both, played) = play(&mut method, &cast, "distil", 9).unwrap();
    assert_ne!(term(&both, "kd"), term(&alone, "kd"));
    assert!(played.tracked.contains_key(STUDENT) && !played.tracked.contains_key(TASK));
    let [judged, _] = played.judged.unwrap().to_rows().dims();
    assert_eq!(judged, BATCH);
}

#[test]
fn fine_tuning_is_on_what_the_re_representer_draws_and_then_on_the_images() {
    let (mut method, cast) = make(still());
    let plain = |method: &mut Ota, stage| {
        let (terms, _) = play(method, &cast, stage, 9).unwrap();
        term(&terms, "task")
    };
    // Without one both are plain.
    assert_eq!(plain(&mut method, "first"), plain(&mut method, "real"));
    let range = method.generator.range.clone();
    let own = crate::Normalisation::new(&[0.4; 3], &[0.3; 3]);
    let autoencoder = headless("vq_autoencoder", 6);
    let representer = Representer::of(autoencoder, &own, INPUT, &range).unwrap();
    let drawn = representer.represent(batch(1).images).unwrap();
    assert_eq!(drawn.dims(), batch(1).images.dims());
    assert_eq!(numbers(&range.clamp(drawn.clone())), numbers(&drawn));
    method.representer = Some(representer);
    let real = plain(&mut method, "real");
    assert_ne!(plain(&mut method, "re-represented"), real);
    let copy = cast.network(TASK).unwrap();
    let (outputs, _) = copy.train(&copy.store, drawn, &Taps::none(), 0);
    let target = batch(1).target;
    let labels = target.classes("test").unwrap().0.clone();
    let expected = crate::cross_entropy(outputs.logits(), &labels, None, 0.0);
    assert_close(
        &[plain(&mut method, "re-represented")],
        &[number(&expected)],
    );
    method.config.mix = 1.0;
    assert_eq!(plain(&mut method, "real"), number(&expected));
    method.config.mix = 0.5;
    let mixed = plain(&mut method, "real");
    assert!(mixed != real && mixed != number(&expected));
}

#[test]
fn rates_are_those_of_the_recipe_in_their_shares() {
    let (method, _) = make(OtaConfig::default());
    let progress = Progress {
        epoch: 0,
        epochs: 2,
        step: 0,
        steps: 1,
    };
    let rate = |name: &str| method.learning_rate(stage_of(&method, name), 0, progress, 2.0);
    assert_close(
        &[rate("first"), rate("real"), rate("distil")],
        &[0.2, 0.02, 2.0],
    );
    assert_eq!(rate("generate"), 0.05);
    let act = &method.stages(2)[0].acts[0];
    assert_eq!(act.optimizer.head_factor, Some(10.0));
    let epochs: Vec<usize> = method.stages(7).iter().map(|stage| stage.epochs).collect();
    assert_eq!(epochs, [7, 7, 4, 7]);
}

struct Two;

impl HeldOut for Two {
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        look(&batch(1))?;
        let mut second = batch(1);
        second.images = random("second", [BATCH, 3, 16, 16]);
        look(&second)
    }
}

#[test]
fn networks_without_batch_norms_are_held_to_what_their_stages_have_for_the_images() {
    let (mut method, mut cast) = make_of(network("vit_nano", 2), still()).unwrap();
    assert_eq!(method.sampled(), 20);
    let error = play(&mut method, &cast, "generate", 3)
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("bn_weight"), "{error}");
    let mut interlude = Interlude {
        cast: &mut cast,
        teacher: None,
        held_out: Some(&Two),
    };
    let stage = stage_of(&method, "generate");
    method.begin_stage(stage, &mut interlude).unwrap();
    let recorded = method.recorded.clone().unwrap();
    let copy = cast.network(TASK).unwrap();
    let both = Tensor::cat(
        vec![batch(1).images, random("second", [BATCH, 3, 16, 16])],
        0,
    );
    let taps = Taps::from_iter(&method.generator.taps);
    let outputs = copy.evaluate(both, &taps);
    for (tap, [mean, variance]) in method.generator.taps.iter().zip(&recorded.of) {
        let rows = outputs.feature(tap).unwrap().to_rows();
        let expected = rows.clone().mean_dim(0);
        let spread = (rows - expected.clone()).square().mean_dim(0);
        let close = |found: &[f64], expected: &[f64]| {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-8 * (1.0 + b.abs()), "{tap}: {a} and {b}");
            }
        };
        close(&numbers(mean), &numbers(&expected));
        close(&numbers(variance), &numbers(&spread));
    }
    let (terms, _) = play(&mut method, &cast, "generate", 3).unwrap();
    assert!(term(&terms, "bn") > 0.0);
    let (mut other, _) = make_of(network("vit_nano", 2), still()).unwrap();
    other.load_state(method.state()).unwrap();
    let again = |method: &mut Ota| term(&play(method, &cast, "generate", 4).unwrap().0, "bn");
    assert_eq!(again(&mut other), again(&mut method));
    // With batch norms nothing has to be looked at.
    assert_eq!(make(still()).0.sampled(), 0);
}

#[test]
fn the_statistics_of_batch_norms_are_those_of_what_they_are_given() {
    let copy = network("resnet8", 4);
    let images = batch(1).images;
    let (outputs, norms) = copy.evaluate_with_norms(images.clone(), &Taps::none());
    let plain = copy.evaluate(images.clone(), &Taps::none());
    assert_eq!(numbers(&outputs.logits()), numbers(&plain.logits()));
    let means: Vec<&str> = copy
        .store
        .entries()
        .iter()
        .map(|entry| entry.name.as_str())
        .filter(|name| name.ends_with("running_mean"))
        .collect();
    assert_eq!(norms.len(), means.len());
    // What a step of training moves a tenth of the way to.
    let (_, updates) = copy.train(&copy.store, images, &Taps::none(), 0);
    let first = copy.store.find(means[0]).unwrap();
    let [mean, _] = objective::statistics(norms[0].input.clone());
    let moved = norms[0].mean.clone().mul_scalar(0.9) + mean.mul_scalar(0.1);
    assert_close(&numbers(&updates[&first]), &numbers(&moved));
}

#[test]
fn few_images_of_their_class_are_told_once() {
    let (mut method, cast) = make(still());
    assert!(method.warnings().is_empty());
    play(&mut method, &cast, "generate", 3).unwrap();
    method.gallery.clear();
    let logits = Tensor::zeros([4, 5], (cast.device(), cast.dtype()));
    let guided = guided(batch(1).images, vec![1, 2, 3, 4]);
    let bytes = vec![0; 4 * 3 * 16 * 16];
    assert_eq!(
        method.gallery.add(bytes.clone(), &logits, &guided, bytes),
        0.0
    );
    let told = method.warnings();
    assert!(
        told[0].contains("0 %") && told[0].contains("method.ota.steps"),
        "{told:?}"
    );
    assert!(method.warnings().is_empty());
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence() {
    let refused = |config| {
        let made = make_of(network("resnet14", 2), config);
        made.map(drop).unwrap_err().to_string()
    };
    let default = OtaConfig::default;
    let cases = [
        (
            OtaConfig {
                guide_weight: -1.0,
                ..default()
            },
            "`guide_weight`",
        ),
        (
            OtaConfig {
                steps: 0,
                ..default()
            },
            "`steps`",
        ),
        (
            OtaConfig {
                finetune_epochs: Some(0),
                ..default()
            },
            "`finetune_epochs`",
        ),
        (
            OtaConfig {
                backbone_rate: 0.0,
                ..default()
            },
            "`backbone_rate`",
        ),
        (
            OtaConfig {
                other_class: 1.5,
                ..default()
            },
            "`other_class`",
        ),
        (
            OtaConfig {
                temperature: 0.0,
                ..default()
            },
            "`temperature`",
        ),
        (
            OtaConfig {
                mix: 0.25,
                ..default()
            },
            "no re-representer",
        ),
        (
            OtaConfig {
                represent: Some("nowhere.safetensors".to_owned()),
                ..default()
            },
            "nowhere.safetensors",
        ),
    ];
    for (config, words) in cases {
        let error = refused(config);
        assert!(
            error.contains(words) && error.contains("`ota`"),
            "{words}: {error}"
        );
    }
    let range = make(default()).0.generator.range;
    let usual = crate::Normalisation::identity(3);
    let other = |network, input| {
        let error = Representer::of(network, &usual, input, &range).unwrap_err();
        error.to_string()
    };
    let error = other(network("resnet8", 1), INPUT);
    assert!(error.contains("vq_autoencoder"), "{error}");
    let larger = INPUT.resized([32, 32]);
    let error = other(headless("vq_autoencoder", 1), larger);
    assert!(
        error.contains("16×16") && error.contains("32×32"),
        "{error}"
    );
    // A teacher that segments, one for other images, and one of which there are outputs alone.
    let of_another_size = |name| {
        let (device, dtype) = (burn::tensor::Device::flex(), burn::tensor::DType::F64);
        let built = limbeck_nn::model::build(name, larger, 1, &device, dtype);
        let made = make_of(built.unwrap(), default());
        made.map(drop).unwrap_err().to_string()
    };
    let error = of_another_size("pspnet_resnet18_x0.06");
    assert!(error.contains("segments"), "{error}");
    let error = of_another_size("vit_nano");
    assert!(error.contains("augment.size"), "{error}");
    let mut cast = Cast::new(network("resnet8", 1));
    let error = Ota::new(default(), &network_probe(), &mut cast).unwrap_err();
    assert!(error.to_string().contains("stored outputs"), "{error}");
}
