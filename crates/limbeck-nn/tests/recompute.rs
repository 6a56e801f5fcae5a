//! Networks whose units are computed again in the backward pass, against the same that keep everything: the
//! same bits, whatever is read of them.

#![allow(clippy::unwrap_used, clippy::panic)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_nn::{
    Feature, InputShape, Network, Taps, model,
    quantise::{Bits, QuantisationPlan, Quantiser},
};

/// One small model of each family, and the side of the images it is tried with.
const SMALL: &[(&str, usize)] = &[
    ("resnet8", 8),
    ("wrn_16_1", 8),
    ("vgg8", 8),
    ("mobilenetv2", 16),
    ("shufflev1", 8),
    ("shufflev2", 8),
    ("mobilenet_v1", 32),
    ("vit_nano_patch4", 8),
    ("vit_nano_distilled_patch4", 8),
    ("tiny_vit_nano", 32),
    ("swin_nano", 16),
    ("vq_autoencoder", 16),
    ("pspnet_resnet18_x0.125", 32),
    ("deeplabv3_mobilenet_v2_x0.125", 33),
    ("segformer_b0_x0.25", 32),
    ("yolov5n_x0.1", 32),
    ("yolov5s_focus_x0.05", 32),
    ("yolov5n_cls_x0.1", 32),
];

fn network(name: &str, side: usize) -> Network {
    let input = InputShape {
        channels: 3,
        height: side,
        width: side,
        classes: if name == "vq_autoencoder" { 0 } else { 5 },
    };
    model::build(name, input, 3, &Device::flex(), DType::F32).unwrap()
}

fn images(network: &Network, tracked: bool) -> Tensor<4> {
    let InputShape { height, width, .. } = network.input();
    let count = 4 * 3 * height * width;
    let values: Vec<f32> = (0..count).map(|i| ((i * i) as f32 * 0.61).sin()).collect();
    let images = Tensor::from_data(
        TensorData::new(values, [4, 3, height, width]),
        &Device::flex(),
    );
    match tracked {
        true => images.autodiff().require_grad(),
        false => images,
    }
}

fn bits<const D: usize>(tensor: &Tensor<D>) -> Vec<u32> {
    let data = tensor.clone().inner().into_data();
    data.iter::<f32>().map(f32::to_bits).collect()
}

/// The mean of squares and of cubes, which are two readers of a feature.
fn read(feature: &Feature) -> Tensor<1> {
    fn of<const D: usize>(numbers: &Tensor<D>) -> Tensor<1> {
        let (square, cube) = (
            numbers.clone().powi_scalar(2),
            numbers.clone().powi_scalar(3),
        );
        square.mean() + cube.mean().mul_scalar(0.1)
    }
    match feature {
        Feature::Map(map) => of(map),
        Feature::Tokens { tokens, .. } => of(tokens),
        Feature::Vector(vector) => of(vector),
        Feature::Attention(maps) => of(maps),
        Feature::Cells { cells, .. } => of(cells),
    }
}

/// Everything that a training pass gives out: loss, features, gradients, statistics.
fn pass(network: &Network, again: bool, taps: &Taps, tracked: bool) -> Vec<(String, Vec<u32>)> {
    let mut network = network.clone();
    if again {
        network.store.recompute_units();
    }
    let store = network.store.tracked();
    let images = images(&network, tracked);
    let (outputs, updates) = network.train(&store, images.clone(), taps, 7);
    let features = outputs.features.values();
    let loss = features.fold(read(&outputs.prediction), |sum, feature| {
        sum + read(feature)
    });
    let mut found = vec![("loss".to_owned(), bits(&loss))];
    let mut gradients = loss.backward();
    if let Some(gradient) = images.grad_remove(&mut gradients) {
        found.push(("images".to_owned(), bits(&gradient)));
    }
    for (entry, gradient) in store.entries().iter().zip(store.gradients(&mut gradients)) {
        if let Some(gradient) = gradient {
            found.push((entry.name.clone(), bits(&gradient)));
        }
    }
    for (id, value) in updates {
        found.push((format!("{} noted", store.entry(id).name), bits(&value)));
    }
    found
}

fn check(network: &Network, taps: &Taps, tracked: bool) {
    let kept = pass(network, false, taps, tracked);
    let again = pass(network, true, taps, tracked);
    let names = |found: &[(String, Vec<u32>)]| -> Vec<String> {
        found.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&kept), names(&again), "{}", network.name());
    for ((name, kept), (_, again)) in kept.iter().zip(&again) {
        assert_eq!(kept, again, "{}: {name}", network.name());
    }
}

#[test]
fn every_family_has_the_same_bits() {
    for &(name, side) in SMALL {
        let network = network(name, side);
        assert!(network.units() > 0, "{name} has no units");
        check(&network, &Taps::none(), false);
        check(&network, &Taps::none(), true);
    }
}

#[test]
fn taps_have_the_same_bits_within_units_and_between() {
    for &(name, side) in SMALL {
        let network = network(name, side);
        check(&network, &Taps::all(), false);
        for tap in network.tap_names() {
            if tap.starts_with("stage") || tap.starts_with("attention") || tap == "layer4" {
                check(&network, &Taps::from_iter([tap]), false);
            }
        }
    }
}

#[test]
fn frozen_norms_and_few_bits_have_the_same_bits() {
    for (name, side) in [("resnet8", 8), ("mobilenetv2", 16), ("vit_nano_patch4", 8)] {
        let mut network = network(name, side);
        network.store.freeze_norms();
        check(&network, &Taps::none(), false);
        let mut network = self::network(name, side);
        let bits = Bits::new(4).unwrap();
        let plan = QuantisationPlan::uniform(&network, Quantiser::Range, bits).unwrap();
        network.quantise(&plan).unwrap();
        check(&network, &Taps::none(), false);
    }
}

#[test]
fn a_pass_that_nobody_goes_back_through_is_as_ever() {
    let network = network("resnet8", 8);
    let mut again = network.clone();
    again.store.recompute_units();
    let images = images(&network, false);
    for seed in 0..2 {
        let of = |network: &Network| {
            let (outputs, _) = network.train(&network.store, images.clone(), &Taps::all(), seed);
            bits(&outputs.logits())
        };
        assert_eq!(of(&network), of(&again));
        let of =
            |network: &Network| bits(&network.evaluate(images.clone(), &Taps::none()).logits());
        assert_eq!(of(&network), of(&again));
    }
}
