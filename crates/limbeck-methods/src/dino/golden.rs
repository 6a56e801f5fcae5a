//! Goldens of `dino`'s head, by the code of `patchssl`'s authors, which is DINO's own.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Builder, Store};

use crate::{
    dino::{DinoHead, HeadShape, similarities},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::pass,
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "head",
    tolerance: Tolerance::TIGHT,
    run: head,
}];

/// The logits of rows, and their gradients.
pub fn head(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let x = run.input::<2>("x");
    let probe: Tensor<2> = case.tensor("in.probe");
    let mut store = Store::new(&Case::device(), DType::F64);
    let shape = HeadShape {
        width: case.count("in_dim"),
        hidden: case.count("hidden"),
        bottleneck: case.count("bottleneck"),
        prototypes: case.count("out_dim"),
    };
    let norm_last_layer = case.flag("norm_last_layer");
    let head = DinoHead::new(&mut Builder::new(&mut store, 0), shape, norm_last_layer);
    run.fill(&mut store);
    let tracked = store.tracked();
    let mut pass = pass(&tracked);
    let projected = head.project(&mut pass, x);
    let logits = similarities(projected, head.prototypes(&pass, false));
    run.out("logits", &logits);
    run.track(&tracked);
    run.finish(&(logits * probe).sum())
}
