//! Goldens of `tinyvit`.

mod store;

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    InputShape, Network, Outputs, Taps,
    model::{
        outline,
        tinyvit::{Limits, Measures, TinyVit, TinyVitConfig, TinyVitFactors},
    },
};
use serde_json::{Value, json};

use crate::{
    Criterion,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, pass, probe, step},
        network::feature,
        run::Run,
    },
    tinyvit::{SparseTarget, Tinyvit},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("arch", arch),
    adapter("contract", contract),
    adapter("net", net),
    adapter("sparse_logits", sparse_logits),
    store::ADAPTER,
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn list<const N: usize>(config: &Value, key: &str) -> [usize; N] {
    let values: Vec<usize> = serde_json::from_value(config[key].clone()).unwrap();
    values.try_into().unwrap()
}

/// The file's windows have one of the first stage, which has none.
fn windows(config: &Value, key: &str) -> [usize; 3] {
    let [_, windows @ ..] = list::<4>(config, key);
    windows
}

/// The number behind `key`, or 4 as in all published sizes: files of those leave it out.
fn ratio(case: &Case, key: &str) -> f64 {
    match case.config.get(key) {
        Some(_) => case.number(key),
        None => 4.0,
    }
}

fn heads(config: &Value) -> [usize; 3] {
    let [_, heads @ ..] = list::<4>(config, "num_heads");
    heads
}

fn input(case: &Case) -> InputShape {
    InputShape {
        channels: 3,
        height: case.count("img_size"),
        width: case.count("img_size"),
        classes: case.count("num_classes"),
    }
}

fn whole(numbers: &[u64]) -> Values {
    Values {
        shape: vec![numbers.len()],
        numbers: numbers.iter().map(|&number| number as f64).collect(),
    }
}

fn scalar(number: f64) -> Values {
    Values {
        shape: Vec::new(),
        numbers: vec![number],
    }
}

/// Counts of the file's variants, and their state dicts name by name.
fn arch(case: &Case) -> BTreeMap<String, Values> {
    let mut variants: Vec<(&String, &Value)> = case
        .setting("variants")
        .as_object()
        .unwrap()
        .iter()
        .collect();
    // JSON's keys have no order; the file counts from the smallest number of millions up.
    variants.sort_by_key(|(name, _)| (name.len(), name.as_str()));
    let (mut parameters, mut macs) = (Vec::new(), Vec::new());
    for (name, variant) in variants {
        let config = TinyVitConfig {
            widths: list(variant, "embed_dims"),
            depths: list(&case.config, "depths"),
            heads: heads(variant),
            windows: windows(&case.config, "window_sizes"),
            expansion: ratio(case, "mbconv_expand_ratio"),
            mlp_ratio: ratio(case, "mlp_ratio"),
            drop_path: 0.0,
        };
        let network = Network::blank(
            name,
            input(case),
            &Case::device(),
            DType::F64,
            |builder, input| Ok(Box::new(TinyVit::new(builder, input, config)?)),
        )
        .unwrap();
        parameters.push(network.store.trained_count() as u64);
        macs.push(network.cost().macs);
        let expected: Vec<(String, Vec<usize>)> =
            serde_json::from_str(&case.metadata[&format!("state_dict_{name}")]).unwrap();
        let found: Vec<(String, Vec<usize>)> = network
            .store
            .entries()
            .iter()
            .map(|entry| (entry.name.clone(), entry.shape.clone()))
            .collect();
        let different = found.iter().zip(&expected).find(|(found, e)| found != e);
        assert!(
            different.is_none(),
            "{name}: found and expected {different:?}"
        );
        assert_eq!(found.len(), expected.len(), "entries of {name}");
    }
    let sum: u64 = parameters.iter().sum();
    BTreeMap::from([
        ("out.n_params".to_owned(), whole(&parameters)),
        ("out.macs".to_owned(), whole(&macs)),
        ("out.loss".to_owned(), scalar(sum as f64)),
    ])
}

