//! Goldens of `mgram`: Gram matrices, and the whole loss.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::TapKind;

use crate::{
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, cross_entropy, probe},
        run::Run,
    },
    mgram::{GramNormalisation, Mgram, MgramConfig},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("gram", gram),
    adapter("gram_raw", gram),
    adapter("total", total),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

/// The method for as many modalities as the file has; its map does not matter where the features
/// are given.
fn method(case: &Case, classes: usize, batch: usize, config: MgramConfig) -> Mgram {
    let modalities = case.count("modalities");
    let config = MgramConfig {
        columns: modalities,
        normalize: match case.text("normalize") {
            "l2" => GramNormalisation::L2,
            "none" => GramNormalisation::None,
            other => panic!("unknown normalisation `{other}`"),
        },
        ..config
    };
    let taps = || vec![("stage1".to_owned(), TapKind::Map([1, 1, modalities]))];
    build(&probe(classes, batch, taps(), taps()), |p, b| {
        Mgram::new(config, p, b)
    })
    .0
}

/// Features of all modalities, `[B, M, D]`.
fn features(case: &Case, mut read: impl FnMut(&str) -> Tensor<2>, side: &str) -> Tensor<3> {
    let modalities = 0..case.count("modalities");
    let all = modalities.map(|m| {
        let feature = read(&format!("{side}_feature{m}"));
        let [batch, width] = feature.dims();
        feature.reshape([batch, 1, width])
    });
    Tensor::cat(all.collect(), 1)
}

fn gram(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = features(case, |name| run.input(name), "student");
    let teacher = features(case, |name| case.tensor(&format!("in.{name}")), "teacher");
    let method = method(case, 2, student.dims()[0], MgramConfig::default());
    run.out("gram_student", &method.gram(student.clone()));
    run.out("gram_teacher", &method.gram(teacher.clone()));
    let loss = method.relations(student, teacher).unwrap();
    run.finish(&loss.mul_scalar(case.number("weight")))
}

fn total(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = features(case, |name| run.input(name), "student");
    let teacher = features(case, |name| case.tensor(&format!("in.{name}")), "teacher");
    let logits = run.input::<2>("student_logits");
    let [batch, classes] = logits.dims();
    let config = MgramConfig {
        temperature: case.number("temperature"),
        kd_weight: case.number("alpha"),
        weight: case.number("beta"),
        ..MgramConfig::default()
    };
    let method = method(case, classes, batch, config.clone());
    let ce = cross_entropy(logits.clone(), case.integers("in.labels"));
    let kd = method.soft(logits, case.tensor("in.teacher_logits"));
    let relations = method.relations(student, teacher).unwrap();
    run.out("ce", &ce);
    run.out("kd", &kd);
    run.out("gram", &relations);
    let loss = ce + kd.mul_scalar(config.kd_weight) + relations.mul_scalar(config.weight);
    run.finish(&loss)
}
