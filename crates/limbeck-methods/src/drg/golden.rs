//! Goldens of `drg`.

use std::collections::BTreeMap;

use burn::tensor::activation::sigmoid;
use limbeck_nn::TapKind;

use crate::{
    drg::{Drg, DrgConfig},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, cross_entropy, map_taps, pass, probe, supervision},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "adapter",
        tolerance: Tolerance::TIGHT,
        run: adapter,
    },
    Adapter {
        case: "loss",
        tolerance: Tolerance::TIGHT,
        run: loss,
    },
];

fn adapter(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let feature = run.input::<4>("feature");
    let labels = case.integers("in.labels");
    let target = Target::labels(labels.clone());
    let [batch, channels, ..] = feature.dims();
    assert_eq!(case.count("mid_channels"), 2 * channels);
    assert_eq!(case.count("out_channels"), 4 * channels);
    let taps = map_taps(std::slice::from_ref(&feature));
    let probe = probe(case.count("num_classes"), batch, taps, Vec::new());
    let config = DrgConfig {
        tap: "stage1".to_owned(),
        ..DrgConfig::default()
    };
    let (method, mut store) = build(&probe, |probe, builder| Drg::new(config, probe, builder));
    run.fill(&mut store);
    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let auxiliary = method.classify(&mut training, feature);
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.out("attention", &sigmoid(auxiliary.mask));
    run.out("pooled", &auxiliary.pooled);
    run.out("aux_logits", &auxiliary.logits);
    let student = auxiliary.logits.zeros_like();
    let terms = method
        .losses(student, auxiliary.logits, supervision(&target))
        .unwrap();
    run.finish(&terms[0].value)
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.input::<2>("logits");
    let auxiliary = run.input::<2>("aux_logits");
    let labels = case.integers("in.labels");
    let target = Target::labels(labels.clone());
    let [batch, classes] = logits.dims();
    let config = DrgConfig {
        temperature: case.number("temperature"),
        weight: case.number("alpha"),
        tap: "stage1".to_owned(),
    };
    // The classifier's map does not matter where its logits are given.
    let taps = vec![("stage1".to_owned(), TapKind::Map([1, 8, 8]))];
    let probe = probe(classes, batch, taps, Vec::new());
    let (method, _) = build(&probe, |probe, builder| Drg::new(config, probe, builder));
    let terms = method
        .losses(logits.clone(), auxiliary, supervision(&target))
        .unwrap();
    let ce = cross_entropy(logits, labels);
    let [own, guidance] = [0, 1].map(|i| terms[i].value.clone().mul_scalar(terms[i].weight));
    run.out("ce", &ce);
    run.out("ce_aux", &own);
    run.out("drg", &guidance);
    run.finish(&(ce + own + guidance))
}
