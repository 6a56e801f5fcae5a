//! YOLOv5's files as the official repository and SSDA-YOLO have them (`weights/make_yolov5.py`).
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use limbeck_nn::model::{self, find};
use limbeck_nn::weights::{
    LoadOptions, StateDict, WeightsError, load_network, save_safetensors, told_input, told_model,
};
use limbeck_nn::{InputShape, Network, Taps};

const INPUT: InputShape = InputShape {
    channels: 3,
    height: 64,
    width: 96,
    classes: 2,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/weights")
        .join(name)
}

fn blank(name: &str, classes: usize) -> Network {
    let input = InputShape { classes, ..INPUT };
    model::blank(name, input, &Device::flex(), DType::F64).unwrap()
}

/// The first four numbers of each level, and the mean of all squares, for the script's image.
fn found(network: &Network) -> Vec<[f64; 5]> {
    let pixels: Vec<f64> = (0..3 * 64 * 96)
        .map(|i| f64::from(i * 37 % 101) / 101.0)
        .collect();
    let image = Tensor::<1>::from_data(pixels.as_slice(), (&Device::flex(), DType::F64));
    let outputs = network.evaluate(image.reshape([1, 3, 64, 96]), &Taps::none());
    let levels = outputs.prediction.level_maps().unwrap().into_iter();
    let levels = levels.map(|level| {
        let numbers: Vec<f64> = level.into_data().iter().collect();
        let squares = numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64;
        [numbers[0], numbers[1], numbers[2], numbers[3], squares]
    });
    levels.collect()
}

fn assert_close(found: &[[f64; 5]], expected: &[[f64; 5]; 3]) {
    assert_eq!(found.len(), 3);
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 2e-9, "{found} and {expected}");
    }
}

#[test]
fn official_checkpoints_are_read_with_the_names_of_their_classes() {
    for (file, under, name, expected) in [
        ("yolov5_release6.pt", "model", "yolov5n_x0.03125", RELEASE6),
        (
            "yolov5_release5.pt",
            "ema",
            "yolov5s_focus_x0.015625",
            RELEASE5,
        ),
    ] {
        let state = StateDict::read(&fixture(file)).unwrap();
        assert_eq!(state.under(), Some(under));
        assert_eq!(state.class_names(), ["disc", "square"]);
        assert_eq!(told_model(&state).as_deref(), Some(name));
        let told = told_input(&find(name).unwrap(), &state).unwrap();
        assert_eq!((told.channels, told.classes), (Some(3), Some(2)));
        let mut network = blank(name, 2);
        let report = load_network(&mut network, &state, LoadOptions::default()).unwrap();
        assert!(report.missing.is_empty() && report.unexpected.is_empty());
        assert_close(&found(&network), &expected);
        let anchors = network.anchor_sizes().unwrap();
        assert_eq!(anchors[0], (8, vec![[4.0, 5.0], [6.0, 10.0], [9.0, 7.0]]));
        assert_eq!(anchors[2].1[2], [30.0, 18.0]);
    }
}

/// What PyTorch finds, as the script prints it.
const RELEASE6: [[f64; 5]; 3] = [
    [
        0.138485237,
        -0.394289746,
        -0.498955878,
        0.334920832,
        0.090423339,
    ],
    [
        -0.227389493,
        0.280541914,
        0.427979621,
        -0.329609769,
        0.079945527,
    ],
    [
        -0.549516713,
        0.499553114,
        -0.20825039,
        -0.356090673,
        0.145998816,
    ],
];
const RELEASE5: [[f64; 5]; 3] = [
    [
        -0.451178002,
        0.238918684,
        0.134653697,
        0.124722882,
        0.055036586,
    ],
    [
        -0.309705827,
        0.299445698,
        0.142249785,
        -0.194130353,
        0.050394905,
    ],
    [
        0.037673444,
        -0.088539782,
        -0.24107202,
        -0.214792202,
        0.043748561,
    ],
];

