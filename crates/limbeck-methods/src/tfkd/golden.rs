//! Goldens of `tfkd`.

use std::collections::BTreeMap;

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, probe, small_network},
        run::Run,
    },
    tfkd::{Tfkd, TfkdConfig, TfkdForm},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "self",
        tolerance: Tolerance::TIGHT,
        run: |case| loss(case, TfkdForm::Copy),
    },
    Adapter {
        case: "reg",
        tolerance: Tolerance::TIGHT,
        run: |case| loss(case, TfkdForm::Virtual),
    },
];

fn loss(case: &Case, form: TfkdForm) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<2>("student_logits");
    let labels = case.integers::<1>("in.labels");
    let [batch, classes] = student.dims();
    let mut config = TfkdConfig {
        form,
        temperature: Some(case.number("temperature")),
        alpha: Some(case.number("alpha")),
        multiplier: Some(case.number("multiplier")),
        ..TfkdConfig::default()
    };
    if form == TfkdForm::Virtual {
        config.correct = case.number("correct_prob");
    }
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let method = Tfkd::new(config, &probe, &mut Cast::new(small_network())).unwrap();
    let term = match form {
        TfkdForm::Virtual => {
            let teacher = method.virtual_teacher(&student, &labels, None);
            run.out("teacher_soft", &teacher);
            method.towards_virtual(student.clone(), teacher)
        }
        TfkdForm::Copy => {
            let copy = run.input::<2>("teacher_logits");
            method.towards_copy(student.clone(), copy)
        }
    };
    let ce = cross_entropy(student, labels);
    run.out("ce", &ce);
    let loss = ce.mul_scalar(method.task_weight()) + term.value.mul_scalar(term.weight);
    run.finish(&loss)
}
