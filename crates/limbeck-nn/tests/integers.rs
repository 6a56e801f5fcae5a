//! Networks of few bits in whole numbers next to the same levels in single precision.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_nn::quantise::{Bits, QuantisationPlan, Quantiser};
use limbeck_nn::{InputShape, Network, Taps, model};

/// Networks of every family that has layers of its own kind, and the side of their images.
const NETWORKS: [(&str, usize); 17] = [
    ("resnet8", 32),
    ("resnet18", 64),
    ("wrn_16_1", 32),
    ("vgg8", 32),
    ("mobilenetv2", 32),
    ("mobilenet_v2", 64),
    ("mobilenet_v1", 64),
    ("ShuffleV1", 32),
    ("ShuffleV2", 32),
    ("vit_nano", 32),
    ("tiny_vit_5m_224", 64),
    ("swin_micro", 32),
    ("deeplabv3_resnet18_x0.25", 64),
    ("pspnet_resnet18_x0.25", 64),
    ("segformer_b0_x0.5", 64),
    ("yolov5n_x0.5", 64),
    ("yolov5s_stride4_x0.25", 64),
];

fn images(side: usize, batch: usize, first: usize) -> Tensor<4> {
    let count = batch * 3 * side * side;
    let value = |i: usize| (((i + 1013 * first) * 7919 % 8191) as f32 / 4095.0) - 1.0;
    let values: Vec<f32> = (0..count).map(value).collect();
    Tensor::from_data(
        TensorData::new(values, [batch, 3, side, side]),
        &Device::flex(),
    )
}

fn answers(network: &Network, images: Tensor<4>, taps: &Taps) -> Vec<f32> {
    let rows = network.evaluate(images, taps).prediction.to_rows();
    rows.to_data().iter::<f32>().collect()
}

/// With ranges that were seen in training.
fn quantised(name: &str, side: usize, bits: u32) -> Network {
    let input = InputShape {
        channels: 3,
        height: side,
        width: side,
        classes: 5,
    };
    let mut network = model::build(name, input, 3, &Device::flex(), DType::F32).unwrap();
    let bits = Bits::new(bits).unwrap();
    let plan = QuantisationPlan::uniform(&network, Quantiser::Range, bits).unwrap();
    network.quantise(&plan).unwrap();
    // So many that running statistics are near those of the images.
    for seed in 0..40 {
        let seen = images(side, 4, seed as usize % 5);
        let (_, updates) = network.train(&network.store, seen, &Taps::none(), seed);
        network.store.apply(updates);
    }
    network
}

/// Distance of two answers as a share of their spread.
fn distance(found: &[f32], wanted: &[f32]) -> f64 {
    let mean = wanted.iter().map(|&x| f64::from(x)).sum::<f64>() / wanted.len() as f64;
    let squares = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>();
    let apart = squares(&mut found.iter().zip(wanted).map(|(a, b)| f64::from(a - b)));
    let spread = squares(&mut wanted.iter().map(|&x| f64::from(x) - mean));
    (apart / spread).sqrt()
}

#[test]
fn whole_numbers_answer_as_levels_in_single_precision_do() {
    for (name, side) in NETWORKS {
        let network = quantised(name, side, 8);
        let frozen = network.frozen();
        let integers = network.in_integers().unwrap();
        let images = images(side, 3, 9);
        let wanted = answers(&frozen, images.clone(), &Taps::none());
        // With a tap recorded, no map stays in bytes.
        let tapped = Taps::from_iter(["image"]);
        let layer_by_layer = answers(&integers, images.clone(), &tapped);
        let in_bytes = answers(&integers, images.clone(), &Taps::none());
        let apart = [&layer_by_layer, &in_bytes].map(|found| distance(found, &wanted));
        // Numbers between two levels may go to either, which layer after layer makes more of.
        let brighter = answers(&frozen, images.mul_scalar(1.0003), &Taps::none());
        let share = distance(&brighter, &wanted);
        assert!(apart[0] < share.min(0.2), "{name}: {apart:?} {share}");
        assert!(apart[1] < 2.5 * share.min(0.2), "{name}: {apart:?} {share}");
    }
}

#[test]
fn maps_stay_in_bytes_where_layers_follow_each_other() {
    let found = |name, side| {
        let network = quantised(name, side, 8).in_integers().unwrap();
        network.integer_layers().unwrap()
    };
    // The pooling after the first convolution, and all maps but the shortcuts' and the last.
    let resnet = found("resnet18", 64);
    assert_eq!([resnet.layers, resnet.maps, resnet.byte_maps], [20, 21, 17]);
    // All maps but the last.
    let mobilenet = found("mobilenet_v2", 64);
    assert_eq!(mobilenet.layers, 52);
    assert_eq!([mobilenet.maps, mobilenet.byte_maps], [52, 51]);
}

#[test]
fn an_image_is_answered_alike_alone_and_in_company() {
    for name in ["resnet18", "yolov5n_x0.5"] {
        let network = quantised(name, 64, 8).in_integers().unwrap();
        let together = answers(&network, images(64, 3, 4), &Taps::none());
        let alone = images(64, 3, 4).narrow(0, 1, 1);
        let alone = answers(&network, alone, &Taps::none());
        assert_eq!(together[alone.len()..2 * alone.len()], alone, "{name}");
    }
}

#[test]
fn fewer_bits_and_other_sizes_run_in_whole_numbers_too() {
    for bits in [2, 4, 6] {
        let network = quantised("resnet8", 32, bits);
        let integers = network.in_integers().unwrap();
        // The first image has the network's own size.
        for side in [32, 48] {
            let images = images(side, 2, 5);
            let wanted = answers(&network.frozen(), images.clone(), &Taps::none());
            let tapped = Taps::from_iter(["image"]);
            let found = answers(&integers, images.clone(), &tapped);
            let brighter = images.clone().mul_scalar(1.0003);
            let brighter = answers(&network.frozen(), brighter, &Taps::none());
            let share = distance(&brighter, &wanted);
            let apart = distance(&found, &wanted);
            assert!(apart < share, "{bits} {side}: {apart} {share}");
            // Maps in bytes say the same: what is added has all its numbers.
            let in_bytes = answers(&integers, images, &Taps::none());
            let apart = distance(&in_bytes, &wanted);
            assert!(apart < share, "{bits} {side}: {apart} {share}");
        }
    }
}

#[test]
fn what_cannot_run_in_whole_numbers_is_left_out() {
    let input = InputShape {
        channels: 3,
        height: 32,
        width: 32,
        classes: 5,
    };
    let build = |dtype| model::build("resnet8", input, 3, &Device::flex(), dtype).unwrap();
    assert!(build(DType::F32).in_integers().is_none());
    for (quantiser, dtype) in [
        (Quantiser::Dorefa, DType::F32),
        // Nothing was seen that tells ranges.
        (Quantiser::Range, DType::F32),
        (Quantiser::Range, DType::F64),
    ] {
        let mut network = build(dtype);
        let plan = QuantisationPlan::uniform(&network, quantiser, Bits::new(8).unwrap()).unwrap();
        network.quantise(&plan).unwrap();
        assert!(network.in_integers().is_none(), "{quantiser:?} {dtype:?}");
    }
}