#[test]
fn names_without_their_first_part_are_understood() {
    let state = StateDict::read(&fixture("yolov5_release5.pt")).unwrap();
    let name = "yolov5s_focus_x0.015625";
    let mut network = blank(name, 2);
    load_network(&mut network, &state, LoadOptions::default()).unwrap();
    // A state dict as SSDA-YOLO's networks have it: `0.conv.conv.weight`.
    let mut other = limbeck_nn::Store::new(&Device::flex(), DType::F64);
    for prefix in ["", "module.model.", "model."] {
        let mut builder = limbeck_nn::Builder::blank(&mut other);
        let mut ids = Vec::new();
        for entry in network.store.entries() {
            let short = entry.name.strip_prefix("model.").unwrap();
            let name = format!("{prefix}{short}");
            let zero = limbeck_nn::Init::Constant(0.0);
            ids.push(builder.parameter(&name, &entry.shape, entry.role, zero));
        }
        for (id, entry) in ids.into_iter().zip(network.store.entries()) {
            other.set_values(id, entry.value.to_data().iter().collect());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        save_safetensors(&other, &path, &Default::default()).unwrap();
        let state = StateDict::read(&path).unwrap();
        assert_eq!(told_model(&state).as_deref(), Some(name));
        let mut again = blank(name, 2);
        load_network(&mut again, &state, LoadOptions::default()).unwrap();
        assert_close(&found(&again), &RELEASE5);
        other = limbeck_nn::Store::new(&Device::flex(), DType::F64);
    }
}

#[test]
fn a_start_for_other_classes_draws_the_last_layer_anew() {
    let state = StateDict::read(&fixture("yolov5_release6.pt")).unwrap();
    let mut network = blank("yolov5n_x0.03125", 7);
    let strict = load_network(&mut network, &state, LoadOptions::default()).unwrap_err();
    let WeightsError::Mismatch(report) = strict else {
        panic!("{strict}");
    };
    assert_eq!(report.classes, Some([2, 7]));
    let options = LoadOptions {
        strict: true,
        fresh_head: true,
    };
    let report = load_network(&mut network, &state, options).unwrap();
    assert_eq!(report.classes, Some([2, 7]));
    assert_eq!(report.fresh.len(), 6);
    assert!(
        report
            .fresh
            .iter()
            .all(|name| name.starts_with("model.24.m."))
    );
}

#[test]
fn a_classifiers_file_tells_its_network_and_its_classes() {
    let name = "yolov5n_cls_d2_x0.5";
    let network = blank(name, 7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save_safetensors(&network.store, &path, &Default::default()).unwrap();
    let state = StateDict::read(&path).unwrap();
    // The letter is that of the depth.
    let told = told_model(&state).unwrap();
    assert!(told.starts_with("yolov5m_cls_x0.1"), "{told}");
    let model = find(&told).unwrap();
    let told = told_input(&model, &state).unwrap();
    assert_eq!((told.channels, told.classes), (Some(3), Some(7)));
    let mut again = blank(&model.name, 7);
    let report = load_network(&mut again, &state, LoadOptions::default()).unwrap();
    assert!(report.is_exact(), "{report}");
    let mut other = blank(&model.name, 3);
    let options = LoadOptions {
        strict: true,
        fresh_head: true,
    };
    let report = load_network(&mut other, &state, options).unwrap();
    assert_eq!(
        report.fresh,
        ["model.9.linear.bias", "model.9.linear.weight"]
    );
}

#[test]
fn another_width_is_refused_by_its_shapes() {
    let state = StateDict::read(&fixture("yolov5_release6.pt")).unwrap();
    let mut network = blank("yolov5n_x0.1", 2);
    let refused = load_network(&mut network, &state, LoadOptions::default());
    assert!(matches!(refused, Err(WeightsError::Mismatch(_))));
}
