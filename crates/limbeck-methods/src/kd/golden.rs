//! Goldens of `kd`.

use std::collections::BTreeMap;

use limbeck_nn::Outputs;

use crate::{
    Criterion,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, cross_entropy, pass, probe, step},
        run::Run,
    },
    kd::Kd,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "loss",
    tolerance: Tolerance::TIGHT,
    run: loss,
}];

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = Outputs::from_logits(run.input("student_logits"));
    let teacher = Outputs::from_logits(run.input("teacher_logits"));
    let labels = case.integers("in.labels");
    let settings = case.settings(&[
        ("temperature", "temperature"),
        ("ce_weight", "ce_weight"),
        ("kd_weight", "kd_weight"),
    ]);
    let [batch, classes] = student.logits().dims();
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let config = serde_json::from_value(settings).unwrap();
    let (mut method, store) = build(&probe, |probe, builder| Kd::new(config, probe, builder));
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut pass(&store))
        .unwrap();
    let ce = cross_entropy(student.logits(), labels);
    run.out("ce", &ce);
    run.out("kd", &terms[0].value);
    let loss =
        ce.mul_scalar(method.task_weight()) + terms[0].value.clone().mul_scalar(terms[0].weight);
    run.finish(&loss)
}
