//! Goldens of `ota`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Builder, Init, Role, Store};

use super::{
    OtaConfig,
    objective::{Compared, Held, objective},
};
use crate::{
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::cross_entropy,
        run::Run,
    },
    softmax::softened_kl,
    vqae::quantise::quantise,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "vq_rerepresent",
        tolerance: Tolerance::TIGHT,
        run: vq_rerepresent,
    },
    Adapter {
        case: "digg_objective",
        tolerance: Tolerance::TIGHT,
        run: digg_objective,
    },
    Adapter {
        case: "distill",
        tolerance: Tolerance::TIGHT,
        run: distill,
    },
];

fn vq_rerepresent(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let latent: Tensor<4> = run.input("latent");
    let mut store = Store::new(&Case::device(), DType::F64);
    let shape = [case.count("codebook"), case.count("dim")];
    let codebook =
        Builder::new(&mut store, 0).parameter("codebook", &shape, Role::Token, Init::Constant(0.0));
    run.fill(&mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    let found = quantise(latent, tracked.get(codebook));
    let index: Vec<i64> = found.index.clone().try_into_vec_as().unwrap();
    run.set(
        "out.index",
        Values {
            shape: found.index.dims().to_vec(),
            numbers: index.into_iter().map(|index| index as f64).collect(),
        },
    );
    run.out("quantised", &found.codes);
    run.out("loss_codebook", &found.codebook_loss);
    run.out("loss_commit", &found.commitment_loss);
    let commitment = found.commitment_loss.mul_scalar(case.number("beta"));
    let vq = found.codebook_loss + commitment;
    run.out("loss_vq", &vq);
    let weight: Tensor<4> = case.tensor("in.weight");
    let loss = vq + (found.straight_through * weight).sum();
    run.finish(&loss)
}

fn digg_objective(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let weight = |name: &str| case.setting("weights")[name].as_f64().unwrap();
    let config = OtaConfig {
        ce_weight: weight("ce"),
        guide_weight: weight("guide"),
        bn_weight: weight("bn"),
        tv_weight: weight("tv"),
        l2_weight: weight("l2"),
        ..OtaConfig::default()
    };
    let made: Vec<Tensor<4>> = run.inputs("gen_feature");
    let compared = made.iter().enumerate().map(|(i, made)| Compared {
        made: made.clone(),
        guide: case.tensor(&format!("in.guide_feature.{i}")),
        guided: None,
    });
    let held = made.iter().enumerate().map(|(i, made)| Held {
        input: made.clone(),
        mean: case.tensor(&format!("in.bn_mean.{i}")),
        variance: case.tensor(&format!("in.bn_var.{i}")),
    });
    let images = run.input("image");
    let logits = run.input("logits");
    let labels = case.integers("in.labels");
    let found = objective(images, logits, &labels, compared.collect(), held.collect());
    for (name, term) in [
        ("ce", &found.ce),
        ("guide", &found.guide),
        ("bn", &found.bn),
        ("tv", &found.tv),
        ("l2", &found.l2),
    ] {
        run.out(name, term);
    }
    run.finish(&found.total(&config))
}

fn distill(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student: Tensor<2> = run.input("student_logits");
    let teacher = case.tensor("in.teacher_logits");
    let (real, temperature) = (case.count("n_real"), case.number("temperature"));
    let own = student.clone().narrow(0, 0, real);
    let ce = cross_entropy(own, case.integers("in.labels"));
    let kl = softened_kl(student, teacher, temperature);
    run.out("ce", &ce);
    run.out("kl", &kl);
    let alpha = case.number("alpha");
    run.finish(&(ce.mul_scalar(1.0 - alpha) + kl.mul_scalar(alpha)))
}
