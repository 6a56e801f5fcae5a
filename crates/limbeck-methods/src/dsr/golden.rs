//! Goldens of `dsr`, alone and with `drg`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Outputs, Store, TapKind};

use crate::{
    Criterion,
    drg::{Drg, DrgConfig},
    dsr::{Dsr, DsrConfig},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, cross_entropy, pass, probe, step, supervision},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "loss",
        tolerance: Tolerance::TIGHT,
        run: loss,
    },
    Adapter {
        case: "combined",
        tolerance: Tolerance::TIGHT,
        run: combined,
    },
];

/// The method and what it needs to make a step.
struct Steps {
    method: Dsr,
    store: Store,
}

impl Steps {
    fn new(case: &Case, logits: &Tensor<2>) -> Self {
        let [batch, classes] = logits.dims();
        let config = DsrConfig {
            temperature: case.number("temperature"),
            weight: case.number("beta"),
        };
        let probe = probe(classes, batch, Vec::new(), Vec::new());
        let (mut method, store) = build(&probe, |probe, builder| Dsr::new(config, probe, builder));
        method.start_epoch();
        Self { method, store }
    }

    /// The weighted term of one step.
    fn term(&mut self, logits: Tensor<2>) -> Tensor<1> {
        let outputs = Outputs::from_logits(logits);
        let term = self
            .method
            .terms(
                &step(&outputs, &outputs, &Target::None),
                &mut pass(&self.store),
            )
            .unwrap()
            .remove(0);
        term.value.mul_scalar(term.weight)
    }

    /// What the method remembers of the last step.
    fn remembered(&self) -> Values {
        let (shape, flat) = self.method.state().remove("previous_sorted").unwrap();
        let numbers = flat.try_into_vec_as().unwrap();
        Values { shape, numbers }
    }
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let previous = run.input::<2>("previous_logits");
    let logits = run.input::<2>("logits");
    let mut steps = Steps::new(case, &logits);
    steps.term(previous);
    run.set("out.previous_sorted", steps.remembered());
    let loss = steps.term(logits);
    run.set("out.sorted", steps.remembered());
    run.finish(&loss)
}

fn combined(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.inputs::<2>("logits");
    let auxiliary = run.inputs::<2>("aux_logits");
    assert_eq!(logits.len(), case.count("steps"));
    let mut steps = Steps::new(case, &logits[0]);
    let config = DrgConfig {
        temperature: case.number("temperature"),
        weight: case.number("alpha"),
        tap: "stage1".to_owned(),
    };
    let [batch, classes] = logits[0].dims();
    // The classifier's map does not matter where its logits are given.
    let taps = vec![("stage1".to_owned(), TapKind::Map([1, 8, 8]))];
    let probe = probe(classes, batch, taps, Vec::new());
    let (drg, _) = build(&probe, |probe, builder| Drg::new(config, probe, builder));
    let mut losses = Vec::new();
    for (k, (logits, auxiliary)) in logits.into_iter().zip(auxiliary).enumerate() {
        let labels = case.integers(&format!("in.labels.{k}"));
        let target = Target::labels(labels.clone());
        let terms = drg
            .losses(logits.clone(), auxiliary, supervision(&target))
            .unwrap();
        let [own, guidance] = [0, 1].map(|i| terms[i].value.clone().mul_scalar(terms[i].weight));
        let shape = steps.term(logits.clone());
        run.out(&format!("drg.{k}"), &guidance);
        run.out(&format!("dsr.{k}"), &shape);
        let loss = cross_entropy(logits, labels) + own + guidance + shape;
        run.out(&format!("step_loss.{k}"), &loss);
        losses.push(loss);
    }
    run.finish(&Tensor::cat(losses, 0).sum())
}
