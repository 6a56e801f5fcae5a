//! Goldens of `okddip`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::TapKind;
use serde_json::json;

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, pass, probe, small_network},
        run::Run,
    },
    okddip::Okddip,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "two_level",
    tolerance: Tolerance::TIGHT,
    run: two_level,
}];

fn sum(parts: impl IntoIterator<Item = Tensor<1>>) -> Tensor<1> {
    parts.into_iter().reduce(|sum, part| sum + part).unwrap()
}

fn two_level(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let peers = case.count("peers");
    let features: Vec<Tensor<2>> = (0..peers)
        .map(|i| run.input(&format!("feature_{i}")))
        .collect();
    let mut logits = vec![run.input::<2>("logits_leader")];
    logits.extend((0..peers).map(|i| run.input(&format!("logits_{i}"))));
    let labels = case.integers("in.labels");
    let [batch, width] = features[0].dims();
    let classes = logits[0].dims()[1];
    let taps = vec![("pooled".to_owned(), TapKind::Vector(width))];
    let probe = probe(classes, batch, taps, Vec::new());
    let make = |weight: f64| {
        let settings = json!({
            "members": case.setting("num_branches"),
            "factor": case.setting("factor"),
            "temperature": case.setting("temperature"),
            "weight": weight,
            "rampup_epochs": case.setting("rampup_length"),
            "detach_target": case.setting("detach_target"),
        });
        let mut cast = Cast::new(small_network());
        let config = serde_json::from_value(settings).unwrap();
        (Okddip::new(config, &probe, &mut cast).unwrap(), cast)
    };
    let (method, mut cast) = make(case.number("alpha"));
    run.fill(cast.store_mut("attention").unwrap());
    let tracked = cast.store("attention").unwrap().tracked();
    run.track(&tracked);

    let attention = method.attend(&mut pass(&tracked), &features).unwrap();
    run.out("attention", &attention);
    let targets = method.targets(attention, &logits[1..]).unwrap();
    run.out("targets", &targets.clone().swap_dims(1, 2));
    let losses = |method: &Okddip| {
        let epoch = case.count("epoch");
        method.losses(&logits, &targets, epoch).unwrap()
    };
    let terms = losses(&method);
    let weight = terms[0].weight;
    // The file's ramp is without alpha, its divergences are without both.
    let ramp = losses(&make(1.0).0)[0].weight;
    let ramp = Tensor::<1>::from_data([ramp], (&Case::device(), DType::F64));
    run.out("consistency_weight", &ramp);
    let values: Vec<Tensor<1>> = terms.into_iter().map(|term| term.value).collect();
    let ce: Vec<Tensor<1>> = logits
        .iter()
        .map(|z| cross_entropy(z.clone(), labels.clone()))
        .collect();
    run.out("loss_true", &sum(ce[1..].to_vec()));
    run.out("loss_group", &sum(values[1..].to_vec()));
    run.out("loss_leader_ce", &ce[0]);
    run.out("loss_leader_kl", &values[0]);
    run.finish(&(sum(ce) + sum(values).mul_scalar(weight)))
}
