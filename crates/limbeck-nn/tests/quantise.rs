//! Networks of few bits: what passes see, what is stored, what it costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

use std::collections::BTreeSet;

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_nn::quantise::{BitCost, Bits, QuantisationPlan, QuantiseError, Quantiser};
use limbeck_nn::weights::{LoadOptions, ModelFile, StateDict, load_network};
use limbeck_nn::{InputShape, Network, Role, Taps, model};

const INPUT: InputShape = InputShape {
    channels: 3,
    height: 32,
    width: 32,
    classes: 5,
};

fn network(name: &str) -> Network {
    model::build(name, INPUT, 3, &Device::flex(), DType::F32).unwrap()
}

fn images(batch: usize) -> Tensor<4> {
    let count = batch * 3 * 32 * 32;
    let values: Vec<f32> = (0..count)
        .map(|i| ((i * 37 % 255) as f32 / 127.0) - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [batch, 3, 32, 32]), &Device::flex())
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn logits(network: &Network, images: Tensor<4>) -> Vec<f32> {
    numbers(&network.evaluate(images, &Taps::none()).logits())
}

fn bits(count: u32) -> Bits {
    Bits::new(count).unwrap()
}

fn plan(network: &Network, quantiser: Quantiser, count: u32) -> QuantisationPlan {
    QuantisationPlan::uniform(network, quantiser, bits(count)).unwrap()
}

/// Quantised, with ranges seen in a few training passes.
fn trained(name: &str, quantiser: Quantiser, count: u32) -> Network {
    let mut network = network(name);
    network.quantise(&plan(&network, quantiser, count)).unwrap();
    for seed in 0..3 {
        let tracked = network.store.tracked();
        let (outputs, updates) = network.train(&tracked, images(4), &Taps::none(), seed);
        let loss = outputs.logits().square().mean();
        let gradients = tracked.gradients(&mut loss.backward());
        let reached = gradients.iter().zip(tracked.entries());
        for (gradient, entry) in reached.filter(|(_, entry)| entry.role == Role::Weight) {
            assert!(gradient.is_some(), "{} has no gradient", entry.name);
        }
        network.store.apply(updates);
    }
    network
}

const NETWORKS: [&str; 4] = ["resnet8", "shufflenetv2", "vit_nano", "mobilenetv2"];

#[test]
fn all_layers_but_the_head_are_quantised_and_the_image_has_a_byte() {
    let network = network("resnet8");
    let plan = plan(&network, Quantiser::Range, 4);
    let names: Vec<String> = network.layer_names();
    assert_eq!(names.first().unwrap(), "conv1.weight");
    assert_eq!(names.last().unwrap(), "fc.weight");
    assert_eq!(plan.layers.len(), names.len() - 1);
    assert!(plan.layer("fc.weight").is_none());
    assert_eq!(plan.layer("conv1.weight").unwrap().activation, Bits::BYTE);
    assert!(
        plan.layers[1..]
            .iter()
            .all(|layer| layer.activation == bits(4))
    );
    assert_eq!(plan.to_string(), "4 bits");
}

#[test]
fn thirty_two_bits_change_nothing() {
    let mut network = network("resnet8");
    let before = logits(&network, images(2));
    let plan = QuantisationPlan::uniform(&network, Quantiser::Range, Bits::FULL).unwrap();
    assert!(plan.layers.is_empty());
    network.quantise(&plan).unwrap();
    assert_eq!(logits(&network, images(2)), before);
}

#[test]
fn passes_see_few_levels_and_the_store_keeps_its_weights() {
    for name in NETWORKS {
        let before = network(name);
        let network = trained(name, Quantiser::Range, 3);
        let levels = network.frozen();
        for layer in &network.quantisation().unwrap().layers {
            let id = network.store.find(&layer.name).unwrap();
            let [own, old] = [&network, &before].map(|it| numbers(&it.store.entry(id).value));
            assert_eq!(own, old, "{name} {}", layer.name);
            let rows = network.store.entry(id).shape[0];
            let seen = numbers(&levels.store.entry(id).value);
            for row in seen.chunks(seen.len() / rows) {
                let distinct: BTreeSet<u32> = row.iter().map(|x| (x + 0.0).to_bits()).collect();
                assert!(
                    distinct.len() <= 7,
                    "{name} {}: {}",
                    layer.name,
                    distinct.len()
                );
            }
            let [low, high] = network.store.input_range(id).unwrap();
            assert!(
                low <= 0.0 && high >= 0.0 && low < high,
                "{name} {}",
                layer.name
            );
        }
    }
}

