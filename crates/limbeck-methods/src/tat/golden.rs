//! Goldens of `tat` for classification.

use std::collections::BTreeMap;

use crate::{
    Criterion,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, map_features, map_taps, pass, probe, step},
        run::Run,
    },
    tat::{Tat, TatConfig},
};

/// The cases of classification: the configuration's orientation tells them apart.
pub const ADAPTERS: &[Adapter] = &[adapter("cls"), adapter("cls_paper")];

const fn adapter(case: &'static str) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run: classification,
    }
}

fn classification(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    let [batch, ..] = student.dims();
    let config = TatConfig {
        heads: case.count("heads"),
        orientation: serde_json::from_value(case.setting("orientation").clone()).unwrap(),
        ..TatConfig::default()
    };
    let taps = |map| map_taps(std::slice::from_ref(map));
    let probe = probe(2, batch, taps(&student), taps(&teacher));
    let (mut method, mut store) = build(&probe, |probe, builder| Tat::new(config, probe, builder));
    run.fill(&mut store);
    let rebuilt = method.rebuild(
        &mut pass(&store),
        student.clone().inner(),
        teacher.clone().inner(),
    );
    run.out("query", &rebuilt.query);
    run.out("value", &rebuilt.value);
    run.out("attention", &rebuilt.attention);
    run.out("reconstructed", &rebuilt.map);

    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let student = map_features(batch, vec![student]);
    let teacher = map_features(batch, vec![teacher]);
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut training)
        .unwrap();
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.finish(&terms[0].value)
}
