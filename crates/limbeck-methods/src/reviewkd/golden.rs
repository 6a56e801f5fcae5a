//! Goldens of `reviewkd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{
    Criterion,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, map_features, map_taps, pass, probe, step},
        run::Run,
    },
    reviewkd::{ReviewKd, ReviewKdConfig},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "hcl",
        tolerance: Tolerance::TIGHT,
        run: hcl,
    },
    Adapter {
        case: "full",
        tolerance: Tolerance::TIGHT,
        run: full,
    },
];

fn hcl(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.setting("levels"), &serde_json::json!([4, 2, 1]));
    let mut run = Run::new(case);
    let student = run.inputs::<4>("student_feature");
    let teacher = run.inputs::<4>("teacher_feature");
    let [batch, ..] = student[0].dims();
    let probe = probe(2, batch.max(2), map_taps(&student), map_taps(&teacher));
    let config = ReviewKdConfig::default();
    let (method, _) = build(&probe, |probe, builder| {
        ReviewKd::new(config, probe, builder)
    });
    let stages: Vec<Tensor<1>> = student
        .into_iter()
        .zip(teacher)
        .map(|(student, teacher)| method.level(student, teacher.inner()))
        .collect();
    for (i, stage) in stages.iter().enumerate() {
        run.out(&format!("stage.{i}"), stage);
    }
    run.finish(&Tensor::cat(stages, 0).sum())
}

fn full(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.inputs::<4>("student_feature");
    let teacher = run.inputs::<4>("teacher_feature");
    let [batch, ..] = student[0].dims();
    let config = ReviewKdConfig {
        weight: case.number("weight"),
        warmup_epochs: case.count("warmup"),
        mid_channels: Some(case.count("mid_channel")),
        ..ReviewKdConfig::default()
    };
    let probe = probe(2, batch, map_taps(&student), map_taps(&teacher));
    let (mut method, mut store) = build(&probe, |probe, builder| {
        ReviewKd::new(config, probe, builder)
    });
    run.fill(&mut store);
    let plain = student.iter().map(|map| map.clone().inner()).collect();
    let fused = method.fuse(&mut pass(&store), plain);
    for (i, map) in fused.iter().enumerate() {
        run.out(&format!("fused.{i}"), map);
    }

    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let student = map_features(batch, student);
    let teacher = map_features(batch, teacher);
    let mut step = step(&student, &teacher, &Target::None);
    // The file counts epochs from 1.
    step.progress.epoch = case.count("epoch") - 1;
    let terms = method.terms(&step, &mut training).unwrap();
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.out("hcl", &terms[0].value);
    run.finish(&terms[0].value.clone().mul_scalar(terms[0].weight))
}
