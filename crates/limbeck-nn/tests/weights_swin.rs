//! Swin's weights under the names of their sources.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device};
use limbeck_nn::weights::{LoadOptions, StateDict, load_network, told_input};
use limbeck_nn::{InputShape, Network, Store, model};

const CLASSES: usize = 7;

fn swin() -> Network {
    let input = InputShape {
        channels: 3,
        height: 32,
        width: 32,
        classes: CLASSES,
    };
    model::build("swin_nano", input, 1, &Device::flex(), DType::F32).unwrap()
}

fn numbers(store: &Store, name: &str) -> Vec<f32> {
    let entry = store.entry(store.find(name).unwrap());
    entry.value.to_data().iter().collect()
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Every entry of the store with the numbers 0, 1/3, 2/3 … plus its position.
fn ramps(store: &Store) -> Tensors {
    let entry = |(index, entry): (usize, &limbeck_nn::Entry)| {
        let count = entry.shape.iter().product::<usize>();
        let numbers = (0..count).map(|i| (index + i) as f32 / 3.0).collect();
        (entry.name.clone(), (entry.shape.clone(), numbers))
    };
    store.entries().iter().enumerate().map(entry).collect()
}

fn file(tensors: &Tensors) -> StateDict {
    let mut header = BTreeMap::new();
    let mut data = Vec::new();
    for (name, (shape, numbers)) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        header.insert(
            name,
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
    StateDict::from_bytes(Path::new("w.safetensors"), bytes, None).unwrap()
}

/// The tensors under other names, with the constants that their source keeps beside each table.
fn renamed(tensors: &Tensors, constants: &[&str], rename: impl Fn(&str) -> String) -> Tensors {
    let mut theirs = Tensors::new();
    for (name, tensor) in tensors {
        let name = rename(name);
        if let Some(stem) = name.strip_suffix("relative_position_bias_table") {
            for constant in constants {
                theirs.insert(format!("{stem}{constant}"), (vec![2], vec![0.0, 1.0]));
            }
        }
        theirs.insert(name, tensor.clone());
    }
    theirs
}

fn torchvision(name: &str) -> String {
    let mut name = name
        .replace("patch_embed.proj", "features.0.0")
        .replace("patch_embed.norm", "features.0.2")
        .replace("mlp.fc1", "mlp.0")
        .replace("mlp.fc2", "mlp.3")
        .replace("head.fc", "head");
    for stage in 0..4 {
        let merging = format!("layers.{stage}.downsample");
        name = name
            .replace(
                &format!("layers.{stage}.blocks"),
                &format!("features.{}", 2 * stage + 1),
            )
            .replace(&merging, &format!("features.{}", 2 * stage));
    }
    name
}

fn authors(name: &str) -> String {
    let mut name = name.replace("head.fc", "head");
    for stage in 1..4 {
        let merging = format!("layers.{stage}.downsample");
        name = name.replace(&merging, &format!("layers.{}.downsample", stage - 1));
    }
    name
}

/// With `newer`, what transformers 5 calls the layers in memory.
fn hugging_face(tensors: &Tensors, newer: bool) -> Tensors {
    let constants: &[&str] = if newer {
        &[]
    } else {
        &["relative_position_index"]
    };
    let table = match newer {
        true => "attention.relative_position_bias.relative_position_bias_table",
        false => "attention.self.relative_position_bias_table",
    };
    let layers = match newer {
        true => ["attention.o_proj", "mlp.fc1", "mlp.fc2"],
        false => [
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        ],
    };
    let whole = renamed(tensors, constants, |name| {
        if let Some(parameter) = name.strip_prefix("head.fc.") {
            return format!("classifier.{parameter}");
        }
        if let Some(parameter) = name.strip_prefix("norm.") {
            return format!("swin.layernorm.{parameter}");
        }
        let name = authors(name)
            .replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
            .replace("patch_embed.norm", "embeddings.norm")
            .replace("layers.", "encoder.layers.")
            .replace("norm1", "layernorm_before")
            .replace("norm2", "layernorm_after")
            .replace("attn.relative_position_bias_table", table)
            .replace("attn.proj", layers[0])
            .replace("mlp.fc1", layers[1])
            .replace("mlp.fc2", layers[2]);
        format!("swin.{name}")
    });
    let mut apart = Tensors::new();
    for (name, (shape, numbers)) in whole {
        if !name.contains("attn.qkv") {
            apart.insert(name, (shape, numbers));
            continue;
        }
        let third = [&[shape[0] / 3], &shape[1..]].concat();
        let parts = match newer {
            true => ["q_proj", "k_proj", "v_proj"],
            false => ["self.query", "self.key", "self.value"],
        };
        for (part, numbers) in parts.iter().zip(numbers.chunks(numbers.len() / 3)) {
            let name = name.replace("attn.qkv", &format!("attention.{part}"));
            apart.insert(name, (third.clone(), numbers.to_vec()));
        }
    }
    apart
}

#[test]
fn names_of_every_source_are_understood() {
    let tensors = ramps(&swin().store);
    let index = ["relative_position_index"];
    for (theirs, name) in [
        (tensors.clone(), "layers.3.downsample.reduction.weight"),
        (
            renamed(&tensors, &index, torchvision),
            "features.6.reduction.weight",
        ),
        (
            renamed(&tensors, &["relative_position_index", "attn_mask"], authors),
            "layers.2.downsample.reduction.weight",
        ),
        (
            hugging_face(&tensors, false),
            "swin.encoder.layers.3.blocks.1.attention.self.key.bias",
        ),
        (
            hugging_face(&tensors, true),
            "swin.encoder.layers.3.blocks.1.attention.o_proj.bias",
        ),
    ] {
        assert!(theirs.contains_key(name), "{name}");
        for prefix in ["", "module."] {
            let theirs: Tensors = theirs
                .iter()
                .map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone()))
                .collect();
            let mut network = swin();
            let state = file(&theirs);
            let report = load_network(&mut network, &state, LoadOptions::default()).unwrap();
            assert!(
                report.unexpected.is_empty() && report.missing.is_empty(),
                "{report}"
            );
            for (name, (_, expected)) in &tensors {
                assert_eq!(&numbers(&network.store, name), expected, "{name}");
            }
            let told = told_input(&model::find("swin_nano").unwrap(), &state).unwrap();
            assert_eq!((told.channels, told.classes), (Some(3), Some(CLASSES)));
        }
    }
}

#[test]
fn other_classes_leave_the_head_as_it_was_drawn() {
    let mut network = swin();
    let drawn = numbers(&network.store, "head.fc.weight");
    let mut tensors = renamed(&ramps(&network.store), &[], torchvision);
    tensors.insert("head.weight".to_owned(), (vec![10, 128], vec![0.5; 1280]));
    tensors.insert("head.bias".to_owned(), (vec![10], vec![0.5; 10]));
    let options = LoadOptions {
        fresh_head: true,
        ..LoadOptions::default()
    };
    let report = load_network(&mut network, &file(&tensors), options).unwrap();
    assert_eq!(report.fresh, ["head.fc.bias", "head.fc.weight"]);
    assert_eq!(numbers(&network.store, "head.fc.weight"), drawn);
}
