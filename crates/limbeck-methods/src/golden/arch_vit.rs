//! Goldens of `arch_vit`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    InputShape, Network, Taps,
    model::vit::{Embedding, VisionTransformer, VisionTransformerConfig},
};
use serde_json::Value;

use super::{
    Adapter,
    case::{Case, Values},
    fixture::cross_entropy,
    network::{TOLERANCE, feature, filled, nets, no_loss},
    recipe::digest,
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

fn full(case: &Case) -> BTreeMap<String, Values> {
    let mut found = BTreeMap::from([no_loss()]);
    for net in nets(case) {
        let prefix = format!("out.{net}.");
        let (network, images) = filled(case, net, net, &prefix);
        let outputs = network.evaluate(images, &Taps::all());
        let digests: Vec<Vec<f64>> = (0..)
            .map(|index| format!("block{index}"))
            .take_while(|tap| outputs.feature(tap).is_some())
            .map(|tap| digest(&feature(&outputs, &tap).numbers))
            .collect();
        let blocks = Values {
            shape: vec![digests.len(), digests[0].len()],
            numbers: digests.concat(),
        };
        found.insert(format!("{prefix}blocks"), blocks);
        found.insert(format!("{prefix}logits"), values(&outputs.logits()));
        for head in ["head", "head_dist"] {
            if outputs.feature(head).is_some() {
                found.insert(format!("{prefix}{head}"), feature(&outputs, head));
            }
        }
    }
    found
}

fn small(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let images: Tensor<4> = run.input("images");
    let [_, channels, height, width] = images.dims();
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.count("num_classes"),
    };
    let averages = case.config.get("global_pool").and_then(Value::as_str) == Some("avg");
    let config = VisionTransformerConfig {
        patch: case.count("patch_size"),
        width: case.count("embed_dim"),
        depth: case.count("depth"),
        heads: case.count("num_heads"),
        mlp_ratio: case.number("mlp_ratio"),
        distilled: case.has("param.dist_token"),
        embedding: match averages {
            true => Embedding::PatchMean,
            false => Embedding::ClassToken,
        },
        epsilon: case.number("ln_eps"),
        drop_path: 0.0,
    };
    let mut network = Network::blank(
        "vit",
        input,
        &Case::device(),
        DType::F64,
        |builder, input| Ok(Box::new(VisionTransformer::new(builder, input, config)?)),
    )
    .unwrap();
    run.fill(&mut network.store);
    let tracked = network.store.tracked();
    run.track(&tracked);
    let (outputs, _) = network.train(&tracked, images, &Taps::all(), 0);
    run.out("logits", &outputs.logits());
    for tap in outputs.features.keys() {
        run.set(&format!("out.{tap}"), feature(&outputs, tap));
    }
    run.finish(&cross_entropy(outputs.logits(), case.integers("in.labels")))
}
