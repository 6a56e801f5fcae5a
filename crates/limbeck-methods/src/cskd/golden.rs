//! Goldens of `cskd`.

use std::collections::BTreeMap;

use crate::{
    Cast,
    cskd::{Cskd, CskdConfig},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, probe, small_network},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "loss",
    tolerance: Tolerance::TIGHT,
    run: loss,
}];

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.input::<2>("logits");
    let partner_logits = run.input::<2>("partner_logits");
    let labels = case.integers::<1>("in.labels");
    assert_eq!(case.text("reduction"), "batchmean");
    let config = CskdConfig {
        temperature: case.number("temperature"),
        weight: case.number("lamda"),
    };
    let [batch, classes] = logits.dims();
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let method = Cskd::new(config, &probe, &mut Cast::new(small_network())).unwrap();
    let ce = cross_entropy(logits.clone(), labels);
    let term = method.class_wise(logits, partner_logits).unwrap();
    run.out("ce", &ce);
    run.out("class_wise", &term.value);
    run.finish(&(ce + term.value.mul_scalar(term.weight)))
}
