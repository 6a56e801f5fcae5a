//! Goldens of `hints`: the selection, and the loss with chosen hints.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{InputShape, model};

use crate::{
    Cast, CentreRule, LayerSimilarity,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, map_taps, probe},
        run::Run,
    },
    hints::{Hints, HintsConfig},
    layer_clusters::cluster_layers,
    layer_similarity::{LayerRepresentation, SimilaritySettings, layer_distances},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "select",
        tolerance: Tolerance::USUAL,
        run: select,
    },
    Adapter {
        case: "multi_hint_at",
        tolerance: Tolerance::TIGHT,
        run: transfer,
    },
];

fn select(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let count = case.count("num_layers");
    let layers: Vec<LayerRepresentation> = (0..count)
        .map(|i| {
            let Values { shape, numbers } = case.values(&format!("in.layer_{i}"));
            LayerRepresentation {
                images: shape[0],
                channels: shape[1],
                numbers: numbers.clone(),
            }
        })
        .collect();
    let places = |places: &[usize], base: usize| Values {
        shape: vec![places.len()],
        numbers: places.iter().map(|&place| (place + base) as f64).collect(),
    };
    for (name, similarity) in [
        ("r2", LayerSimilarity::R2),
        ("cka_linear", LayerSimilarity::CkaLinear),
        ("cka_rbf", LayerSimilarity::CkaRbf),
    ] {
        let settings = SimilaritySettings {
            similarity,
            center: case.flag("center_columns_for_cca"),
            rbf_threshold: case.number("rbf_threshold"),
        };
        let distances = layer_distances(&layers, settings);
        let clusters = cluster_layers(
            &distances,
            case.count("num_hints"),
            CentreRule::NearestPlace,
            case.count("max_iter"),
        );
        let matrix = Values {
            shape: vec![count, count],
            numbers: distances.concat(),
        };
        run.set(&format!("out.distance_{name}"), matrix);
        let centres = places(&clusters.centres, case.count("index_base"));
        run.set(&format!("out.centers_{name}"), centres);
        run.set(
            &format!("out.assign_{name}"),
            places(&clusters.assignment, 0),
        );
    }
    // The selection has no loss.
    let zero = Values {
        shape: Vec::new(),
        numbers: vec![0.0],
    };
    run.set("out.loss", zero);
    run.finish_without_loss()
}

fn transfer(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let hints = case.count("num_hints");
    let student: Vec<Tensor<4>> = (0..hints)
        .map(|i| run.input(&format!("student_feature_{i}")))
        .collect();
    let teacher: Vec<Tensor<4>> = (0..hints)
        .map(|i| case.tensor(&format!("in.teacher_feature_{i}")))
        .collect();
    let logits = run.input::<2>("student_logits");
    let teacher_logits = case.tensor::<2>("in.teacher_logits");
    let labels = case.integers::<1>("in.labels");
    let [batch, classes] = logits.dims();
    let config = HintsConfig {
        hints: Some(hints),
        temperature: case.number("temperature"),
        weight: case.number("beta"),
        kd_weight: case.number("alpha"),
        ce_weight: case.number("gamma"),
        ..HintsConfig::default()
    };
    assert_eq!(case.count("p"), 2, "attention transfer squares");
    let input = InputShape {
        channels: 3,
        height: 8,
        width: 8,
        classes,
    };
    let network = model::build("resnet8", input, 0, &Case::device(), logits.dtype()).unwrap();
    let probe = probe(classes, batch, map_taps(&student), map_taps(&teacher));
    let method = Hints::new(config.clone(), &probe, &mut Cast::new(network)).unwrap();
    let parts = method.transfer(student, teacher).unwrap();
    let parts = Tensor::cat(parts, 0);
    let ce = cross_entropy(logits.clone(), labels.clone());
    let kl = method.soft(logits.clone(), teacher_logits.clone());
    let (wsl, weights) = method.weighted_soft(logits, teacher_logits, &labels);
    run.out("at", &parts);
    run.out("ce", &ce);
    run.out("kl", &kl);
    run.out("wsl", &wsl);
    run.out("wsl_weight", &weights);
    let loss = ce.mul_scalar(config.ce_weight)
        + kl.mul_scalar(config.kd_weight)
        + parts.sum().mul_scalar(config.weight);
    run.finish(&loss)
}
