//! Goldens of `sgva`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Builder, Store};

use super::{
    Episode, FeatureAdapter, Sgva, SgvaConfig, VisualProjection, episode::similarities,
    fused_scores, prototypes,
};
use crate::golden::{
    Adapter,
    case::{Case, Values},
    compare::Tolerance,
    fixture::pass,
    run::Run,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "adapter",
        tolerance: Tolerance::TIGHT,
        run: adapter,
    },
    Adapter {
        case: "loss",
        tolerance: Tolerance::TIGHT,
        run: loss,
    },
];

fn projection(case: &Case) -> VisualProjection {
    let Values { shape, numbers } = case.values("in.proj");
    let bias = match case.text("kind") {
        "vit" => None,
        "rn" => Some(&case.values("in.bias").numbers[..]),
        other => panic!("kind `{other}`"),
    };
    let shape = [shape[0], shape[1]];
    VisualProjection::new(numbers, shape, bias, &Case::device(), DType::F64).unwrap()
}

/// An adapter of the file's sizes with the file's numbers, if it has some.
fn made(case: &Case, run: &Run<'_>) -> (FeatureAdapter, Store) {
    let projection = projection(case);
    let mut config = SgvaConfig::default();
    let given = case.has("param.linear1.weight");
    if given {
        let hidden = case.shape("param.linear1.weight")[0];
        config.hidden = hidden as f64 / projection.lifted_width() as f64;
    }
    let method = Sgva::new(config).unwrap();
    let mut store = Store::new(&Case::device(), DType::F64);
    let mut builder = Builder::new(&mut store, 0);
    let width = projection.width();
    let adapter = FeatureAdapter::new(method.config(), &mut builder, width, Some(projection));
    if given {
        run.fill(&mut store);
    }
    (adapter, store)
}

fn adapter(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (adapter, store) = made(case, &run);
    let tracked = store.tracked();
    run.track(&tracked);
    let lifted = adapter.lift(case.tensor("in.image_feature"));
    run.out("lifted", &lifted);
    let adapted = adapter.forward(&mut pass(&tracked), lifted);
    run.out("adapted", &adapted);
    let loss = (adapted * case.tensor::<2>("in.weight")).sum();
    run.finish(&loss)
}

fn indices(case: &Case, name: &str) -> Vec<usize> {
    let numbers = &case.values(name).numbers;
    numbers.iter().map(|&number| number as usize).collect()
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (adapter, _) = made(case, &run);
    let config = SgvaConfig {
        logit_scale: case.number("logit_scale"),
        temperature: case.number("temperature"),
        ..SgvaConfig::default()
    };
    let (scale, way) = (config.logit_scale, case.count("way"));
    let support_labels = indices(case, "in.support_labels");
    let query_labels = indices(case, "in.query_labels");
    let query_classes = indices(case, "in.query_class_ids");
    let query = case.tensor::<2>("in.query");
    let episode = Episode {
        query: query.clone(),
        texts: run.input("text_feature"),
        adapted_query: run.input("new_query"),
        adapted_support: run.input("new_support"),
        support_labels: &support_labels,
        query_labels: &query_labels,
        query_classes: &query_classes,
        way,
    };
    let terms = episode.terms(&config, &adapter).unwrap();
    run.out("loss_i2i", &terms.i2i);
    run.out("loss_kd", &terms.kd);
    run.out("loss_i2t", &terms.i2t);

    let frozen = prototypes(case.tensor("in.support"), &support_labels, way).unwrap();
    run.out("logits_img2img", &similarities(query, frozen, scale));
    let texts = case.tensor::<2>("in.text_feature");
    let with_texts = similarities(case.tensor("in.query"), texts.clone(), scale);
    run.out("logits_img2text", &with_texts);
    let adapted = case.tensor::<2>("in.new_query");
    let projected = adapter.project(adapted.clone());
    run.out(
        "logits_new_img2text",
        &similarities(projected, texts, scale),
    );
    let centres = prototypes(case.tensor("in.new_support"), &support_labels, way).unwrap();
    run.out("new_prototypes", &centres);
    let with_images = similarities(adapted, centres, scale);
    run.out("logits_new_img2img", &with_images);
    let chosen: Tensor<2> = with_texts.select(1, case.integers::<1>("in.episode_classes"));
    let fused = fused_scores(with_images, chosen, case.number("fuse"));
    run.out("fused", &fused);
    run.finish(&terms.total(&config))
}
