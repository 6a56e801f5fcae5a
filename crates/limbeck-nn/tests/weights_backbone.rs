//! Backbones start from classifiers' weights; networks that segment are read under the names of
//! torchvision and of VainF.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device};
use limbeck_nn::weights::{
    LoadOptions, StateDict, WeightsError, load_backbone, load_network, told_input,
};
use limbeck_nn::{InputShape, Network, Store, model};

fn blank(name: &str, classes: usize) -> Network {
    sized(name, 33, classes)
}

fn sized(name: &str, side: usize, classes: usize) -> Network {
    let input = InputShape {
        channels: 3,
        height: side,
        width: side,
        classes,
    };
    model::blank(name, input, &Device::flex(), DType::F32).unwrap()
}

/// A safetensors file with the shapes of `store`, each filled with its place in it, counted from 1.
fn file(store: &Store, rename: impl Fn(&str) -> String) -> StateDict {
    let mut header = BTreeMap::new();
    let mut data = Vec::new();
    for (index, entry) in (1..).zip(store.entries()) {
        let start = data.len();
        for _ in 0..entry.shape.iter().product::<usize>() {
            data.extend((index as f32).to_le_bytes());
        }
        let range = [start, data.len()];
        header.insert(
            rename(&entry.name),
            serde_json::json!({"dtype": "F32", "shape": entry.shape, "data_offsets": range}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
    StateDict::from_bytes(Path::new("w.safetensors"), bytes, None).unwrap()
}

/// The first number of each entry.
fn firsts(store: &Store) -> BTreeMap<&str, f32> {
    let entries = store.entries().iter();
    entries
        .map(|entry| {
            let first = entry.value.clone().slice(0..1).into_scalar::<f32>();
            (entry.name.as_str(), first)
        })
        .collect()
}

fn same(name: &str) -> String {
    name.to_owned()
}

#[test]
fn a_backbone_starts_from_a_classifier_and_the_head_stays() {
    let classifier = blank("mobilenet_v2", 10);
    let values = file(&classifier.store, same);
    let expected: BTreeMap<&str, f32> = classifier
        .store
        .entries()
        .iter()
        .zip(1..)
        .map(|(entry, index)| (entry.name.as_str(), index as f32))
        .collect();
    for (name, prefix) in [
        ("deeplabv3_mobilenet_v2", "pretrained."),
        ("deeplabv3plus_mobilenet_v2", "backbone."),
    ] {
        let mut network = blank(name, 4);
        let report = load_backbone(&mut network, &values).unwrap();
        assert!(report.drawn.is_empty(), "{:?}", report.drawn);
        // The last convolution with its norm, and the classifier.
        assert_eq!(report.left_out, 6 + 2);
        assert_eq!(
            report.taken + report.left_out,
            classifier.store.entries().len()
        );
        for (entry, found) in firsts(&network.store) {
            let expected = entry
                .strip_prefix(prefix)
                .map_or(0.0, |short| expected[short]);
            assert_eq!(found, expected, "{entry} of {name}");
        }
    }
}

#[test]
fn a_detector_starts_from_the_classifier_with_its_backbone() {
    let classifier = sized("yolov5s_cls_x0.25", 64, 10);
    let mut network = sized("yolov5s_x0.25", 64, 4);
    let names = |network: &Network| -> Vec<String> {
        let entries = network.store.entries().iter();
        entries.map(|entry| entry.name.clone()).collect()
    };
    for wrapper in ["", "module."] {
        let state = file(&classifier.store, |name| format!("{wrapper}{name}"));
        let report = load_backbone(&mut network, &state).unwrap();
        // Its pooling is drawn; the classifier's last convolution with its norm, and its linear map.
        assert!(!report.drawn.is_empty());
        let pooling = |name: &String| name.starts_with("model.9.");
        assert!(report.drawn.iter().all(pooling), "{:?}", report.drawn);
        assert_eq!(report.left_out, 6 + 2);
        let mut given = names(&classifier);
        given.retain(|name| !pooling(name));
        assert_eq!(report.taken, given.len());
        let expected = firsts(&network.store);
        for (index, name) in (1..).zip(names(&classifier)) {
            if !pooling(&name) {
                assert_eq!(expected[name.as_str()], index as f32, "{name}");
            }
        }
        for (name, found) in firsts(&network.store) {
            let is_given = given.iter().any(|given| given == name);
            assert!(
                is_given || found == 0.0 || name.ends_with("anchors"),
                "{name}"
            );
        }
        network = sized("yolov5s_x0.25", 64, 4);
    }
    // What a detector has learnt gives the pooling too.
    let state = file(&sized("yolov5s_x0.25", 64, 80).store, same);
    let report = load_backbone(&mut network, &state).unwrap();
    assert!(report.drawn.is_empty(), "{:?}", report.drawn);
    for (name, backbone) in [
        ("model.1.conv.weight", true),
        ("model.9.cv1.conv.weight", true),
        ("model.10.conv.weight", false),
        ("model.24.m.0.weight", false),
    ] {
        assert_eq!(network.is_backbone(name), Some(backbone), "{name}");
    }
    // Of another width.
    let state = file(&sized("yolov5s_cls_x0.5", 64, 10).store, same);
    let error = load_backbone(&mut network, &state).unwrap_err();
    assert!(
        matches!(error, WeightsError::OtherBackbone { .. }),
        "{error}"
    );
}

#[test]
fn a_backbone_starts_from_that_of_another_network() {
    let other = blank("deeplabv3_resnet18_x0.125", 7);
    let state = file(&other.store, |name| format!("module.{name}"));
    let mut network = blank("deeplabv3plus_resnet18_x0.125", 4);
    let report = load_backbone(&mut network, &state).unwrap();
    assert!(report.drawn.is_empty(), "{:?}", report.drawn);
    let found = firsts(&network.store);
    assert!(found["backbone.layer4.1.bn2.weight"] > 0.0);
    assert_eq!(found["classifier.classifier.3.bias"], 0.0);
}

/// The deep stem is not in a classifier with the common one: the rest is taken, and that is said.
#[test]
fn what_a_file_lacks_is_named() {
    let other = blank("pspnet_resnet18_x0.125", 7);
    let state = file(&other.store, same);
    let mut network = blank("pspnet_resnet18_deep_x0.125", 4);
    let report = load_backbone(&mut network, &state).unwrap();
    for name in ["pretrained.conv1.weight", "pretrained.bn3.running_var"] {
        assert!(report.drawn.iter().any(|drawn| drawn == name), "{name}");
    }
    let text = report.to_string();
    assert!(text.contains("drawn from the seed"), "{text}");
    assert!(text.contains("pretrained.conv1.weight"), "{text}");
}

#[test]
fn weights_of_another_body_are_refused_and_change_nothing() {
    let other = blank("pspnet_resnet18_x0.25", 7);
    let state = file(&other.store, same);
    for name in [
        "pspnet_resnet18_x0.125",
        "pspnet_resnet50_x0.25",
        "lraspp_mobilenet_v2",
        "resnet8x4",
    ] {
        let mut network = blank(name, 4);
        let error = load_backbone(&mut network, &state).unwrap_err();
        assert!(
            matches!(error, WeightsError::OtherBackbone { .. }),
            "{name}: {error}"
        );
        assert!(firsts(&network.store).values().all(|&first| first == 0.0));
    }
}

fn renamed<'a>(pairs: &'a [(&str, &str)]) -> impl Fn(&str) -> String + 'a {
    |name| {
        let renamed = pairs
            .iter()
            .find_map(|(ours, theirs)| Some(format!("{theirs}{}", name.strip_prefix(ours)?)));
        renamed.unwrap_or_else(|| name.to_owned())
    }
}

/// Another source's name for one of ours.
type Renaming<'a> = &'a dyn Fn(&str) -> String;

/// Names as in torchvision's and VainF's state dicts.
#[test]
fn names_of_other_sources_are_read() {
    let deeplab = renamed(&[
        ("pretrained.", "backbone."),
        ("head.aspp.b0.", "classifier.0.convs.0."),
        ("head.aspp.b1.block.", "classifier.0.convs.1."),
        ("head.aspp.b2.block.", "classifier.0.convs.2."),
        ("head.aspp.b3.block.", "classifier.0.convs.3."),
        ("head.aspp.b4.gap.", "classifier.0.convs.4."),
        ("head.aspp.project.", "classifier.0.project."),
        ("head.block.", "classifier."),
        ("auxlayer.block.", "aux_classifier."),
    ]);
    let mobilenet = renamed(&[("backbone.features.", "backbone.")]);
    let vainf = |name: &str| {
        let Some(rest) = name.strip_prefix("backbone.features.") else {
            return name.to_owned();
        };
        let (block, _) = rest.split_once('.').unwrap();
        let part = match block.parse::<usize>().unwrap() {
            0..4 => "low_level_features",
            _ => "high_level_features",
        };
        format!("backbone.{part}.{rest}")
    };
    let cases: [(&str, Renaming<'_>, &str); 3] = [
        (
            "deeplabv3_resnet50_x0.125",
            &deeplab,
            "classifier.0.convs.4.1.weight",
        ),
        (
            "lraspp_mobilenet_v2_x0.125",
            &mobilenet,
            "backbone.17.conv.3.bias",
        ),
        (
            "deeplabv3plus_mobilenet_v2_x0.125",
            &vainf,
            "backbone.low_level_features.0.0.weight",
        ),
    ];
    for (name, rename, known) in cases {
        let mut network = blank(name, 5);
        for wrapper in ["", "module."] {
            let state = file(&network.store, |name| format!("{wrapper}{}", rename(name)));
            assert!(state.get(&format!("{wrapper}{known}")).is_some(), "{name}");
            let report = load_network(&mut network, &state, LoadOptions::default()).unwrap();
            assert!(report.is_exact(), "{report}");
            let found = firsts(&network.store);
            for (entry, index) in network.store.entries().iter().zip(1..) {
                assert_eq!(found[entry.name.as_str()], index as f32, "{}", entry.name);
            }
            let told = told_input(&model::find(name).unwrap(), &state).unwrap();
            assert_eq!([told.channels, told.classes], [Some(3), Some(5)], "{name}");
        }
    }
}

#[test]
fn a_file_without_auxiliary_classifier_starts_a_network_with_one() {
    let mut network = blank("pspnet_resnet18_x0.125", 5);
    let state = file(&network.store, |name| name.replace("auxlayer", "unknown"));
    let options = LoadOptions {
        strict: false,
        fresh_head: true,
    };
    let report = load_network(&mut network, &state, options).unwrap();
    assert!(report.missing.is_empty(), "{:?}", report.missing);
    assert!(
        report
            .fresh
            .iter()
            .all(|name| name.starts_with("auxlayer."))
    );
}
