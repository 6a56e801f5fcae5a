//! Goldens of `skds`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, dense_probe, map_kind},
        run::Run,
    },
    skds::{Skds, SkdsConfig},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("pixel", pixel),
    adapter("pair", pair),
    adapter("pair_cirkd", pair_cirkd),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn pixel(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input("student_logits");
    let teacher: Tensor<4> = run.input("teacher_logits");
    let value = Skds::pixels(student, teacher.inner());
    run.out("unweighted", &value);
    run.finish(&value.mul_scalar(case.number("weight")))
}

fn pair(case: &Case) -> BTreeMap<String, Values> {
    compared(
        case,
        SkdsConfig {
            pool_scale: case.number("pool_scale"),
            ..SkdsConfig::default()
        },
    )
}

fn pair_cirkd(case: &Case) -> BTreeMap<String, Values> {
    compared(
        case,
        SkdsConfig {
            window: Some(case.count("pool")),
            lengths_learn: true,
            ..SkdsConfig::default()
        },
    )
}

fn compared(case: &Case, config: SkdsConfig) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student: Tensor<4> = run.input("student_feature");
    let teacher: Tensor<4> = run.input("teacher_feature");
    let [batch, ..] = student.dims();
    let logits = Tensor::zeros([batch, 2, 2, 2], &Case::device());
    let tap = |map: &Tensor<4>| vec![("feature".to_owned(), map_kind(map))];
    let probe = dense_probe(&logits, &logits, tap(&student), tap(&teacher));
    let (method, _) = build(&probe, |probe, builder| Skds::new(config, probe, builder));
    let value = method.pairs_of_windows(student, teacher.inner());
    run.out("unweighted", &value);
    run.finish(&value.mul_scalar(case.number("weight")))
}
