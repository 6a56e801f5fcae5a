//! Goldens of `dkd`.

use std::collections::BTreeMap;

use limbeck_nn::Outputs;

use crate::{
    Criterion, Step,
    dkd::{Dkd, DkdConfig},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, cross_entropy, pass, probe, step},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "loss",
    tolerance: Tolerance::USUAL,
    run: loss,
}];

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = Outputs::from_logits(run.input("student_logits"));
    let teacher = Outputs::from_logits(run.input("teacher_logits"));
    let labels = case.integers("in.labels");
    let config = DkdConfig {
        temperature: case.number("temperature"),
        alpha: case.number("alpha"),
        beta: case.number("beta"),
        warmup_epochs: case.count("warmup"),
        ce_weight: case.number("ce_weight"),
    };
    let (alpha, beta) = (config.alpha, config.beta);
    let [batch, classes] = student.logits().dims();
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let (mut method, store) = build(&probe, |probe, builder| Dkd::new(config, probe, builder));
    let target = Target::labels(labels.clone());
    let mut first = step(&student, &teacher, &target);
    // The file counts epochs from 1.
    first.progress.epoch = case.count("epoch") - 1;
    let step: &Step<'_> = &first;
    let terms = method.terms(step, &mut pass(&store)).unwrap();
    let ce = cross_entropy(student.logits(), labels.clone());
    run.out("ce", &ce);
    run.out("tckd", &terms[0].value);
    run.out("nckd", &terms[1].value);
    let [target, others] = [0, 1].map(|i| terms[i].value.clone());
    run.out("dkd", &(target.mul_scalar(alpha) + others.mul_scalar(beta)));
    let loss = terms
        .into_iter()
        .fold(ce.mul_scalar(method.task_weight()), |loss, term| {
            loss + term.value.mul_scalar(term.weight)
        });
    run.finish(&loss)
}
