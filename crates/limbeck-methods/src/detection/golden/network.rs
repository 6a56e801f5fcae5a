//! The whole network of YOLOv5 5.0, tiny.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    InputShape, Network, Role, Taps,
    layer::Activation,
    model::yolov5::{Yolov5, Yolov5Config, Yolov5Graph},
};

use super::{anchors, decode};
use crate::golden::{
    Adapter,
    case::{Case, Values},
    network::TOLERANCE,
    run::{Run, values},
};

pub(super) const ADAPTER: Adapter = Adapter {
    case: "yolov5_net",
    tolerance: TOLERANCE,
    run,
};

/// What the official names lack here.
const PREFIX: &str = "model.";

fn network(case: &Case) -> Network {
    let &[_, channels, height, width] = case.shape("in.image") else {
        panic!("the image is no batch");
    };
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.count("nc"),
    };
    // Three bottlenecks in the shortest blocks of `l`.
    let depth = (3.0 * case.number("depth_multiple")).round() as usize;
    let config = Yolov5Config {
        graph: Yolov5Graph::Release5,
        depth,
        width: case.number("width_multiple"),
        activation: Activation::Silu,
    };
    let (device, dtype) = (Case::device(), DType::F64);
    let network = Network::blank("yolov5_focus", input, &device, dtype, |builder, input| {
        Ok(Box::new(Yolov5::new(builder, input, config)?))
    });
    let mut network = network.unwrap();
    let mut left: Vec<&str> = case
        .tensors
        .keys()
        .filter_map(|name| name.strip_prefix("param."))
        .collect();
    for id in network.store.ids() {
        let entry = network.store.entry(id);
        let name = entry.name.strip_prefix(PREFIX).unwrap();
        if matches!(entry.role, Role::Counter | Role::Constant) {
            continue;
        }
        let numbers = case.values(&format!("param.{name}"));
        assert_eq!(numbers.shape, entry.shape, "shape of `{name}`");
        left.retain(|other| *other != name);
        network.store.set_values(id, numbers.numbers.clone());
    }
    assert!(left.is_empty(), "no parameters called {left:?}");
    let sizes: Vec<_> = anchors(case)
        .levels()
        .iter()
        .map(|level| level.sizes.clone())
        .collect();
    network.set_anchor_sizes(&sizes).unwrap();
    network
}

fn run(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.text("mode"), "eval");
    let network = network(case);
    assert_eq!(network.store.trained_count(), case.count("n_params"));
    let anchors = anchors(case);
    let strides: Vec<usize> = anchors.levels().iter().map(|level| level.stride).collect();
    assert_eq!(network.detector().unwrap().strides, strides);
    let mut run = Run::new(case);
    let image: Tensor<4> = run.input("image");
    let tracked = network.store.tracked();
    let outputs = network.evaluate_over(&tracked, image.clone(), &Taps::none());
    let raw = outputs.prediction.level_maps().unwrap();
    for (i, map) in raw.iter().enumerate() {
        run.out(&format!("raw.{i}"), map);
    }
    run.out("pred", &decode(&anchors, &raw).unwrap());
    let squares = raw.into_iter().map(|map| map.powi_scalar(2).mean());
    let loss = squares.reduce(|sum, level| sum + level).unwrap();
    let mut gradients = loss.backward();
    let of_image = image.grad(&gradients).unwrap();
    let found = tracked.gradients(&mut gradients);
    run.out("loss", &loss);
    run.set("grad.in.image", values(&of_image));
    for (entry, gradient) in tracked.entries().iter().zip(found) {
        let name = entry.name.strip_prefix(PREFIX).unwrap();
        let name = format!("grad.param.{name}");
        if let (Some(gradient), true) = (gradient, case.has(&name)) {
            let numbers = values(&gradient).numbers;
            let shape = entry.shape.clone();
            run.set(&name, Values { shape, numbers });
        }
    }
    run.finish_without_loss()
}
