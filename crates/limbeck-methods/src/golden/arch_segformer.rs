//! Goldens of `arch_segformer`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    Feature, InputShape, Network, Outputs, Taps,
    model::segformer::{SegFormer, SegFormerConfig},
};

use super::{
    Adapter,
    arch_segmentation::filled,
    case::{Case, Values},
    network::{TOLERANCE, feature, nets, no_loss},
    recipe::as_stored,
    run::{Run, values},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "full",
        tolerance: TOLERANCE,
        run: full,
    },
    Adapter {
        case: "small",
        tolerance: TOLERANCE,
        run: small,
    },
];

const STAGES: [&str; 4] = ["stage1", "stage2", "stage3", "stage4"];

fn full(case: &Case) -> BTreeMap<String, Values> {
    let mut found = BTreeMap::from([no_loss()]);
    for net in nets(case) {
        let name = format!("segformer_{net}");
        let (network, images) = filled(case, &name, &name);
        let outputs = network.evaluate(images, &Taps::all());
        let mut give = |name: &str, values| {
            let name = format!("out.{net}.{name}");
            let values = as_stored(case.values(&name), values);
            found.insert(name, values);
        };
        give("logits", values(&map(&outputs)));
        for stage in STAGES {
            give(stage, feature(&outputs, stage));
        }
    }
    found
}

fn small(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let images = case.tensor::<4>("in.images");
    let [_, channels, height, width] = images.dims();
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.count("num_classes"),
    };
    let config = SegFormerConfig {
        widths: case.counts("embed_dims"),
        depths: case.counts("depths"),
        heads: case.counts("num_heads"),
        reductions: case.counts("sr_ratios"),
        mlp_ratio: case.count("mlp_ratio"),
        head_width: case.count("decoder_dim"),
        drop_path: 0.0,
        dropout: 0.0,
    };
    let mut network = Network::blank(
        "segformer",
        input,
        &Case::device(),
        DType::F64,
        |builder, input| Ok(Box::new(SegFormer::new(builder, input, config)?)),
    )
    .unwrap();
    run.fill(&mut network.store);
    let tracked = network.store.tracked();
    run.track(&tracked);
    let mut evaluated = network.clone();
    evaluated.store = tracked;
    let outputs = evaluated.evaluate(images, &Taps::all());
    let logits = map(&outputs);
    run.out("logits", &logits);
    for stage in STAGES {
        run.set(&format!("out.{stage}"), feature(&outputs, stage));
    }
    run.finish(&(logits * case.tensor("in.probe")).sum())
}

fn map(outputs: &Outputs) -> Tensor<4> {
    match &outputs.prediction {
        Feature::Map(map) => map.clone(),
        other => panic!("the prediction is a {}", other.kind()),
    }
}
