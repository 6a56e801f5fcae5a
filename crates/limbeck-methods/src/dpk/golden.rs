//! Goldens of `dpk`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};

use crate::{
    dpk::{Dpk, DpkConfig, DpkDistance, Prior, teacher_mask},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, pass, probe},
        run::Run,
    },
    kernel_alignment::{linear_alignment, unbiased_alignment},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "stage",
        tolerance: Tolerance::TIGHT,
        run: stage,
    },
    Adapter {
        case: "cka",
        tolerance: Tolerance::TIGHT,
        run: alignment,
    },
];

fn stage(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    assert_eq!(case.number("ln_eps"), 1e-6);
    let config = DpkConfig {
        patch: Some(case.count("patch")),
        dim: Some(case.count("dim")),
        heads: case.count("heads"),
        encoder_depth: case.count("enc_depth"),
        decoder_depth: case.count("dec_depth"),
        mlp_ratio: case.count("mlp_ratio"),
        distance: match case.text("loss") {
            "mse" => DpkDistance::Mse,
            "hcl" => DpkDistance::Hcl,
            other => panic!("no distance is called {other}"),
        },
        ..DpkConfig::default()
    };
    let ([batch, channels, ..], [_, c, h, w]) = (student.dims(), teacher.dims());
    let probe = probe(2, batch, Vec::new(), Vec::new());
    let (prior, mut store) = build(&probe, |_, builder| {
        Ok(Prior::new(builder.sub_self(), &config, channels, [c, h, w]).unwrap())
    });
    run.fill(&mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    let mut training = pass(&tracked);
    let tokens = prior.encode(&mut training, student, teacher.clone());
    let noise = &case.values("in.noise").numbers;
    let ratio = case.number("teacher_ratio");
    let mask = teacher_mask(noise, prior.tokens(), ratio, &teacher);
    let rebuilt = prior.rebuild(&mut training, &tokens, &mask);
    run.out("mask", &mask);
    run.out("tokens_student", &tokens.student);
    run.out("tokens_teacher", &tokens.teacher);
    run.out("hybrid", &rebuilt.hybrid);
    run.out("prediction", &rebuilt.map);
    run.finish(&prior.distance(rebuilt.map, teacher))
}

fn alignment(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = case.tensor::<4>("in.student_feature");
    let teacher = case.tensor::<4>("in.teacher_feature");
    assert_eq!(student.dims()[0], case.count("batch"));
    let scalar = |number: f64| Tensor::<1>::from_data([number], (&Case::device(), DType::F64));
    let unbiased = unbiased_alignment(&student, &teacher).unwrap();
    run.out("cka_unbiased", &scalar(unbiased));
    run.out("teacher_ratio", &scalar(Dpk::ratio(unbiased)));
    run.finish(&scalar(linear_alignment(&student, &teacher)))
}
