//! Goldens of `pit`: vision transformers with a token for each pixel.

use std::collections::BTreeMap;

use burn::tensor::{DType, Int, Tensor};
use limbeck_nn::{
    InputShape, Mode, Network, Pass, Taps,
    model::vit::{Embedding, VisionTransformer, VisionTransformerConfig},
};
use serde_json::Value;

use super::{
    Adapter,
    case::{Case, Values},
    fixture::cross_entropy,
    network::{TOLERANCE, feature},
    run::{Run, values},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "forward",
    tolerance: TOLERANCE,
    run: forward,
}];

fn forward(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let images: Tensor<4> = run.input("images");
    let [batch, channels, height, width] = images.dims();
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.count("num_classes"),
    };
    let averages = case.config.get("pool").and_then(Value::as_str) == Some("avg");
    let config = VisionTransformerConfig {
        patch: case.count("patch_size"),
        width: case.count("embed_dim"),
        depth: case.count("depth"),
        heads: case.count("num_heads"),
        mlp_ratio: case.number("mlp_ratio"),
        distilled: false,
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
    let (outputs, _) = network.train(&tracked, images.clone(), &Taps::all(), 0);
    run.out("logits", &outputs.logits());
    run.set("out.features", feature(&outputs, "tokens"));

    // What the patch embedding gives, before positions are added.
    let positions = network.store.find("pos_embed").unwrap();
    let positions = network.store.get::<3>(positions);
    let pixels = height * width;
    let mut pass = Pass::new(&network.store, Mode::Evaluate, Taps::none(), 0);
    let placed = network
        .transformer()
        .unwrap()
        .patches(&mut pass, images.clone());
    let tokens = placed - positions.clone().narrow(1, 1, pixels);
    run.set("out.tokens", values(&tokens));

    // Pixels and their positions moved alike change nothing.
    let chosen: Tensor<1, Int> = case.integers("out.permutation");
    let mut moved = network.clone();
    let rows = positions
        .clone()
        .narrow(1, 1, pixels)
        .select(1, chosen.clone());
    let rows = Tensor::cat(vec![positions.narrow(1, 0, 1), rows], 1);
    let id = moved.store.find("pos_embed").unwrap();
    let count = rows.shape().num_elements();
    moved.store.set(id, rows.reshape([count]));
    let images = images
        .reshape([batch, channels, pixels])
        .select(2, chosen)
        .reshape([batch, channels, height, width]);
    let difference = moved.evaluate(images, &Taps::none()).logits() - outputs.logits().inner();
    let difference: f64 = difference.abs().max().into_scalar::<f64>();
    assert!(
        difference < 1e-10,
        "moved pixels change logits by {difference}"
    );
    run.set("out.permutation", case.values("out.permutation").clone());
    run.finish(&cross_entropy(outputs.logits(), case.integers("in.labels")))
}
