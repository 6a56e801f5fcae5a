//! A burn module as a network: the same numbers as the module gives by itself, training and
//! evaluation, and nothing shared between passes.

#![allow(clippy::unwrap_used, clippy::panic)]

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d,
};
use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_nn::{Feature, ImageModule, InputShape, Network, NnError, Pass, Role, Taps};

#[derive(Module, Debug)]
struct Small {
    blocks: Vec<Block>,
    dropout: Dropout,
    head: Linear,
}

#[derive(Module, Debug)]
struct Block {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Small {
    fn new(device: &Device, classes: usize) -> Self {
        let block = |from: usize, to: usize| Block {
            conv: Conv2dConfig::new([from, to], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .init(device),
            norm: BatchNormConfig::new(to).init(device),
        };
        Self {
            blocks: vec![block(2, 4), block(4, 6)],
            dropout: DropoutConfig::new(0.0).init(),
            head: LinearConfig::new(6, classes).init(device),
        }
    }

    fn features(&self, images: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(images, |x, block| {
            burn::tensor::activation::relu(block.norm.forward(block.conv.forward(x)))
        })
    }

    fn logits(&self, map: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = map.dims();
        let pooled = map
            .reshape([batch, channels, height * width])
            .mean_dim(2)
            .reshape([batch, channels]);
        self.head.forward(self.dropout.forward(pooled))
    }
}

impl ImageModule for Small {
    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let map = self.features(images);
        pass.tap("map", || Feature::Map(map.clone()));
        Feature::Vector(self.logits(map))
    }

    fn tap_names(&self) -> Vec<String> {
        vec!["map".to_owned()]
    }
}

const INPUT: InputShape = InputShape {
    channels: 2,
    height: 5,
    width: 7,
    classes: 3,
};

fn network(module: Small) -> Network {
    Network::of_module("small", INPUT, &Device::flex(), DType::F32, module).unwrap()
}

fn images() -> Tensor<4> {
    let values: Vec<f64> = (0..4 * 2 * 5 * 7)
        .map(|i| ((i * 37 % 101) as f64 / 50.0) - 1.0)
        .collect();
    Tensor::from_data(
        TensorData::new(values, [4, 2, 5, 7]),
        (&Device::flex(), DType::F32),
    )
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-6 + 1e-5 * expected.abs(),
            "{found} and {expected}"
        );
    }
}

#[test]
fn parameters_have_the_names_of_their_fields_and_their_roles() {
    let network = network(Small::new(&Device::flex(), 3));
    let roles: Vec<(&str, Role, &[usize])> = network
        .store
        .entries()
        .iter()
        .map(|entry| (entry.name.as_str(), entry.role, entry.shape.as_slice()))
        .collect();
    assert!(roles.contains(&("blocks.0.conv.weight", Role::Weight, &[4, 2, 3, 3])));
    assert!(roles.contains(&("blocks.1.norm.gamma", Role::NormScale, &[6])));
    assert!(roles.contains(&("blocks.1.norm.beta", Role::NormShift, &[6])));
    assert!(roles.contains(&("blocks.1.norm.running_var", Role::Statistic, &[6])));
    assert!(roles.contains(&("head.bias", Role::Bias, &[3])));
    let taps: Vec<String> = network.taps().into_iter().map(|tap| tap.name).collect();
    assert_eq!(taps, ["image", "map", "logits"]);
}

#[test]
fn evaluation_gives_what_the_module_gives() {
    let module = Small::new(&Device::flex(), 3);
    let expected = module.valid().logits(module.valid().features(images()));
    let outputs = network(module).evaluate(images(), &Taps::all());
    close(&numbers(outputs.logits()), &numbers(expected));
    assert!(outputs.features.contains_key("map"));
}

#[test]
fn training_gives_the_modules_gradients_and_statistics() {
    let module = Small::new(&Device::flex(), 3);
    let mut network = network(module.clone());
    let alone = module.train();
    let logits = alone.logits(alone.features(images().autodiff()));
    let gradients = logits.clone().powi_scalar(2).sum().backward();
    let weight = alone.blocks[0].conv.weight.val();
    let expected = numbers(weight.grad(&gradients).unwrap());

    let tracked = network.store.tracked();
    let (outputs, updates) = network.train(&tracked, images(), &Taps::none(), 0);
    close(&numbers(outputs.logits()), &numbers(logits));
    let mut gradients = outputs.logits().powi_scalar(2).sum().backward();
    let found = tracked.gradients(&mut gradients);
    let place = network.store.find("blocks.0.conv.weight").unwrap();
    let position = network.store.ids().position(|id| id == place).unwrap();
    close(&numbers(found[position].clone().unwrap()), &expected);

    let mean = network.store.find("blocks.0.norm.running_mean").unwrap();
    let before = numbers(network.store.get::<1>(mean));
    assert_eq!(before, [0.0; 4]);
    network.store.apply(updates);
    let alone = alone.valid();
    close(
        &numbers(network.store.get::<1>(mean)),
        &numbers(alone.blocks[0].norm.running_mean.value()),
    );
    let statistics = numbers(network.store.get::<1>(mean));
    assert!(statistics.iter().any(|mean| mean.abs() > 1e-4));
}

#[test]
fn a_training_pass_changes_nothing_by_itself() {
    let network = network(Small::new(&Device::flex(), 3));
    let before = numbers(network.evaluate(images(), &Taps::none()).logits());
    let tracked = network.store.tracked();
    let _ = network.train(&tracked, images(), &Taps::none(), 0);
    let rehearsed = network.train(&network.store, images(), &Taps::all(), 0).0;
    assert!(!rehearsed.logits().is_tracked());
    let after = numbers(network.evaluate(images(), &Taps::none()).logits());
    assert_eq!(before, after);
}

#[test]
fn images_that_record_gradients_are_still_evaluated_with_the_running_statistics() {
    let network = network(Small::new(&Device::flex(), 3));
    let expected = numbers(network.evaluate(images(), &Taps::none()).logits());
    let leaf = images().autodiff().require_grad();
    let logits = network.evaluate(leaf.clone(), &Taps::none()).logits();
    close(&numbers(logits.clone()), &expected);
    let gradients = logits.sum().backward();
    assert!(leaf.grad(&gradients).is_some());
}

#[test]
fn a_module_for_other_classes_is_refused() {
    let module = Small::new(&Device::flex(), 5);
    let error = Network::of_module("small", INPUT, &Device::flex(), DType::F32, module);
    let Err(NnError::Unsupported { model, reason }) = error else {
        panic!("accepted");
    };
    assert_eq!(model, "small");
    assert!(
        reason.contains("[1, 5]") && reason.contains("3 classes"),
        "{reason}"
    );
}
