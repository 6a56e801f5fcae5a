use limbeck_nn::Store;

use super::*;
use crate::testing::{
    assert_close, build, gradient, leaf, map, number, numbers, outputs, pass, probe, random, terms,
    tokens as token_tap,
};

fn maps(channels: usize) -> Vec<Tap> {
    vec![
        map("stage1", [channels, 8, 8]),
        map("stage2", [2 * channels, 4, 4]),
    ]
}

fn make(config: DpkConfig) -> Result<(Dpk, Store), MethodError> {
    build(&probe(&maps(3), &maps(4)), |p, b| Dpk::new(config, p, b))
}

fn fixed(teacher_ratio: f64) -> (Dpk, Store) {
    let config = DpkConfig {
        teacher_ratio: Some(teacher_ratio),
        ..DpkConfig::default()
    };
    make(config).unwrap()
}

/// Gradient of the distance: of the student's map, and of all modules by name.
fn gradients(ratio: f64) -> (Option<Vec<f64>>, Vec<(String, f64)>) {
    let (mut method, store) = fixed(ratio);
    let tracked = store.tracked();
    let mut student = outputs("s", 4, &maps(3));
    let map = leaf(random("map", [4, 6, 4, 4]));
    let feature = limbeck_nn::Feature::Map(map.clone());
    student.features.insert("stage2".to_owned(), feature);
    let teacher = outputs("t", 4, &maps(4));
    let value = terms(&mut method, &tracked, &student, &teacher)
        .remove(0)
        .value;
    let mut found = value.backward();
    let of_map = gradient(&map, &found);
    let entries = store.entries().iter().zip(tracked.gradients(&mut found));
    let sizes = entries.map(|(entry, gradient)| {
        let size = gradient.map_or(0.0, |g| numbers(&g).iter().map(|x| x.abs()).sum());
        (entry.name.clone(), size)
    });
    (of_map, sizes.collect())
}

#[test]
fn without_a_share_the_teachers_tokens_teach_nothing() {
    let (of_map, sizes) = gradients(0.0);
    assert!(of_map.unwrap().iter().any(|g| g.abs() > 1e-9));
    for (name, size) in sizes {
        let is_teachers = name.contains("patch_t") || name.contains("enc_t");
        assert_eq!(size == 0.0, is_teachers, "{name}: {size}");
    }
}

#[test]
fn with_all_the_share_the_student_learns_nothing() {
    let (of_map, sizes) = gradients(1.0);
    assert!(of_map.is_none_or(|gradient| gradient.iter().all(|&g| g == 0.0)));
    for (name, size) in sizes {
        let is_students = name.contains("patch_s") || name.contains("enc_s");
        assert_eq!(size == 0.0, is_students, "{name}: {size}");
    }
}

#[test]
fn a_mask_has_the_same_count_in_every_row_and_takes_the_smallest() {
    let like = random("like", [1, 1, 1, 1]);
    let noise: Vec<f64> = numbers(&random("noise", [3, 16]));
    for (ratio, count) in [(0.0, 0.0), (0.4, 6.0), (0.5, 8.0), (1.0, 16.0)] {
        let mask = numbers(&teacher_mask(&noise, 16, ratio, &like));
        for (row, noise) in mask.chunks(16).zip(noise.chunks(16)) {
            assert_eq!(row.iter().sum::<f64>(), count);
            let of = |wanted: f64| {
                let pairs = row.iter().zip(noise).filter(move |&(&m, _)| m == wanted);
                pairs.map(|(_, &noise)| noise)
            };
            let greatest = of(1.0).fold(f64::NEG_INFINITY, f64::max);
            assert!(of(0.0).all(|noise| noise > greatest));
        }
    }
}

#[test]
fn the_rebuilt_map_is_laid_out_as_tiles() {
    let config = DpkConfig {
        patch: Some(2),
        teacher_ratio: Some(0.5),
        ..DpkConfig::default()
    };
    let (method, store) = make(config).unwrap();
    let prior = &method.priors[0];
    assert_eq!(prior.tokens(), 4);
    let (student, teacher) = (random("s", [2, 6, 4, 4]), random("t", [2, 8, 4, 4]));
    let tokens = prior.encode(&mut pass(&store), student, teacher.clone());
    let one = |at: usize| {
        let noise: Vec<f64> = (0..8)
            .map(|i| if i % 4 == at { 0.0 } else { 1.0 })
            .collect();
        let mask = teacher_mask(&noise, 4, 0.25, &teacher);
        prior.rebuild(&mut pass(&store), &tokens, &mask)
    };
    let rebuilt = one(3);
    assert_eq!(rebuilt.map.dims(), [2, 8, 4, 4]);
    let token = |tokens: &Tensor<3>, at| numbers(&tokens.clone().narrow(1, at, 1));
    assert_eq!(token(&rebuilt.hybrid, 3), token(&tokens.teacher, 3));
    assert_eq!(token(&rebuilt.hybrid, 0), token(&tokens.student, 0));
}