#[test]
fn more_bits_are_nearer_to_full_precision() {
    // Of untrained weights MobileNetV2 makes next to nothing.
    for name in &NETWORKS[..3] {
        let full = logits(&network(name), images(2));
        let mut last = f32::INFINITY;
        for count in [2, 4, 8] {
            let mut few = network(name);
            few.quantise(&plan(&few, Quantiser::Range, count)).unwrap();
            let ranges = few
                .train(&few.store.tracked(), images(2), &Taps::none(), 0)
                .1;
            // Norms as they were: the ranges alone.
            for (id, value) in ranges {
                if few.store.entry(id).name.ends_with("input_range") {
                    few.store.set(id, value.inner());
                }
            }
            let found = logits(&few, images(2));
            let error: f32 = found.iter().zip(&full).map(|(a, b)| (a - b).abs()).sum();
            let size: f32 = full.iter().map(|x| x.abs()).sum();
            assert!(
                error < last || error < 0.02 * size,
                "{name} {count}: {error} after {last}"
            );
            last = error;
        }
    }
}

#[test]
fn folded_networks_say_the_same_and_so_do_packed_files() {
    let folder = tempfile::tempdir().unwrap();
    for (name, quantiser) in [
        ("resnet8", Quantiser::Range),
        ("resnet8", Quantiser::Dorefa),
        ("shufflenetv2", Quantiser::Range),
        ("shufflenetv1", Quantiser::Dorefa),
        ("vit_nano", Quantiser::Range),
        ("mobilenetv2", Quantiser::Range),
    ] {
        for count in [1, 2, 4, 8] {
            let network = trained(name, quantiser, count);
            let expected = logits(&network, images(2));
            let case = format!("{name} {quantiser:?} {count}");
            for (packed, file) in [(true, "packed"), (false, "float")] {
                let path = folder.path().join(format!("{file}.safetensors"));
                ModelFile::save(&network, None, None, None, Vec::new(), packed, &path).unwrap();
                let file = ModelFile::read(&path).unwrap();
                let read = file.network(&Device::flex(), DType::F32).unwrap();
                assert_eq!(read.quantisation(), network.quantisation());
                assert_eq!(logits(&read, images(2)), expected, "{case} {packed}");
            }
            // Rounding in another place may move an activation by a level, and what follows with it.
            let folded = logits(&network.frozen(), images(2));
            let size = expected.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
            let error: f32 = folded
                .iter()
                .zip(&expected)
                .map(|(a, b)| (a - b).abs())
                .sum();
            assert!(
                error / folded.len() as f32 <= 0.15 * size,
                "{case}: {error} of {size}"
            );
        }
    }
}

#[test]
fn a_packed_file_has_the_bytes_that_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let full = BitCost::of(&network("resnet8"));
    for count in [1, 4, 8] {
        let network = trained("resnet8", Quantiser::Range, count);
        let cost = BitCost::of(&network);
        ModelFile::save(&network, None, None, None, Vec::new(), true, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let header = u64::from_le_bytes(*bytes.first_chunk::<8>().unwrap());
        assert_eq!(cost.bytes, bytes.len() as u64 - 8 - header);
        let share = cost.bytes as f64 / full.bytes as f64;
        let least = f64::from(count) / 32.0;
        assert!(
            share > least && share < least + 0.06,
            "{count} bits: {share}"
        );
        assert!(cost.bit_operations < full.bit_operations / 8);
    }
    assert_eq!(
        full.bit_operations,
        network("resnet8").cost().macs * 32 * 32
    );
}

#[test]
fn bit_operations_are_those_of_both_factors() {
    let mut few = network("resnet8");
    let layers = few.layer_names();
    few.quantise(&plan(&few, Quantiser::Range, 4)).unwrap();
    // conv1: 3·16·9 products at each of 32² places; fc: 64·5. Everything else has 4 bits on 4.
    let all = few.cost().macs;
    let (first, head) = (3 * 16 * 9 * 32 * 32, 64 * 5);
    let expected = first * 4 * 8 + head * 32 * 32 + (all - first - head) * 4 * 4;
    assert_eq!(BitCost::of(&few).bit_operations, expected);
    assert_eq!(layers.len(), few.layer_names().len());
    few.quantise(&plan(&few, Quantiser::Dorefa, 4)).unwrap();
    let expected = first * 4 * 32 + head * 32 * 32 + (all - first - head) * 4 * 4;
    assert_eq!(BitCost::of(&few).bit_operations, expected);
}

