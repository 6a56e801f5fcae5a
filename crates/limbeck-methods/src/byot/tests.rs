use limbeck_nn::{Store, Tap};

use super::*;
use crate::{
    Target, cross_entropy,
    testing::{
        assert_close, build, gradient, labels, leaf, map, mixed_target, number, outputs, pass,
        probe, random, supervision, target, tensor, terms, tokens, vector,
    },
};

fn taps() -> Vec<Tap> {
    vec![
        map("stage1.preact", [3, 8, 12]),
        map("stage1", [3, 8, 12]),
        map("stage2", [4, 4, 6]),
        map("stage3", [8, 2, 3]),
        vector("pooled", 8),
    ]
}

fn make(config: ByotConfig, taps: &[Tap]) -> Result<(Byot, Store), MethodError> {
    let mut probe = probe(taps, &[]);
    probe.teacher = None;
    build(&probe, |probe, builder| Byot::new(config, probe, builder))
}

fn of_form(form: ByotForm) -> (Byot, Store) {
    let config = ByotConfig {
        form,
        ..ByotConfig::default()
    };
    make(config, &taps()).unwrap()
}

const FORMS: [ByotForm; 2] = [ByotForm::Conference, ByotForm::Journal];

fn branches() -> Vec<BranchOutput> {
    let output = |i: usize| BranchOutput {
        feature: leaf(random(&format!("f{i}"), [4, 8])),
        logits: leaf(random(&format!("z{i}"), [4, 5])),
    };
    vec![output(0), output(1)]
}

#[test]
fn branches_give_the_embeddings_width_in_both_forms() {
    for form in FORMS {
        let (method, store) = of_form(form);
        assert_eq!(method.taps, ["stage2", "stage1"]);
        for (branch, shape) in method.branches.iter().zip([[4, 4, 4, 6], [4, 3, 8, 12]]) {
            let output = branch.forward(&mut pass(&store), random("x", shape));
            assert_eq!(output.feature.dims(), [4, 8], "{form:?}");
            assert_eq!(output.logits.dims(), [4, 5], "{form:?}");
        }
    }
}

#[test]
fn without_knowledge_the_loss_is_a_sum_of_cross_entropies() {
    for form in FORMS {
        let config = ByotConfig {
            form,
            kd_share: Some(0.0),
            feature_weight: Some(0.0),
            ..ByotConfig::default()
        };
        let (mut method, store) = make(config, &taps()).unwrap();
        assert_eq!(method.task_weight(), 1.0);
        let student = outputs("s", 4, &taps());
        let found = terms(&mut method, &store, &student, &student);
        let weights: Vec<f64> = found.iter().map(|term| term.weight).collect();
        assert_eq!(weights, [1.0, 0.0, 0.0]);
        let y = labels(&[0, 1, 2, 3]);
        let own = method
            .branches
            .iter()
            .zip(&method.taps)
            .map(|(branch, tap)| {
                let map = map_of("byot", "student", &student, tap).unwrap();
                let logits = branch.forward(&mut pass(&store), map).logits;
                number(&cross_entropy(logits, &y, None, 0.0))
            });
        assert_close(&[number(&found[0].value)], &[own.sum()]);
    }
}

#[test]
fn no_gradient_reaches_what_teaches_and_the_branches_get_theirs() {
    let y = target(&[0, 1, 2, 3]);
    for form in FORMS {
        let (method, store) = of_form(form);
        let (z, f) = (leaf(random("z", [4, 5])), leaf(random("f", [4, 8])));
        for (index, reaches) in [(1, [false, true]), (2, [true, false])] {
            let branches = branches();
            let mut pass = pass(&store);
            let terms = method
                .losses(&mut pass, &z, &f, &branches, supervision(&y))
                .unwrap();
            let gradients = terms[index].value.backward();
            assert!(gradient(&z, &gradients).is_none() && gradient(&f, &gradients).is_none());
            // The farthest branch: the journal form leaves out the nearest one's feature.
            let far = &branches[1];
            let arrived = [
                gradient(&far.feature, &gradients).is_some(),
                gradient(&far.logits, &gradients).is_some(),
            ];
            assert_eq!(arrived, reaches, "{form:?}");
        }
    }
}

#[test]
fn features_that_are_off_in_both_do_not_count() {
    let (method, store) = of_form(ByotForm::Conference);
    let distance = |branch: Vec<f64>, feature: Vec<f64>| {
        let (branch, feature) = (tensor(branch, [1, 2]), tensor(feature, [1, 2]));
        number(
            &method
                .distance(&mut pass(&store), 0, branch, &feature)
                .unwrap(),
        )
    };
    assert_close(&[distance(vec![-1.0, 0.0], vec![-3.0, -2.0])], &[0.0]);
    assert_close(&[distance(vec![-1.0, 2.0], vec![3.0, -2.0])], &[32.0]);
}

