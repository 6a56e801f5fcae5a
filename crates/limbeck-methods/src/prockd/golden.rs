//! Goldens of `prockd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Feature, Store, TapKind,
    layer::{LayerNorm, Linear},
};

use super::{
    Prockd, ProckdConfig,
    prototypes::{Prototypes, of_length_one},
};
use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, map_kind, pass, probe, small_network, supervision},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "vlad",
        tolerance: Tolerance::TIGHT,
        run: vlad,
    },
    Adapter {
        case: "augment",
        tolerance: Tolerance::TIGHT,
        run: augment,
    },
    Adapter {
        case: "total",
        tolerance: Tolerance::TIGHT,
        run: total,
    },
];

/// Of the norms of the authors' students.
const EPSILON: f64 = 1e-6;

/// Puts the file's parameters into `store`: its maps of single tokens are convolutions there, with an
/// axis of length one behind.
fn fill(case: &Case, store: &mut Store) {
    let ids: Vec<_> = store.ids().collect();
    for id in ids {
        let entry = store.entry(id);
        let values = case.values(&format!("param.{}", entry.name));
        let shape: Vec<usize> = values
            .shape
            .iter()
            .copied()
            .take(entry.shape.len())
            .collect();
        assert_eq!(shape, entry.shape, "shape of `{}`", entry.name);
        store.set_values(id, values.numbers.clone());
    }
    let names = case
        .tensors
        .keys()
        .filter_map(|name| name.strip_prefix("param."));
    let left: Vec<&str> = names.filter(|name| store.find(name).is_none()).collect();
    assert!(left.is_empty(), "no parameters called {left:?}");
}

/// The file's prototypes, whose numbers record gradients in the second.
fn prototypes(run: &mut Run<'_>) -> (Prototypes, Store) {
    let case = run.case;
    let mut store = Store::new(&Case::device(), burn::tensor::DType::F64);
    let builder = Builder::new(&mut store, 0);
    let made = Prototypes::new(builder, case.count("prototypes"), case.count("dim"));
    fill(case, &mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    (made, tracked)
}

fn hidden(run: &mut Run<'_>) -> Vec<Tensor<3>> {
    (0..3)
        .map(|m| run.input::<3>(&format!("teacher_hidden{m}")))
        .collect()
}

/// Σ tokens · probe, finished.
fn probed(mut run: Run<'_>, tokens: &Tensor<3>) -> BTreeMap<String, Values> {
    run.out("tokens", tokens);
    let loss = (tokens.clone() * run.case.tensor::<3>("in.probe")).sum();
    run.finish(&loss)
}

fn vlad(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (prototypes, tracked) = prototypes(&mut run);
    let states = hidden(&mut run);
    let mut pass = pass(&tracked);
    let states = prototypes.join("prockd", states).unwrap();
    let code = prototypes.code(&mut pass, states);
    let unit = of_length_one(code.tokens.clone());
    run.out("assign", &prototypes.shares(&mut pass, unit));
    run.out("descriptor", &code.descriptor);
    let tokens = prototypes.rebuild(&mut pass, &code, code.tokens.clone());
    probed(run, &tokens)
}

fn augment(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (prototypes, tracked) = prototypes(&mut run);
    let tokens = run.input::<3>("student_tokens");
    let mut pass = pass(&tracked);
    let alignment = prototypes.align(&mut pass, tokens.clone());
    run.out("align", &alignment.shares.swap_dims(1, 2));
    let tokens = prototypes.augment(&mut pass, tokens);
    probed(run, &tokens)
}

/// A student's last norm and its classifier, which reads token 0.
struct Head {
    norm: LayerNorm,
    classifier: Linear,
}

impl Head {
    fn logits(&self, pass: &mut limbeck_nn::Pass<'_>, tokens: Tensor<3>) -> Feature {
        let tokens = self.norm.forward(pass, tokens);
        let first = tokens.narrow(1, 0, 1).squeeze_dim::<2>(1);
        Feature::Vector(self.classifier.forward(pass, first))
    }
}

fn total(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (width, classes) = (case.count("dim"), case.count("classes"));
    let mut store = Store::new(&Case::device(), burn::tensor::DType::F64);
    let mut builder = Builder::new(&mut store, 0);
    let prototypes = Prototypes::new(builder.sub("proto"), case.count("prototypes"), width);
    let head = Head {
        norm: LayerNorm::new(builder.sub("norm"), width, EPSILON),
        classifier: Linear::new(builder.sub("head"), width, classes),
    };
    fill(case, &mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    let states = hidden(&mut run);
    let tokens = run.input::<3>("student_tokens");
    let mut pass = pass(&tracked);
    let student = head.logits(&mut pass, tokens);
    let states = prototypes.join("prockd", states).unwrap();
    let code = prototypes.code(&mut pass, states);
    let rebuilt = prototypes.rebuild(&mut pass, &code, code.tokens.clone());
    let rebuilt = prototypes.augment(&mut pass, rebuilt);
    let augmented = head.logits(&mut pass, rebuilt);
    run.out("student_logits", &student.to_rows());
    run.out("aug_logits", &augmented.to_rows());

    let target = Target::labels(case.integers::<1>("in.labels"));
    let supervision = supervision(&target);
    let method = method(case);
    let task = supervision.loss(student.to_rows()).unwrap();
    run.out("ce_student", &task);
    let mut loss = task;
    let terms = method.guidance(&student, &augmented, supervision).unwrap();
    for (term, name) in terms.into_iter().zip(["ce_aug", "consistency"]) {
        run.out(name, &term.value);
        loss = loss + term.value.mul_scalar(term.weight);
    }
    run.finish(&loss)
}

/// The method with the file's weights, of which the terms are asked.
fn method(case: &Case) -> Prockd {
    let config = ProckdConfig {
        prototypes: case.count("prototypes"),
        weight_aug: case.number("weight_aug"),
        weight_consistency: case.number("weight_consistency"),
        ..ProckdConfig::default()
    };
    let student = small_network();
    let taps = student.taps().into_iter().map(|tap| (tap.name, tap.kind));
    let map: TapKind = map_kind(&Tensor::zeros([1, 4, 2, 2], &Case::device()));
    let stages = (1..=3).map(|i| (format!("stage{i}"), map.clone()));
    let probe = probe(2, 2, taps.collect(), stages.collect());
    Prockd::new(config, &probe, &mut Cast::new(student)).unwrap()
}