#[test]
fn the_share_falls_when_the_networks_become_alike() {
    let ratio_of = |student: &limbeck_nn::Outputs| {
        let taps = maps(4);
        let build = || {
            build(&probe(&taps, &taps), |p, b| {
                Dpk::new(DpkConfig::default(), p, b)
            })
        };
        let (mut method, store) = build().unwrap();
        let teacher = outputs("t", 6, &taps);
        let terms = terms(&mut method, &store, student, &teacher);
        assert_eq!(
            (terms[1].name.as_str(), terms[1].weight),
            ("teacher_ratio", 0.0)
        );
        number(&terms[1].value)
    };
    let taps = maps(4);
    let other = ratio_of(&outputs("s", 6, &taps));
    let same = ratio_of(&outputs("t", 6, &taps));
    assert!(same < other && other > 0.45, "{same} {other}");
    assert_close(&[same], &[0.45]);
}

#[test]
fn the_running_alignment_is_put_back_and_few_images_leave_it() {
    let (mut method, store) = make(DpkConfig::default()).unwrap();
    let step = |method: &mut Dpk, batch| {
        let (student, teacher) = (outputs("s", batch, &maps(3)), outputs("t", batch, &maps(4)));
        number(&terms(method, &store, &student, &teacher)[1].value)
    };
    step(&mut method, 4);
    let before = method.alignments.clone();
    assert_ne!(before, [FIRST_ALIGNMENT]);
    step(&mut method, 3);
    assert_eq!(method.alignments, before);
    let (mut resumed, _) = make(DpkConfig::default()).unwrap();
    resumed.load_state(method.state()).unwrap();
    assert_eq!(resumed.alignments, before);
    let error = resumed.load_state(State::new()).unwrap_err().to_string();
    assert!(
        error.contains("`alignments` is missing, expected [1]"),
        "{error}"
    );
}

#[test]
fn tokens_logits_and_resolutions_can_take_part() {
    let config = DpkConfig {
        align: DpkAlign::Tokens,
        distance: DpkDistance::Hcl,
        kd_weight: 1.0,
        ..DpkConfig::default()
    };
    let student = [token_tap("stage1", 6, [4, 4])];
    let teacher = [map("stage1", [8, 4, 4])];
    let (mut method, store) =
        build(&probe(&student, &teacher), |p, b| Dpk::new(config, p, b)).unwrap();
    let found = terms(
        &mut method,
        &store,
        &outputs("s", 4, &student),
        &outputs("t", 4, &teacher),
    );
    let names: Vec<&str> = found.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(names, ["dpk", "teacher_ratio", "kd"]);
    assert!(found.iter().all(|term| number(&term.value).is_finite()));
}

#[test]
fn the_deepest_pair_of_one_size_is_rebuilt_unless_others_are_named() {
    assert_eq!(make(DpkConfig::default()).unwrap().0.pairs()[0].0, "stage2");
    let student = [map("stage1", [3, 8, 8]), map("stage2", [6, 4, 4])];
    let teacher = [map("stage1", [4, 8, 8]), map("stage2", [8, 2, 2])];
    let new = |config: DpkConfig, p: &Probe| build(p, |p, b| Dpk::new(config, p, b));
    let mut named = probe(&student, &teacher);
    let (method, _) = new(DpkConfig::default(), &named).unwrap();
    assert_eq!(method.pairs(), [("stage1".to_owned(), "stage1".to_owned())]);
    named.pairs = Some(
        ["stage1", "stage2"]
            .map(|name| (name.to_owned(), name.to_owned()))
            .into(),
    );
    let (mut method, store) = new(DpkConfig::default(), &named).unwrap();
    assert!(store.find("stages.1.pos").is_some());
    let (s, t) = (outputs("s", 4, &student), outputs("t", 4, &teacher));
    assert_eq!(terms(&mut method, &store, &s, &t).len(), 2);
    let config = DpkConfig {
        resize: false,
        ..DpkConfig::default()
    };
    let error = new(config, &named).unwrap_err().to_string();
    assert!(error.contains("`stage2` (map [6, 4, 4])"), "{error}");
    assert!(error.contains("heights and widths differ"), "{error}");
}

#[test]
fn unfit_settings_and_batches_are_refused() {
    let refused = |change: fn(&mut DpkConfig), expected: &str| {
        let mut config = DpkConfig::default();
        change(&mut config);
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(|c| c.patch = Some(3), "patches of 3×3 do not cover");
    refused(|c| c.dim = Some(6), "cannot be cut into 4 heads");
    refused(
        |c| c.teacher_ratio = Some(1.5),
        "`teacher_ratio` must be a number from 0 to 1",
    );
    refused(|c| c.momentum = -0.1, "`momentum` must be");
    refused(|c| c.weight = f64::NAN, "`weight` must be");
    refused(|c| c.kd_weight = -1.0, "`kd_weight` must be");
    refused(|c| c.temperature = 0.0, "`temperature` must be");
    refused(|c| c.heads = 0, "`heads` must be at least 1");
    refused(|c| c.mlp_ratio = 0, "`mlp_ratio` must be at least 1");
    let mut few = probe(&maps(3), &maps(4));
    few.batch = 3;
    let error = build(&few, |p, b| Dpk::new(DpkConfig::default(), p, b)).unwrap_err();
    assert!(error.to_string().contains("at least 4 images"), "{error}");
    let config = DpkConfig {
        teacher_ratio: Some(0.5),
        ..DpkConfig::default()
    };
    assert!(build(&few, |p, b| Dpk::new(config, p, b)).is_ok());
    few.teacher = None;
    let error = build(&few, |p, b| Dpk::new(DpkConfig::default(), p, b)).unwrap_err();
    assert!(error.to_string().contains("--teacher"), "{error}");
}
