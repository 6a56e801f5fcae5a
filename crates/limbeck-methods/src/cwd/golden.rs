//! Goldens of `cwd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Feature, Outputs};

use crate::{
    Criterion,
    cwd::{Cwd, CwdConfig, Divisor},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, dense_outputs, dense_probe, dense_step, map_kind, pass},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "logits",
        tolerance: Tolerance::TIGHT,
        run: logits,
    },
    Adapter {
        case: "feature",
        tolerance: Tolerance::TIGHT,
        run: feature,
    },
];

fn logits(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student: Tensor<4> = run.input("student_logits");
    let teacher: Tensor<4> = run.input("teacher_logits");
    let config = CwdConfig {
        logits_weight: case.number("weight"),
        temperature: case.number("temperature"),
        ..CwdConfig::default()
    };
    let probe = dense_probe(&student, &teacher, Vec::new(), Vec::new());
    let (method, store) = build(&probe, |probe, builder| Cwd::new(config, probe, builder));
    let outputs = |logits| Outputs {
        prediction: Feature::Map(logits),
        features: BTreeMap::new(),
    };
    finish(run, method, store, &outputs(student), &outputs(teacher))
}

fn feature(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student: Tensor<4> = run.input("student_feature");
    let teacher: Tensor<4> = run.input("teacher_feature");
    let config = CwdConfig {
        logits_weight: 0.0,
        feature_weight: case.number("weight"),
        temperature: case.number("temperature"),
        divisor: Divisor::StudentChannels,
    };
    let tap = |map: &Tensor<4>| vec![("feature".to_owned(), map_kind(map))];
    let probe = dense_probe(&student, &teacher, tap(&student), tap(&teacher));
    let (method, mut store) = build(&probe, |probe, builder| Cwd::new(config, probe, builder));
    run.fill(&mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    finish(
        run,
        method,
        tracked,
        &dense_outputs(student),
        &dense_outputs(teacher),
    )
}

fn finish(
    mut run: Run<'_>,
    mut method: Cwd,
    store: limbeck_nn::Store,
    student: &Outputs,
    teacher: &Outputs,
) -> BTreeMap<String, Values> {
    let step = dense_step(student, teacher, &Target::None);
    let terms = method.terms(&step, &mut pass(&store)).unwrap();
    run.out("unweighted", &terms[0].value);
    run.finish(&terms[0].value.clone().mul_scalar(terms[0].weight))
}
