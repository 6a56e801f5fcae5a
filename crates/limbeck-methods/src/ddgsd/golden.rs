//! Goldens of `ddgsd`.

use std::collections::BTreeMap;

use limbeck_nn::TapKind;

use crate::{
    Cast,
    ddgsd::{Ddgsd, DdgsdConfig, DistortedView, DistortionForm},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, probe, small_network},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "loss",
        tolerance: Tolerance::TIGHT,
        run: |case| compare(case, DistortionForm::Paper),
    },
    Adapter {
        case: "unofficial",
        tolerance: Tolerance::TIGHT,
        run: |case| compare(case, DistortionForm::Port),
    },
];

fn compare(case: &Case, form: DistortionForm) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    assert_eq!(case.flag("detach_target"), form == DistortionForm::Paper);
    let mut view = |side: &str| DistortedView {
        logits: run.input(&format!("logits_{side}")),
        feature: case
            .has(&format!("in.feature_{side}"))
            .then(|| run.input(&format!("feature_{side}"))),
    };
    let (a, b) = (view("a"), view("b"));
    let labels = case.integers::<1>("in.labels");
    let config = DdgsdConfig {
        form,
        temperature: case.number("temperature"),
        weight: case.number("lam"),
        discrepancy_weight: case.number("mu"),
    };
    let [batch, classes] = a.logits.dims();
    let width = a.feature.as_ref().map_or(1, |feature| feature.dims()[1]);
    let pooled = vec![("pooled".to_owned(), TapKind::Vector(width))];
    let probe = probe(classes, batch, pooled, Vec::new());
    let method = Ddgsd::new(config, &probe, &mut Cast::new(small_network())).unwrap();
    let ce =
        cross_entropy(a.logits.clone(), labels.clone()) + cross_entropy(b.logits.clone(), labels);
    run.out("ce", &ce);
    let mut loss = ce;
    for term in method.compare(&a, &b).unwrap() {
        run.out(&term.name, &term.value);
        loss = loss + term.value.mul_scalar(term.weight);
    }
    run.finish(&loss)
}
