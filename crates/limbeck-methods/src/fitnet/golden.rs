//! Goldens of `fitnet`.

use std::collections::BTreeMap;

use limbeck_nn::Feature;

use crate::{
    Criterion,
    fitnet::{FitNet, FitNetConfig},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, features, map_kind, pass, probe, step},
        run::Run,
    },
};

/// All cases: the shapes alone tell them apart.
pub const ADAPTERS: &[Adapter] = &[adapter("same"), adapter("down"), adapter("up")];

const fn adapter(case: &'static str) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run: hint,
    }
}

const TAP: &str = "stage2";

fn hint(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    let [batch, ..] = student.dims();
    let config = FitNetConfig {
        weight: case.number("feat_weight"),
        use_relu: case.flag("use_relu"),
        ..FitNetConfig::default()
    };
    let probe = probe(
        2,
        batch,
        vec![(TAP.to_owned(), map_kind(&student))],
        vec![(TAP.to_owned(), map_kind(&teacher))],
    );
    let (mut method, mut store) =
        build(&probe, |probe, builder| FitNet::new(config, probe, builder));
    run.fill(&mut store);
    let regressed = method.regress(&mut pass(&store), student.clone().inner());
    run.out("regressed", &regressed);

    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let outputs = |map| features(batch, 2, vec![(TAP.to_owned(), Feature::Map(map))]);
    let (student, teacher) = (outputs(student), outputs(teacher));
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut training)
        .unwrap();
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.out("mse", &terms[0].value);
    run.finish(&terms[0].value.clone().mul_scalar(terms[0].weight))
}
