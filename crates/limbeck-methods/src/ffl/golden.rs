//! Goldens of `ffl`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use serde_json::json;

use crate::{
    Cast,
    ffl::Ffl,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, map_taps, pass, probe, small_network},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "fusion_mkd",
    tolerance: Tolerance::TIGHT,
    run: fusion,
}];

fn sum(parts: impl IntoIterator<Item = Tensor<1>>) -> Tensor<1> {
    parts.into_iter().reduce(|sum, part| sum + part).unwrap()
}

fn fusion(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let networks = (1..)
        .take_while(|i| case.has(&format!("in.feature_{i}")))
        .count();
    let maps: Vec<Tensor<4>> = (1..=networks)
        .map(|i| run.input(&format!("feature_{i}")))
        .collect();
    let logits: Vec<Tensor<2>> = (1..=networks)
        .map(|i| run.input(&format!("logits_{i}")))
        .collect();
    let labels = case.integers("in.labels");
    let [batch, classes] = logits[0].dims();
    assert!(case.flag("detach_target"));
    let student = small_network();
    let settings = json!({
        "peers": vec![student.name(); networks - 1].join("+"),
        "temperature": case.setting("temperature"),
        "rampup_epochs": case.setting("rampup_length"),
    });
    let probe = probe(classes, batch, map_taps(&maps[..1]), Vec::new());
    let mut cast = Cast::new(student);
    let config = serde_json::from_value(settings).unwrap();
    let method = Ffl::new(config, &probe, &mut cast).unwrap();
    run.fill(cast.store_mut("fusion").unwrap());
    let tracked = cast.store("fusion").unwrap().tracked();
    run.track(&tracked);
    let mut training = pass(&tracked);
    let fused = method.fuse(&mut training, &maps).unwrap();
    let updates = training.into_updates();
    let after = cast.store_mut("fusion").unwrap();
    after.apply(updates);
    for entry in after.entries().iter().filter(|e| !e.role.is_trained()) {
        run.out(&entry.name, &entry.value);
    }
    run.out("fused_logits", &fused.logits);
    let mean = sum_matrices(&logits).mul_scalar(1.0 / networks as f64);
    run.out("ensemble_logits", &mean);

    let epoch = case.count("epoch");
    let terms = method.losses(&logits, &fused.logits, epoch).unwrap();
    let weight = terms[0].weight;
    let ramp = Tensor::<1>::from_data([weight], (&Case::device(), DType::F64));
    run.out("consistency_weight", &ramp);
    let values: Vec<Tensor<1>> = terms.into_iter().map(|term| term.value).collect();
    let (own, fusion) = values.split_at(networks);
    for (i, value) in (1..).zip(own) {
        run.out(&format!("kl_{i}"), value);
    }
    run.out("kl_fused", &fusion[0]);
    let all = logits.into_iter().chain([fused.logits]);
    let ce = sum(all.map(|z| cross_entropy(z, labels.clone())));
    let kl = sum(values).mul_scalar(weight);
    run.out("loss_ce", &ce);
    run.out("loss_kl", &kl);
    run.finish(&(ce + kl))
}

fn sum_matrices(all: &[Tensor<2>]) -> Tensor<2> {
    all.iter().cloned().reduce(|sum, more| sum + more).unwrap()
}