/// Codes by codes in whole numbers, one rounding at the end, against what the layer computes.
#[test]
fn a_layer_is_a_product_of_whole_numbers() {
    let network = trained("vit_nano", Quantiser::Range, 8);
    let name = "blocks.0.mlp.fc1.weight";
    let id = network.store.find(name).unwrap();
    let entry = network.store.entry(id);
    let (outputs, inputs) = (entry.shape[0], entry.shape[1]);
    let [low, high] = network.store.input_range(id).unwrap();
    let levels = limbeck_kernels::Levels::covering([low, high], 8).unwrap();
    let x: Vec<f32> = (0..inputs)
        .map(|i| ((i * 7 % 23) as f32 / 11.0 - 1.0) * high as f32)
        .collect();
    let given = Tensor::<2>::from_data(TensorData::new(x, [1, inputs]), &Device::flex());
    let codes: Vec<i64> = numbers(&limbeck_kernels::quantise(given.clone(), levels))
        .iter()
        .map(|x| (f64::from(*x) * levels.per_unit).round() as i64)
        .collect();
    let weights = numbers(&entry.value);
    let fake = limbeck_kernels::linear(
        limbeck_kernels::quantise(given, levels),
        limbeck_kernels::quantise_rows(network.store.get::<2>(id), 8),
        None,
    );
    for (row, found) in weights.chunks(inputs).zip(numbers(&fake)) {
        let row = limbeck_kernels::RowCodes::new(row, 8);
        let product: i64 = row
            .codes
            .iter()
            .zip(&codes)
            .map(|(w, x)| i64::from(*w) * x)
            .sum();
        let real = product as f64 * f64::from(row.step) / levels.per_unit;
        assert!(
            (real - f64::from(found)).abs() < 1e-4 * (1.0 + real.abs()),
            "{real} {found}"
        );
    }
    assert_eq!(numbers(&fake).len(), outputs);
}

#[test]
fn hybrid_bits_follow_the_weights() {
    let network = network("resnet8");
    let bits_at = |threshold| {
        let plan = QuantisationPlan::hybrid(&network, Quantiser::Range, threshold).unwrap();
        plan.layers.iter().map(|it| it.weight.count()).sum::<u32>()
    };
    assert!(bits_at(1e-9) > bits_at(10.0) && bits_at(10.0) > bits_at(1e9));
    let error = QuantisationPlan::hybrid(&network, Quantiser::Range, 0.0).unwrap_err();
    assert_eq!(error, QuantiseError::Threshold { found: 0.0 });
    let error = QuantisationPlan::listed(&network, Quantiser::Range, &[bits(4)]).unwrap_err();
    assert!(
        matches!(error, QuantiseError::Count { found: 1, .. }),
        "{error}"
    );
    let some: Vec<Bits> = (1..=8)
        .map(bits)
        .cycle()
        .take(network.layer_names().len() - 1)
        .collect();
    let plan = QuantisationPlan::listed(&network, Quantiser::Range, &some).unwrap();
    assert_eq!(plan.to_string(), "1 to 8 bits");
}

#[test]
fn dorefa_is_refused_where_no_norm_follows() {
    let mut network = network("vit_nano");
    let error = network
        .quantise(&plan(&network, Quantiser::Dorefa, 4))
        .unwrap_err();
    assert!(error.to_string().contains("`range`"), "{error}");
    let mut network = crate::network("resnet8");
    let id = network.store.find("layer1.0.conv1.weight").unwrap();
    let zeros = network.store.entry(id).value.zeros_like();
    network.store.set(id, zeros);
    let error = network
        .quantise(&plan(&network, Quantiser::Dorefa, 4))
        .unwrap_err();
    assert!(
        error.to_string().contains("`layer1.0.conv1.weight`"),
        "{error}"
    );
}

#[test]
fn packed_weights_start_a_network_of_full_precision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let few = trained("resnet8", Quantiser::Range, 4);
    ModelFile::save(&few, None, None, None, Vec::new(), true, &path).unwrap();
    let state = StateDict::read(&path).unwrap();
    assert_eq!(state.quantisation().unwrap().plan.to_string(), "4 bits");
    let mut full = network("resnet8");
    assert!(
        load_network(&mut full, &state, LoadOptions::default())
            .unwrap()
            .is_exact()
    );
    assert!(full.quantisation().is_none());
    let id = full.store.find("conv1.weight").unwrap();
    let levels = limbeck_kernels::quantise_rows(few.store.get::<4>(id), 4);
    assert_eq!(numbers(&full.store.entry(id).value), numbers(&levels));
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let few = trained("resnet8", Quantiser::Range, 4);
    ModelFile::save(&few, None, None, None, Vec::new(), true, &path).unwrap();
    let whole = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    assert!(whole.contains(r#"\"shape\":[16,3,3,3]"#));
    let bytes = std::fs::read(&path).unwrap();
    for (from, to) in [
        (r#"\"shape\":[16,3,3,3]"#, r#"\"shape\":[17,3,3,3]"#),
        (r#"\"weight\":4"#, r#"\"weight\":9"#),
        (r#"\"weight\":4"#, r#"\"weight\":3"#),
        ("conv1.weight.codes", "conv1.weight.nodes"),
        (r#"\"quantiser\":\"range\""#, r#"\"quantiser\":\"orange"#),
    ] {
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes());
        let mut damaged = bytes.clone();
        let at = at.unwrap_or_else(|| panic!("{from}"));
        damaged.splice(at..at + from.len(), to.bytes());
        std::fs::write(&path, damaged).unwrap();
        assert!(StateDict::read(&path).is_err(), "{from}");
    }
}
