//! SegFormer's weights under the names of their sources.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device};
use limbeck_nn::weights::{LoadOptions, StateDict, WeightsError, load_network, told_input};
use limbeck_nn::{InputShape, Network, Store, model};

const CLASSES: usize = 7;

fn segformer() -> Network {
    let input = InputShape {
        channels: 3,
        height: 64,
        width: 64,
        classes: CLASSES,
    };
    model::build("segformer_b0", input, 1, &Device::flex(), DType::F32).unwrap()
}

fn numbers(store: &Store, name: &str) -> Vec<f32> {
    let entry = store.entry(store.find(name).unwrap());
    entry.value.to_data().iter().collect()
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Every entry of a SegFormer's store with the numbers 0, 1/3, 2/3 … plus its position.
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

/// What transformers' `SegformerForSemanticSegmentation` calls the entry `name`; keys and values are
/// cut apart.
fn in_hugging_face_names(tensors: &Tensors, prefix: &str) -> Tensors {
    let mut renamed = Tensors::new();
    for (name, (shape, numbers)) in tensors {
        let mut name = name.clone();
        for stage in 1..=4 {
            for (own, theirs) in [
                (
                    format!("patch_embed{stage}.proj"),
                    format!("patch_embeddings.{}.proj", stage - 1),
                ),
                (
                    format!("patch_embed{stage}.norm"),
                    format!("patch_embeddings.{}.layer_norm", stage - 1),
                ),
                (
                    format!("backbone.block{stage}."),
                    format!("backbone.block.{}.", stage - 1),
                ),
                (
                    format!("backbone.norm{stage}."),
                    format!("backbone.layer_norm.{}.", stage - 1),
                ),
                (
                    format!("linear_c{stage}."),
                    format!("linear_c.{}.", stage - 1),
                ),
            ] {
                name = name.replace(&own, &theirs);
            }
        }
        for (own, theirs) in [
            ("norm1", "layer_norm_1"),
            ("norm2", "layer_norm_2"),
            ("attn.q", "attention.self.query"),
            ("attn.sr", "attention.self.sr"),
            ("attn.norm", "attention.self.layer_norm"),
            ("attn.proj", "attention.output.dense"),
            ("mlp.fc1", "mlp.dense1"),
            ("mlp.fc2", "mlp.dense2"),
            ("linear_fuse.conv", "linear_fuse"),
            ("linear_fuse.bn", "batch_norm"),
            ("linear_pred", "classifier"),
            ("backbone.", "segformer.encoder."),
        ] {
            name = name.replace(own, theirs);
        }
        let name = format!("{prefix}{name}");
        if name.contains("attn.kv") {
            let half = shape[0] / 2;
            let shape = [&[half], &shape[1..]].concat();
            let (keys, values) = numbers.split_at(numbers.len() / 2);
            let part = |part: &str| name.replace("attn.kv", &format!("attention.self.{part}"));
            renamed.insert(part("key"), (shape.clone(), keys.to_vec()));
            renamed.insert(part("value"), (shape, values.to_vec()));
        } else {
            renamed.insert(name, (shape.clone(), numbers.clone()));
        }
    }
    renamed
}

fn assert_holds(network: &Network, tensors: &Tensors) {
    for (name, (_, expected)) in tensors {
        assert_eq!(&numbers(&network.store, name), expected, "{name}");
    }
}

#[test]
fn hugging_face_names_are_understood_and_keys_go_before_values() {
    let mut network = segformer();
    let tensors = ramps(&network.store);
    for prefix in ["", "model."] {
        let theirs = in_hugging_face_names(&tensors, prefix);
        for name in [
            "segformer.encoder.patch_embeddings.0.layer_norm.weight",
            "segformer.encoder.block.2.1.attention.self.value.bias",
            "segformer.encoder.block.3.0.mlp.dwconv.dwconv.weight",
            "segformer.encoder.layer_norm.3.bias",
            "decode_head.linear_c.0.proj.weight",
            "decode_head.batch_norm.running_mean",
            "decode_head.classifier.bias",
        ] {
            assert!(theirs.contains_key(&format!("{prefix}{name}")), "{name}");
        }
        network = segformer();
        let report = load_network(&mut network, &file(&theirs), LoadOptions::default()).unwrap();
        assert!(report.is_exact(), "{report}");
        assert_holds(&network, &tensors);
    }
    let model = model::find("segformer_b0").unwrap();
    let told = told_input(&model, &file(&in_hugging_face_names(&tensors, ""))).unwrap();
    assert_eq!((told.channels, told.classes), (Some(3), Some(CLASSES)));
}

#[test]
fn the_unused_head_of_published_files_is_left_out_with_a_note() {
    for prefix in ["", "module."] {
        let mut network = segformer();
        let tensors = ramps(&network.store);
        let with_prefix = tensors
            .iter()
            .map(|(name, x)| (format!("{prefix}{name}"), x.clone()));
        let mut theirs: Tensors = with_prefix.collect();
        for (name, shape) in [
            ("weight", vec![CLASSES, 128, 1, 1]),
            ("bias", vec![CLASSES]),
        ] {
            let numbers = vec![1.0; shape.iter().product()];
            theirs.insert(
                format!("{prefix}decode_head.conv_seg.{name}"),
                (shape, numbers),
            );
        }
        let report = load_network(&mut network, &file(&theirs), LoadOptions::default()).unwrap();
        assert_holds(&network, &tensors);
        assert_eq!(report.left_out.len(), 2);
        assert!(report.to_string().contains("conv_seg"), "{report}");
    }
}

#[test]
fn a_backbone_alone_lacks_the_head_and_nothing_else() {
    let mut network = segformer();
    let tensors = ramps(&network.store);
    let backbone = |name: &str| name.strip_prefix("backbone.").map(str::to_owned);
    let mut theirs: Tensors = tensors
        .iter()
        .filter_map(|(name, x)| Some((backbone(name)?, x.clone())))
        .collect();
    let head = (vec![1000, 256], vec![0.5; 256_000]);
    theirs.insert("head.weight".to_owned(), head);
    let options = LoadOptions::default();
    let error = load_network(&mut network, &file(&theirs), options).unwrap_err();
    let WeightsError::Mismatch(report) = error else {
        panic!("a mismatch expected, found {error}");
    };
    assert!(report.unexpected.is_empty());
    assert!(
        report
            .missing
            .iter()
            .all(|name| name.starts_with("decode_head."))
    );
    assert_eq!(report.left_out, ["head.weight"]);
    let lenient = LoadOptions {
        strict: false,
        ..options
    };
    load_network(&mut network, &file(&theirs), lenient).unwrap();
    let loaded = tensors
        .into_iter()
        .filter(|(name, _)| name.starts_with("backbone."));
    assert_holds(&network, &loaded.collect());
}
