//! Goldens of `zipf`.

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
    zipf::{Zipf, ZipfConfig, ZipfDistribution},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[adapter("dense"), adapter("logit_rank"), adapter("unbiased")];

const fn adapter(case: &'static str) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run: loss,
    }
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.input::<2>("logits");
    let labels = case.integers::<1>("in.labels");
    let [batch, classes] = logits.dims();
    let votes = case.flag("dense").then(|| case.integers::<2>("in.votes"));
    let config = ZipfConfig {
        weight: case.number("loss_lambda"),
        distribution: match case.text("distribution") {
            "rank_zipf" => ZipfDistribution::Rank,
            "unbiased_zipf" => ZipfDistribution::Unbiased,
            other => panic!("no distribution is called {other}"),
        },
        power: case.number("power"),
        left_bound: case.number("left_bound"),
        right_bound: case.number("right_bound"),
        mask_wrong: case.flag("mask_wrong"),
        ..ZipfConfig::default()
    };
    let weight = config.weight;
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let method = Zipf::new(config, &probe, &mut Cast::new(small_network())).unwrap();
    let zipf = method
        .divergence(logits.clone(), &labels, votes.as_ref())
        .unwrap();
    let ce = cross_entropy(logits, labels);
    run.out("non_target_pdf", &zipf.targets);
    run.out("zipf", &zipf.value);
    run.out("ce", &ce);
    run.finish(&(ce + zipf.value.mul_scalar(weight)))
}
