//! Goldens of `nfd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde_json::Value;

use crate::{
    Criterion,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, map_features, map_taps, pass, probe, step},
        run::Run,
    },
    nfd::{Nfd, NfdConfig, NormalisedOver},
};

/// Maps alike, with what each choice of axes makes of them, and maps of other channels and size.
pub const ADAPTERS: &[Adapter] = &[adapter("hw"), adapter("adapter")];

const fn adapter(case: &'static str) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn run(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    let taps = |map: &Tensor<4>| map_taps(std::slice::from_ref(map));
    let [batch, ..] = student.dims();
    let probe = probe(2, batch, taps(&student), taps(&teacher));
    let config = NfdConfig {
        weight: case.number("weight"),
        dims: dims(case.setting("dims")),
        epsilon: case.number("eps"),
        ..NfdConfig::default()
    };
    let make = |config| build(&probe, |probe, builder| Nfd::new(config, probe, builder));
    let (mut method, mut store) = make(config.clone());
    run.fill(&mut store);
    let (plain, against) = (student.clone().inner(), teacher.clone().inner());
    let adapted = method.adapted(&mut pass(&store), 0, plain.clone(), &against);
    run.out("adapted", &adapted);
    run.out("norm_student", &method.normalise(adapted));
    for name in ["hw", "c", "chw", "nhw"] {
        if !case.has(&format!("out.loss_{name}")) {
            continue;
        }
        let (mut other, store) = make(NfdConfig {
            dims: dims(&name.into()),
            ..config.clone()
        });
        let maps = [&plain, &against].map(|map| map_features(batch, vec![map.clone()]));
        let terms = other
            .terms(&step(&maps[0], &maps[1], &Target::None), &mut pass(&store))
            .unwrap();
        run.out(&format!("loss_{name}"), &terms[0].value);
    }
    let tracked = store.tracked();
    let student = map_features(batch, vec![student]);
    let teacher = map_features(batch, vec![teacher]);
    let terms = method
        .terms(
            &step(&student, &teacher, &Target::None),
            &mut pass(&tracked),
        )
        .unwrap();
    run.track(&tracked);
    run.finish(&terms[0].value.clone().mul_scalar(terms[0].weight))
}

fn dims(name: &Value) -> NormalisedOver {
    serde_json::from_value(name.clone()).unwrap()
}
