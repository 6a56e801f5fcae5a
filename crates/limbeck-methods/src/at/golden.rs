//! Goldens of `at`.

use std::collections::BTreeMap;

use crate::{
    Criterion,
    at::{At, AtConfig},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, map_features, map_taps, pass, probe, step},
        run::Run,
    },
};

/// All cases: the shapes alone tell them apart.
pub const ADAPTERS: &[Adapter] = &[adapter("same"), adapter("pooled")];

const fn adapter(case: &'static str) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run: stages,
    }
}

fn stages(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.inputs::<4>("student_feature");
    let teacher = run.inputs::<4>("teacher_feature");
    let [batch, ..] = student[0].dims();
    let config = AtConfig {
        weight: case.number("feat_weight"),
        p: case.count("p"),
    };
    let probe = probe(2, batch, map_taps(&student), map_taps(&teacher));
    let (mut method, store) = build(&probe, |probe, builder| At::new(config, probe, builder));
    for (i, (student, teacher)) in student.iter().zip(&teacher).enumerate() {
        let stage = method.stage(student.clone().inner(), teacher.clone().inner());
        run.out(&format!("stage.{i}"), &stage);
    }
    let student = map_features(batch, student);
    let teacher = map_features(batch, teacher);
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut pass(&store))
        .unwrap();
    run.finish(&terms[0].value.clone().mul_scalar(terms[0].weight))
}
