//! Goldens of `mfef`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use serde_json::json;

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, cross_entropy, map_taps, pass, probe, small_network},
        run::Run,
    },
    mfef::{BranchShape, Mfef, MultiScaleBranch},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "branch",
        tolerance: Tolerance::TIGHT,
        run: branch,
    },
    Adapter {
        case: "loss",
        tolerance: Tolerance::TIGHT,
        run: loss,
    },
];

fn branch(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let feature = run.input::<4>("feature");
    let shape = BranchShape {
        channels: case.count("channels"),
        groups: case.count("groups"),
        reduction: case.count("reduction"),
        spatial_kernel: case.count("spatial_kernel"),
    };
    let probe = probe(2, feature.dims()[0], Vec::new(), Vec::new());
    let (branch, mut store) = build(&probe, |_, builder| {
        Ok(MultiScaleBranch::new(builder, shape))
    });
    run.fill(&mut store);
    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let enriched = branch.forward(&mut training, feature);
    store.apply(training.into_updates());
    for entry in store.entries().iter().filter(|e| !e.role.is_trained()) {
        run.out(&entry.name, &entry.value);
    }
    run.track(&tracked);
    run.out("multi_scale", &enriched.multi_scale);
    run.out("channel_attention", &enriched.channel_attention);
    run.out("spatial_attention", &enriched.spatial_attention);
    run.out("feature", &enriched.map);
    run.finish(&(enriched.map * case.tensor("in.probe")).sum())
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let students = case.count("num_students");
    let maps: Vec<Tensor<4>> = (0..students)
        .map(|i| run.input(&format!("feature_{i}")))
        .collect();
    let logits: Vec<Tensor<2>> = (0..students)
        .map(|i| run.input(&format!("logits_{i}")))
        .collect();
    let labels = case.integers("in.labels");
    let [batch, classes] = logits[0].dims();
    assert!(case.flag("detach_target"));
    let student = small_network();
    let settings = json!({
        "peers": vec![student.name(); students - 1].join("+"),
        "groups": case.setting("groups"),
        "reduction": case.setting("reduction"),
        "spatial_kernel": case.setting("spatial_kernel"),
        "temperature": case.setting("temperature"),
        "rampup_epochs": case.setting("rampup_length"),
    });
    let probe = probe(classes, batch, map_taps(&maps[..1]), Vec::new());
    let mut cast = Cast::new(student);
    let config = serde_json::from_value(settings).unwrap();
    let method = Mfef::new(config, &probe, &mut cast).unwrap();
    run.fill(cast.store_mut("modules").unwrap());
    let tracked = cast.store("modules").unwrap().tracked();
    run.track(&tracked);
    let fused = method.fuse(&mut pass(&tracked), &maps).unwrap();
    run.out("fused_feature", &fused.map);
    run.out("fused_logits", &fused.logits);
    let mean = logits.iter().cloned().reduce(|sum, more| sum + more);
    let mean = mean.unwrap().mul_scalar(1.0 / students as f64);
    run.out("ensemble_logits", &mean);

    let epoch = case.count("epoch");
    let terms = method.losses(&logits, &fused.logits, epoch).unwrap();
    let weight = terms[0].weight;
    let ramp = Tensor::<1>::from_data([weight], (&Case::device(), DType::F64));
    run.out("rampup", &ramp);
    let kl: Vec<Tensor<1>> = terms.into_iter().map(|term| term.value).collect();
    run.out("kl_students", &Tensor::cat(kl[..students].to_vec(), 0));
    run.out("kl_fused", &kl[students]);
    let all = logits.into_iter().chain([fused.logits]);
    let ce: Vec<Tensor<1>> = all.map(|z| cross_entropy(z, labels.clone())).collect();
    let ce = Tensor::cat(ce, 0);
    run.out("ce", &ce);
    run.finish(&(ce.sum() + Tensor::cat(kl, 0).sum().mul_scalar(weight)))
}