#[test]
fn the_norm_of_the_journal_form_has_a_gradient_at_zero() {
    let (method, store) = of_form(ByotForm::Journal);
    let branch = leaf(random("f", [4, 8]));
    let reached = method.adaptations[1].forward(&mut pass(&store), branch.clone().inner());
    let distance = method.distance(&mut pass(&store), 1, branch.clone(), &reached);
    let distance = distance.unwrap();
    assert_close(&[number(&distance)], &[0.0]);
    let gradient = gradient(&branch, &distance.backward()).unwrap();
    assert!(gradient.iter().all(|g| g.abs() < 1e-3), "{gradient:?}");
    assert!(
        method
            .distance(&mut pass(&store), 0, branch, &reached)
            .is_none()
    );
}

#[test]
fn cross_entropies_follow_the_shares_of_mixed_images() {
    let (method, store) = of_form(ByotForm::Conference);
    let (z, f) = (random("z", [1, 5]), random("f", [1, 8]));
    let branches = [BranchOutput {
        feature: random("f0", [1, 8]),
        logits: random("z0", [1, 5]),
    }];
    let own = |y: &Target| {
        let mut pass = pass(&store);
        let terms = method
            .losses(&mut pass, &z, &f, &branches, supervision(y))
            .unwrap();
        number(&terms[0].value)
    };
    let shares = tensor(vec![0.3, 0.0, 0.7, 0.0, 0.0], [1, 5]);
    let expected = 0.3 * own(&target(&[0])) + 0.7 * own(&target(&[2]));
    assert_close(&[own(&mixed_target(&[2], shares))], &[expected]);
}

#[test]
fn tokens_and_equal_maps_are_read_too() {
    let taps: Vec<Tap> = (1..=4)
        .map(|i| tokens(&format!("stage{i}"), 8, [2, 2]))
        .chain([vector("pooled", 8)])
        .collect();
    for form in FORMS {
        let config = ByotConfig {
            form,
            ..ByotConfig::default()
        };
        let (mut method, store) = make(config, &taps).unwrap();
        let student = outputs("s", 4, &taps);
        assert_eq!(terms(&mut method, &store, &student, &student).len(), 3);
    }
}

#[test]
fn students_and_settings_that_do_not_fit_are_refused() {
    let refused = |config: ByotConfig, taps: &[Tap]| make(config, taps).unwrap_err().to_string();
    let default = ByotConfig::default;
    let with = |stage2: [usize; 3], width| {
        let stages = [map("stage1", [3, 8, 8]), map("stage2", stage2)];
        [&stages[..], &[vector("pooled", width)]].concat()
    };
    let ratio = refused(default(), &with([8, 3, 3], 8));
    assert!(ratio.contains("`stage1` (map [3, 8, 8])"), "{ratio}");
    assert!(
        ratio.contains("multiples of the last stage's 3×3"),
        "{ratio}"
    );
    let quarter = refused(default(), &with([6, 4, 4], 6));
    assert!(quarter.contains("6 is not divisible by 4"), "{quarter}");
    let one = refused(default(), &[map("stage1", [4, 4, 4]), vector("pooled", 4)]);
    assert!(one.contains("the student has 1 stages"), "{one}");
    let embedding = refused(default(), &[map("stage1", [4, 4, 4])]);
    assert!(embedding.contains("no tap `pooled`"), "{embedding}");

    let mut alone = probe(&with([8, 1, 1], 8), &[]);
    alone.batch = 1;
    let error = build(&alone, |p, b| Byot::new(default(), p, b)).unwrap_err();
    assert!(error.to_string().contains("at least 2 images"), "{error}");

    for (temperature, kd_share, feature_weight, expected) in [
        (0.0, 0.1, 0.0, "`temperature` must be a number above 0"),
        (3.0, 1.5, 0.0, "`kd_share` must be a number from 0 to 1"),
        (
            3.0,
            f64::NAN,
            0.0,
            "`kd_share` must be a number from 0 to 1",
        ),
        (
            3.0,
            0.1,
            -1.0,
            "`feature_weight` must be a number of at least 0",
        ),
    ] {
        let config = ByotConfig {
            form: ByotForm::Conference,
            temperature,
            kd_share: Some(kd_share),
            feature_weight: Some(feature_weight),
        };
        let error = refused(config, &taps());
        assert!(error.contains(expected), "{error}");
    }
}
