//! Goldens of `arch_cifar_resnet`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    InputShape, Network, Taps,
    model::{Block, cifar_resnet},
};

use super::{
    Adapter,
    case::{Case, Values},
    fixture::cross_entropy,
    network::{TOLERANCE, cifar_tap, feature, full},
    recipe::as_stored,
    run::Run,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "full",
        tolerance: TOLERANCE,
        run: |case| full(case, str::to_owned, cifar_tap),
    },
    Adapter {
        case: "small",
        tolerance: TOLERANCE,
        run: small,
    },
];

fn small(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let images: Tensor<4> = case.tensor("in.images");
    let [_, channels, height, width] = images.dims();
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.count("num_classes"),
    };
    let filters = serde_json::from_value(case.setting("num_filters").clone()).unwrap();
    let block = match case.text("block").to_lowercase().as_str() {
        "basicblock" | "basic" => Block::Basic,
        "bottleneck" => Block::Bottleneck,
        other => panic!("unknown block `{other}`"),
    };
    let mut network = Network::blank(
        "resnet",
        input,
        &Case::device(),
        DType::F64,
        |builder, input| {
            let depth = case.count("depth");
            Ok(Box::new(cifar_resnet::build(
                builder, input, depth, filters, block,
            )?))
        },
    )
    .unwrap();
    run.fill(&mut network.store);
    let evaluated = network.evaluate(images.clone(), &Taps::none());
    run.out("eval_logits", &evaluated.logits());

    let tracked = network.store.tracked();
    run.track(&tracked);
    let (outputs, updates) = network.train(&tracked, images, &Taps::all(), 0);
    run.out("logits", &outputs.logits());
    for name in case.tensors.keys() {
        let Some(output) = name.strip_prefix("out.") else {
            continue;
        };
        if output == "pooled" || output.starts_with("feat") || output.starts_with("preact") {
            let found = feature(&outputs, &cifar_tap(output));
            run.set(name, as_stored(case.values(name), found));
        }
    }
    network.store.apply(updates);
    run.after(&network.store);
    run.finish(&cross_entropy(outputs.logits(), case.integers("in.labels")))
}
