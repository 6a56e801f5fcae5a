//! Goldens of `dml`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{
    Cast,
    dml::{Dml, DmlConfig, MutualTarget},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, probe, small_network},
        run::{Run, values},
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "mutual",
        tolerance: Tolerance::TIGHT,
        run: mutual,
    },
    Adapter {
        case: "ensemble_first",
        tolerance: Tolerance::TIGHT,
        run: ensemble_first,
    },
];

fn method(config: DmlConfig) -> Dml {
    let mut cast = Cast::new(small_network());
    Dml::new(config, &probe(2, 4, Vec::new(), Vec::new()), &mut cast).unwrap()
}

fn logits(case: &Case, run: &mut Run<'_>) -> Vec<Tensor<2>> {
    (0..case.count("num_models"))
        .map(|i| run.input(&format!("logits_{i}")))
        .collect()
}

/// The numbers of scalars, one after the other.
fn list(scalars: &[Tensor<1>]) -> Values {
    Values {
        shape: vec![scalars.len()],
        numbers: scalars.iter().flat_map(|s| values(s).numbers).collect(),
    }
}

fn sum(parts: &[Tensor<1>]) -> Tensor<1> {
    parts.iter().cloned().reduce(|a, b| a + b).unwrap()
}

fn mutual(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = logits(case, &mut run);
    let labels = case.integers::<1>("in.labels");
    assert!(case.flag("peer_average"));
    let config = |target| DmlConfig {
        target,
        temperature: case.number("temperature"),
        ..DmlConfig::default()
    };
    let each = |method: &Dml| -> Vec<Tensor<1>> {
        (0..logits.len())
            .map(|i| method.mutual(i, &logits).unwrap())
            .collect()
    };
    let kl = each(&method(config(MutualTarget::Peers)));
    let ce: Vec<Tensor<1>> = logits
        .iter()
        .map(|z| cross_entropy(z.clone(), labels.clone()))
        .collect();
    let losses: Vec<Tensor<1>> = ce
        .iter()
        .zip(&kl)
        .map(|(a, b)| a.clone() + b.clone())
        .collect();
    run.set("out.ce", list(&ce));
    run.set("out.kl_mean", list(&kl));
    run.set("out.loss_per_model", list(&losses));
    run.set(
        "out.tf_kl_sum",
        list(&each(&method(config(MutualTarget::Guarded)))),
    );
    run.finish(&sum(&losses))
}

fn ensemble_first(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = logits(case, &mut run);
    let method = method(DmlConfig {
        target: MutualTarget::Ensemble,
        temperature: case.number("temperature"),
        detach_target: case.flag("detach_target"),
        ..DmlConfig::default()
    });
    let kl: Vec<Tensor<1>> = (0..logits.len())
        .map(|i| method.mutual(i, &logits).unwrap())
        .collect();
    run.set("out.kl", list(&kl));
    let labels = case.integers::<1>("in.labels");
    let ce: Vec<Tensor<1>> = logits
        .iter()
        .map(|z| cross_entropy(z.clone(), labels.clone()))
        .collect();
    run.finish(&(sum(&ce) + sum(&kl)))
}
