//! Goldens of `dlb`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{
    Cast,
    dlb::{Dlb, DlbConfig, MeanOfRows, mean_of_both},
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
    case: "sequence",
    tolerance: Tolerance::TIGHT,
    run: sequence,
}];

fn sequence(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    assert_eq!(case.text("reduction"), "batchmean");
    let config = DlbConfig {
        temperature: case.number("temperature"),
        weight: case.number("alpha"),
    };
    let logits = run.inputs::<2>("logits");
    let [batch, classes] = logits[0].dims();
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let method = Dlb::new(config.clone(), &probe, &mut Cast::new(small_network())).unwrap();
    let part = |logits: &Tensor<2>, batch: usize| {
        let labels = case.integers::<1>(&format!("in.labels.{batch}"));
        MeanOfRows {
            rows: labels.dims()[0],
            value: cross_entropy(logits.clone(), labels),
        }
    };
    let mut loss = part(&logits[0], 0).value;
    run.out("step_loss.0", &loss);
    for k in 1..logits.len() {
        let replayed = run.input::<2>(&format!("replay_logits.{k}"));
        let ce = mean_of_both(part(&logits[k], k), part(&replayed, k - 1));
        let consistency = method.consistency(replayed, logits[k - 1].clone()).unwrap();
        run.out(&format!("ce.{k}"), &ce);
        run.out(&format!("consistency.{k}"), &consistency);
        let step = ce + consistency.mul_scalar(config.weight);
        run.out(&format!("step_loss.{k}"), &step);
        loss = loss + step;
    }
    run.finish(&loss)
}
