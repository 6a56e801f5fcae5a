//! Weights go into a network whole, or the report says what does not fit.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use limbeck_nn::layer::Linear;
use limbeck_nn::weights::{
    ImageFit, LoadOptions, LoadReport, ModelFile, Normalisation, SegmentationFacts, StateDict,
    WeightsError, load_network, load_store, read_metadata, save_safetensors,
};
use limbeck_nn::{
    Architecture, Builder, Feature, Init, InputShape, Network, Pass, Role, Store, TaskKind, model,
};

const SMALL: InputShape = InputShape {
    channels: 3,
    height: 32,
    width: 32,
    classes: 10,
};

fn resnet8(classes: usize, seed: u64) -> Network {
    let input = InputShape { classes, ..SMALL };
    model::build("resnet8", input, seed, &Device::flex(), DType::F32).unwrap()
}

fn numbers(store: &Store) -> Vec<(String, Vec<f64>)> {
    store
        .entries()
        .iter()
        .map(|entry| (entry.name.clone(), entry.value.to_data().iter().collect()))
        .collect()
}

/// A safetensors file of single-precision tensors, each filled with one number.
fn file(tensors: &[(String, Vec<usize>, f32)]) -> StateDict {
    let mut header = BTreeMap::new();
    let mut data = Vec::new();
    for (name, shape, value) in tensors {
        let start = data.len();
        for _ in 0..shape.iter().product::<usize>() {
            data.extend(value.to_le_bytes());
        }
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
    StateDict::from_bytes(Path::new("w.safetensors"), bytes, None).unwrap()
}

/// All of a network's names and shapes, each filled with its index; names passed through `rename`.
fn filled(store: &Store, rename: impl Fn(&str) -> Option<String>) -> StateDict {
    let tensors: Vec<_> = store
        .entries()
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| {
            Some((rename(&entry.name)?, entry.shape.clone(), index as f32))
        })
        .collect();
    file(&tensors)
}

fn mismatch(result: Result<LoadReport, WeightsError>) -> LoadReport {
    match result {
        Err(WeightsError::Mismatch(report)) => *report,
        other => panic!("a mismatch expected, found {other:?}"),
    }
}

#[test]
fn saved_weights_come_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let mut network = resnet8(10, 1);
    let counter = network.store.find("bn1.num_batches_tracked").unwrap();
    network.store.set_values(counter, vec![1234.0]);
    save_safetensors(&network.store, &path, &BTreeMap::new()).unwrap();
    let mut other = resnet8(10, 2);
    let state = StateDict::read(&path).unwrap();
    assert_eq!(
        state.get("bn1.num_batches_tracked").unwrap().element(),
        limbeck_nn::weights::ElementType::I64
    );
    let report = load_network(&mut other, &state, LoadOptions::default()).unwrap();
    assert!(report.is_exact());
    assert_eq!(report.loaded, network.store.entries().len());
    assert_eq!(numbers(&other.store), numbers(&network.store));
    // Only the file is there: no temporary stays behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn equal_weights_give_equal_files() {
    let folder = tempfile::tempdir().unwrap();
    let pairs: BTreeMap<_, _> = (0..20).map(|n| (format!("k{n}"), n.to_string())).collect();
    let [a, b] = ["a", "b"].map(|name| {
        let path = folder.path().join(name);
        save_safetensors(&resnet8(10, 3).store, &path, &pairs).unwrap();
        std::fs::read(path).unwrap()
    });
    assert_eq!(a, b);
    // The reference reader of the format takes the file as well.
    let reference = safetensors::SafeTensors::deserialize(&a).unwrap();
    assert_eq!(reference.tensor("fc.weight").unwrap().shape(), [10, 64]);
}