/// Counts and feasibility of the base and its neighbours.
fn contract(case: &Case) -> BTreeMap<String, Values> {
    let limits = Limits {
        most_parameters: Some(case.count("max_params") as u64),
        least_macs: Some(case.count("min_macs") as u64),
        ..Limits::default()
    };
    let candidates = case.setting("candidates").as_array().unwrap();
    let (mut parameters, mut macs, mut feasible) = (Vec::new(), Vec::new(), Vec::new());
    for candidate in std::iter::once(case.setting("base")).chain(candidates) {
        let factors = TinyVitFactors {
            widths: list(candidate, "D"),
            depths: list(candidate, "N"),
            // A candidate may have windows of its own.
            windows: match candidate.get("W") {
                Some(_) => windows(candidate, "W"),
                None => windows(&case.config, "window_sizes"),
            },
            head: candidate["E"].as_u64().unwrap() as usize,
            expansion: candidate["R"].as_f64().unwrap(),
            mlp: candidate["M"].as_f64().unwrap(),
            ..TinyVitFactors::default()
        };
        let outline = outline(&factors.to_string(), input(case)).unwrap();
        let measures = Measures {
            parameters: outline.parameters as u64,
            macs: outline.cost.macs,
            images_per_second: None,
        };
        parameters.push(measures.parameters);
        macs.push(measures.macs);
        feasible.push(u64::from(limits.allow(&measures)));
    }
    let count: u64 = feasible.iter().sum();
    BTreeMap::from([
        ("out.n_params".to_owned(), whole(&parameters)),
        ("out.macs".to_owned(), whole(&macs)),
        ("out.feasible".to_owned(), whole(&feasible)),
        ("out.loss".to_owned(), scalar(count as f64)),
    ])
}

/// A whole small network with windows that its maps do not fill.
fn net(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let images: Tensor<4> = run.input("image");
    let weight: Tensor<2> = case.tensor("in.weight");
    let config = TinyVitConfig {
        widths: list(&case.config, "embed_dims"),
        depths: list(&case.config, "depths"),
        heads: heads(&case.config),
        windows: windows(&case.config, "window_sizes"),
        expansion: ratio(case, "mbconv_expand_ratio"),
        mlp_ratio: ratio(case, "mlp_ratio"),
        drop_path: 0.0,
    };
    let mut network = Network::blank(
        "tinyvit",
        input(case),
        &Case::device(),
        DType::F64,
        |builder, input| Ok(Box::new(TinyVit::new(builder, input, config)?)),
    )
    .unwrap();
    run.fill(&mut network.store);
    let tracked = network.store.tracked();
    run.track(&tracked);
    // The file's gradients are those of evaluation mode.
    network.store = tracked;
    let outputs = network.evaluate(images, &Taps::all());
    run.set("out.patch_embed", feature(&outputs, "stem"));
    for (name, tap) in [
        ("layer.0", "merging1"),
        ("layer.1", "merging2"),
        ("layer.2", "merging3"),
        ("layer.3", "stage4"),
    ] {
        run.set(&format!("out.{name}"), feature(&outputs, tap));
    }
    run.out("logits", &outputs.logits());
    run.finish(&(outputs.logits() * weight).sum())
}

fn sparse_logits(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = Outputs::from_logits(run.input("student_logits"));
    let teacher = Outputs::from_logits(case.tensor("in.teacher_logits"));
    let [batch, classes] = student.logits().dims();
    let topk = case.count("topk");
    let target = SparseTarget::cut(teacher.logits(), topk, false).unwrap();
    let dense = Values {
        shape: vec![batch, classes],
        numbers: target.dense(|p| p),
    };
    run.set("out.teacher_dense", dense);
    let kept = |numbers: Vec<f64>, columns| Values {
        shape: vec![batch, columns],
        numbers,
    };
    let index: Vec<f64> = target.index.iter().map(|&class| class as f64).collect();
    let value = kept(target.value.clone(), topk);
    run.set("out.record", records(case, &index, &value));
    run.set("out.minor", kept(target.minor.clone(), 1));
    run.set("out.value", value);
    run.set("out.index", kept(index, topk));
    let config = serde_json::from_value(json!({ "topk": topk })).unwrap();
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let (mut method, store) = build(&probe, |probe, builder| {
        Tinyvit::new(config, probe, builder)
    });
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut pass(&store))
        .unwrap();
    run.finish(&terms[0].value.clone().mul_scalar(terms[0].weight))
}

/// What is stored of each image: its seed, the classes, their probabilities, little endian.
fn records(case: &Case, index: &[f64], value: &Values) -> Values {
    let &[batch, topk] = value.shape.as_slice() else {
        panic!("values of shape {:?}", value.shape);
    };
    let seeds = &case.values("in.seed").numbers;
    let mut bytes = Vec::new();
    for (row, &seed) in seeds.iter().enumerate() {
        let row = row * topk..(row + 1) * topk;
        bytes.extend((seed as i32).to_le_bytes());
        bytes.extend(
            index[row.clone()]
                .iter()
                .flat_map(|&i| (i as i16).to_le_bytes()),
        );
        let halves = value.numbers[row].iter();
        bytes.extend(halves.flat_map(|&value| half::f16::from_f64(value).to_le_bytes()));
    }
    Values {
        shape: vec![batch, bytes.len() / batch],
        numbers: bytes.into_iter().map(f64::from).collect(),
    }
}