#[test]
fn a_failed_write_leaves_the_old_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    std::fs::write(&path, b"old").unwrap();
    let failed = limbeck_nn::weights::write_whole(&path, |file| {
        file.write_all(b"half of the new")?;
        Err(std::io::Error::other("the disk is full"))
    });
    assert!(failed.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("no/such/folder/net.safetensors");
    let error = save_safetensors(&resnet8(10, 1).store, &nowhere, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
}

#[test]
fn prefixes_of_wrappers_are_left_out() {
    for prefix in [
        "module.",
        "model.",
        "backbone.",
        "_orig_mod.",
        "module._orig_mod.backbone.",
    ] {
        let mut network = resnet8(10, 1);
        let state = filled(&network.store, |name| Some(format!("{prefix}{name}")));
        let report = load_network(&mut network, &state, LoadOptions::default()).unwrap();
        assert_eq!(report.prefix, prefix);
        assert!(report.is_exact(), "{report}");
        let first = network.store.entries()[1].value.to_data();
        assert_eq!(first.iter::<f64>().next(), Some(1.0));
    }
}

#[test]
fn what_does_not_fit_is_listed_and_nothing_is_changed() {
    let mut network = resnet8(10, 1);
    let before = numbers(&network.store);
    let mut tensors: Vec<_> = network
        .store
        .entries()
        .iter()
        .filter(|entry| {
            !entry.name.starts_with("layer2.0.conv") && !entry.name.ends_with("tracked")
        })
        .map(|entry| (entry.name.clone(), entry.shape.clone(), 1.0))
        .collect();
    tensors[0].1 = vec![16, 3, 5, 5];
    tensors.push(("zz.extra".to_owned(), vec![1], 0.0));
    tensors.push(("aa.extra".to_owned(), vec![1], 0.0));
    let report = mismatch(load_network(
        &mut network,
        &file(&tensors),
        LoadOptions::default(),
    ));
    assert_eq!(
        report.missing,
        ["layer2.0.conv1.weight", "layer2.0.conv2.weight"]
    );
    assert_eq!(report.unexpected, ["aa.extra", "zz.extra"]);
    assert_eq!(report.mis_shaped[0].name, "conv1.weight");
    let text = report.to_string();
    for part in [
        "`w.safetensors`",
        "resnet8",
        "2 missing in the file: layer2.0.conv1.weight, layer2.0.conv2.weight",
        "2 not in the network: aa.extra, zz.extra",
        "conv1.weight (file [16, 3, 5, 5], network [16, 3, 3, 3])",
    ] {
        assert!(text.contains(part), "{part} not in: {text}");
    }
    assert_eq!(numbers(&network.store), before);
    // Names may differ where that is wanted; shapes may not.
    let lenient = LoadOptions {
        strict: false,
        ..LoadOptions::default()
    };
    assert_eq!(
        mismatch(load_network(&mut network, &file(&tensors), lenient))
            .mis_shaped
            .len(),
        1
    );
    tensors[0].1 = vec![16, 3, 3, 3];
    let report = load_network(&mut network, &file(&tensors), lenient).unwrap();
    assert_eq!((report.missing.len(), report.unexpected.len()), (2, 2));
}

#[test]
fn long_lists_are_cut_in_messages_alone() {
    let mut network = resnet8(10, 1);
    let state = filled(&network.store, |name| {
        (name == "fc.bias").then(|| name.to_owned())
    });
    let report = mismatch(load_network(&mut network, &state, LoadOptions::default()));
    assert!(report.missing.len() > 20);
    let more = format!(" and {} more", report.missing.len() - 8);
    assert!(report.to_string().contains(&more), "{report}");
    let stranger = file(&[("x".to_owned(), vec![1], 0.0)]);
    let report = mismatch(load_network(
        &mut network,
        &stranger,
        LoadOptions::default(),
    ));
    assert!(
        report.to_string().contains("another architecture"),
        "{report}"
    );
}

#[test]
fn the_classifier_may_stay_fresh() {
    let other = resnet8(100, 1);
    let mut network = resnet8(10, 2);
    let drawn = numbers(&network.store);
    let state = filled(&other.store, |name| Some(name.to_owned()));
    let report = mismatch(load_network(&mut network, &state, LoadOptions::default()));
    assert_eq!(report.classes, Some([100, 10]));
    assert!(
        report
            .to_string()
            .contains("for 100 classes, the network's for 10"),
        "{report}"
    );
    let fresh_head = LoadOptions {
        fresh_head: true,
        ..LoadOptions::default()
    };
    let headless = filled(&other.store, |name| {
        (!name.starts_with("fc.")).then(|| name.to_owned())
    });
    for state in [state, headless] {
        let report = load_network(&mut network, &state, fresh_head).unwrap();
        assert_eq!(report.fresh, ["fc.bias", "fc.weight"]);
        let after = numbers(&network.store);
        assert_eq!(after[after.len() - 2..], drawn[drawn.len() - 2..]);
        assert_ne!(after[0], drawn[0]);
    }
    // With as many classes the classifier comes from the file.
    let same = filled(&network.store, |name| Some(name.to_owned()));
    assert!(
        load_network(&mut network, &same, fresh_head)
            .unwrap()
            .fresh
            .is_empty()
    );
}

#[test]
fn the_classifier_of_every_family_is_known() {
    for family in model::MODELS {
        let entry = family[0];
        // What reconstructs images has no classifier.
        if entry.task == TaskKind::Pretraining {
            continue;
        }
        let build = |classes| {
            let input = InputShape {
                classes,
                ..entry.published_input()
            };
            model::build(entry.name, input, 0, &Device::flex(), DType::F32).unwrap()
        };
        let mut network = build(3);
        let other = build(5);
        let mut expected: Vec<String> = network
            .store
            .entries()
            .iter()
            .zip(other.store.entries())
            .filter(|(a, b)| a.shape != b.shape)
            .map(|(entry, _)| entry.name.clone())
            .collect();
        expected.sort();
        let fresh_head = LoadOptions {
            fresh_head: true,
            ..LoadOptions::default()
        };
        let state = filled(&other.store, |name| Some(name.to_owned()));
        let report = load_network(&mut network, &state, fresh_head).unwrap();
        assert_eq!(report.fresh, expected, "{}", entry.name);
        assert!(!expected.is_empty(), "{}", entry.name);
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let mut network = resnet8(10, 1);
    let tensors: Vec<_> = network
        .store
        .entries()
        .iter()
        .map(|entry| {
            let value = if entry.name == "bn1.bias" {
                f32::NAN
            } else {
                0.0
            };
            (format!("module.{}", entry.name), entry.shape.clone(), value)
        })
        .collect();
    let error = load_network(&mut network, &file(&tensors), LoadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`module.bn1.bias`"), "{error}");
}

#[test]
fn folded_weights_are_neither_saved_nor_filled() {
    let network = resnet8(10, 1);
    let mut folded = network.store.folded();
    let path = Path::new("never.safetensors");
    let saved = save_safetensors(&folded, path, &BTreeMap::new());
    assert!(matches!(saved, Err(WeightsError::Folded)));
    let state = filled(&network.store, |name| Some(name.to_owned()));
    let loaded = load_store(&mut folded, "folded", &state, true);
    assert!(matches!(loaded, Err(WeightsError::Folded)));
}

#[test]
fn a_module_of_a_method_is_saved_and_read_like_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.safetensors");
    let module = |seed| {
        let mut store = Store::new(&Device::flex(), DType::F32);
        let mut builder = Builder::new(&mut store, seed);
        Linear::new(builder.sub("connector"), 3, 2);
        store
    };
    save_safetensors(&module(1), &path, &BTreeMap::new()).unwrap();
    let mut other = module(2);
    let report = load_store(
        &mut other,
        "the connector",
        &StateDict::read(&path).unwrap(),
        true,
    )
    .unwrap();
    assert!(report.is_exact());
    assert_eq!(numbers(&other), numbers(&module(1)));
}

#[test]
fn a_model_file_is_deployable_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student.safetensors");
    let network = resnet8(3, 4);
    let normalisation = Normalisation {
        mean: vec![0.1, 1.0 / 3.0, 0.485],
        std: vec![0.2, 0.225, 1e-3],
    };
    let fit = ImageFit {
        name: "stretch".to_owned(),
        share: 0.875,
    };
    let names = ["cat", "dog, big", "Äffchen \"x\""]
        .map(str::to_owned)
        .to_vec();
    let given = (Some(normalisation.clone()), Some(fit.clone()));
    let segmentation = Some(SegmentationFacts {
        scale: 0.5,
        align_corners: true,
    });
    ModelFile::save(
        &network,
        given.0,
        given.1,
        segmentation,
        names.clone(),
        false,
        &path,
    )
    .unwrap();
    let metadata = read_metadata(&path).unwrap();
    assert_eq!(metadata.model, "resnet8");
    assert_eq!(metadata.input, network.input());
    assert_eq!(metadata.normalisation, Some(normalisation));
    assert_eq!(metadata.fit, Some(fit));
    assert_eq!(metadata.segmentation, segmentation);
    assert_eq!(metadata.class_names, names);
    let file = ModelFile::read(&path).unwrap();
    assert_eq!(file.metadata, metadata);
    let rebuilt = file.network(&Device::flex(), DType::F32).unwrap();
    assert_eq!(numbers(&rebuilt.store), numbers(&network.store));
}

#[test]
fn metadata_that_is_missing_or_wrong_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let network = resnet8(10, 1);
    let good = [
        ("limbeck.model", "resnet8"),
        ("limbeck.input", "3x32x32"),
        ("limbeck.classes", "10"),
    ];
    let cases = [
        ("limbeck.model", None, "`limbeck.model`"),
        ("limbeck.input", Some("3x32"), "3x32"),
        ("limbeck.input", Some("3x0x32"), "3x0x32"),
        ("limbeck.input", Some("3x32x99999999"), "99999999"),
        ("limbeck.classes", Some("ten"), "ten"),
        ("limbeck.mean", Some("0.5,0.5,0.5"), "go together"),
        ("limbeck.class_names", Some("[\"a\"]"), "10 names"),
        ("limbeck.fit", Some("stretch"), "go together"),
        ("limbeck.fit_share", Some("0.5"), "go together"),
        ("limbeck.scale", Some("0.5"), "go together"),
    ];
    for (key, value, reason) in cases {
        let mut pairs: BTreeMap<_, _> = good
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        match value {
            Some(value) => pairs.insert(key.to_owned(), value.to_owned()),
            None => pairs.remove(key),
        };
        save_safetensors(&network.store, &path, &pairs).unwrap();
        for error in [
            read_metadata(&path).unwrap_err(),
            ModelFile::read(&path).unwrap_err(),
        ] {
            assert!(matches!(error, WeightsError::NoMetadata { .. }), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
    // More classes than numbers: refused before anything of that size is made.
    let pairs = good.map(|(key, value)| {
        let value = if key == "limbeck.classes" {
            "4000000000000"
        } else {
            value
        };
        (key.to_owned(), value.to_owned())
    });
    save_safetensors(&network.store, &path, &BTreeMap::from(pairs)).unwrap();
    let file = ModelFile::read(&path).unwrap();
    let error = file.network(&Device::flex(), DType::F32).unwrap_err();
    assert!(matches!(error, WeightsError::NoMetadata { .. }), "{error}");
}

/// The parameters that matter to positional embeddings; never run.
#[derive(Debug)]
struct Tokens;

impl Architecture for Tokens {
    fn tap_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn forward(&self, _: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let [batch, ..] = images.dims();
        Feature::Vector(images.reshape([batch as i32, -1]))
    }
}

/// A vision transformer's tokens of width 2 over patches of 4 × 4 pixels.
fn tokens(height: usize, width: usize, distilled: bool) -> Network {
    let input = InputShape {
        height,
        width,
        ..SMALL
    };
    Network::new(
        "tokens",
        input,
        0,
        &Device::flex(),
        DType::F64,
        |builder, input| {
            let leading = 1 + usize::from(distilled);
            let patches = input.height / 4 * (input.width / 4);
            let mut token = |name: &str, shape: &[usize]| {
                builder.parameter(name, shape, Role::Token, Init::Constant(0.0));
            };
            token("cls_token", &[1, 1, 2]);
            if distilled {
                token("dist_token", &[1, 1, 2]);
            }
            token("pos_embed", &[1, leading + patches, 2]);
            token("patch_embed.proj.weight", &[2, 3, 4, 4]);
            Ok(Box::new(Tokens))
        },
    )
    .unwrap()
}

#[test]
fn positional_embeddings_are_resized_to_the_network_s_grid() {
    for distilled in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vit.safetensors");
        let leading = 1 + usize::from(distilled);
        // A grid of 2 × 2 in the file; in component 0 the grid is [[0, 1], [0, 1]], in component 1
        // it is 5 everywhere; leading tokens are −1.
        let mut source = tokens(8, 8, distilled);
        let position = source.store.find("pos_embed").unwrap();
        let mut values = vec![-1.0; leading * 2];
        values.extend([0.0, 5.0, 1.0, 5.0, 0.0, 5.0, 1.0, 5.0]);
        source.store.set_values(position, values);
        save_safetensors(&source.store, &path, &BTreeMap::new()).unwrap();
        // One row of four patches: no more than four in a square, and taken as it is.
        let mut network = tokens(4, 16, distilled);
        let state = StateDict::read(&path).unwrap();
        assert!(
            load_network(&mut network, &state, LoadOptions::default())
                .unwrap()
                .resized
                .is_empty()
        );
        let mut network = tokens(8, 16, distilled);
        let report = load_network(&mut network, &state, LoadOptions::default()).unwrap();
        assert_eq!(report.resized[0].name, "pos_embed");
        let position = network.store.find("pos_embed").unwrap();
        let found: Vec<f64> = network
            .store
            .entry(position)
            .value
            .to_data()
            .iter()
            .collect();
        let row = limbeck_nn::weights::resize_bicubic(&[0.0, 1.0], [1, 2], [1, 4]);
        let mut expected = vec![-1.0; leading * 2];
        for _ in 0..2 {
            expected.extend(row.iter().flat_map(|value| [*value, 5.0]));
        }
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}

#[test]
fn positional_embeddings_that_differ_in_more_than_the_grid_are_refused() {
    let distilled = tokens(8, 8, true);
    let mut plain = tokens(16, 16, false);
    let state = filled(&distilled.store, |name| Some(name.to_owned()));
    let report = mismatch(load_network(&mut plain, &state, LoadOptions::default()));
    assert_eq!(report.mis_shaped[0].name, "pos_embed");
    assert_eq!(report.unexpected, ["dist_token"]);
}
