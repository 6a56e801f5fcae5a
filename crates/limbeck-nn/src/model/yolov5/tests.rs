use burn::tensor::{DType, Device, Tensor};

use crate::model::{blank, build, find, outline};
use crate::{Feature, InputShape, NnError, Role, TapKind, Taps};

const SMALL: InputShape = InputShape {
    channels: 3,
    height: 64,
    width: 96,
    classes: 2,
};

fn parameters(name: &str, classes: usize) -> usize {
    let input = InputShape { classes, ..SMALL };
    outline(name, input).unwrap().parameters
}

#[test]
fn parameters_are_the_published_ones() {
    // Those of releases 6 and 7 are published for norms that are folded into convolutions: a shift
    // takes the place of a norm's two numbers.
    for (name, folded) in [
        ("yolov5n", 1_867_405),
        ("yolov5s", 7_225_885),
        ("yolov5m", 21_172_173),
        ("yolov5l", 46_533_693),
        ("yolov5x", 86_705_005),
    ] {
        let input = InputShape {
            classes: 80,
            ..SMALL
        };
        let network = blank(name, input, &Device::flex(), DType::F32).unwrap();
        let scales = network.store.entries().iter();
        let scales = scales.filter(|entry| entry.role == Role::NormScale);
        let channels: usize = scales.map(|entry| entry.shape[0]).sum();
        assert_eq!(network.store.trained_count() - channels, folded, "{name}");
    }
    // Those of release 5, as its code logs them, and of GHOST's net with norms.
    for (name, classes, count) in [
        ("yolov5s_focus", 80, 7_276_605),
        ("yolov5m_focus", 80, 21_375_645),
        ("yolov5l_focus", 80, 47_056_765),
        ("yolov5x_focus", 80, 87_775_965),
        ("yolov5s_focus", 20, 7_114_785),
        ("yolov5s_stride4", 10, 7_085_223),
    ] {
        assert_eq!(parameters(name, classes), count, "{name}");
    }
    let ghost = blank("ghost_yolov5s", SMALL, &Device::flex(), DType::F32).unwrap();
    let entries = ghost.store.entries().iter();
    assert_eq!(
        entries.filter(|entry| entry.role == Role::Weight).count(),
        62
    );
}

#[test]
fn taps_have_their_strides_and_the_prediction_all_cells() {
    for (name, strides) in [
        ("yolov5n", [8, 16, 32]),
        ("yolov5s_focus_x0.5", [8, 16, 32]),
        ("yolov5s_stride4_x0.5", [4, 8, 16]),
    ] {
        let taps = outline(name, SMALL).unwrap().taps;
        let kind = |name: &str| {
            taps.iter()
                .find(|tap| tap.name == name)
                .unwrap()
                .kind
                .clone()
        };
        let levels = strides.map(|stride| [64 / stride, 96 / stride]);
        for ((tap, channels), [rows, columns]) in [("p3", 64), ("p4", 128), ("p5", 256)]
            .into_iter()
            .zip(levels)
        {
            assert_eq!(kind(tap), TapKind::Map([channels, rows, columns]), "{name}");
        }
        let [finest, ..] = strides;
        let stage1 = [32, 128 / finest, 192 / finest];
        assert_eq!(kind("stage1"), TapKind::Map(stage1), "{name}");
        let count: usize = levels
            .iter()
            .map(|[rows, columns]| 3 * rows * columns)
            .sum();
        let cells = TapKind::Cells {
            shape: [count, 7],
            anchors: 3,
            levels: levels.to_vec(),
        };
        assert_eq!(kind("logits"), cells, "{name}");
    }
}

#[test]
fn width_and_depth_are_told_by_the_name() {
    for (name, full) in [
        ("YOLOv5n-x0.5", "yolov5n_x0.5"),
        ("yolov5n_d2", "yolov5n_d2"),
        ("yolov5n_d1", "yolov5n"),
        ("yolov5s_focus_d3_x0.25", "yolov5s_focus_d3_x0.25"),
        ("ghost_yolov5s_x2", "yolov5s_stride4_x2"),
    ] {
        assert_eq!(find(name).unwrap().name, full);
    }
    assert_eq!(parameters("yolov5n_x2", 80), parameters("yolov5s", 80));
    assert_eq!(parameters("yolov5n_d4_x5", 80), parameters("yolov5x", 80));
    assert!(matches!(
        find("yolov5n_x9"),
        Err(NnError::Unsupported { .. })
    ));
    assert!(matches!(
        find("yolov5n_d0"),
        Err(NnError::Unsupported { .. })
    ));
    let unknown = find("yolov6n_x0.5").unwrap_err();
    assert!(
        matches!(unknown, NnError::UnknownModel { nearest: Some(ref name), .. } if name == "yolov5n")
    );
}

#[test]
fn sides_are_multiples_of_the_largest_stride() {
    let input = InputShape { width: 80, ..SMALL };
    let refused = outline("yolov5n", input).unwrap_err().to_string();
    assert!(
        refused.contains("64×80")
            && refused.contains("multiples of 32")
            && refused.contains("64×96"),
        "{refused}"
    );
    assert!(outline("yolov5s_stride4_x0.1", input).is_ok());
}

#[test]
fn anchors_are_read_and_set_in_pixels() {
    let mut network = blank("yolov5n_x0.1", SMALL, &Device::flex(), DType::F32).unwrap();
    let published = network.anchor_sizes().unwrap();
    let strides: Vec<usize> = published.iter().map(|(stride, _)| *stride).collect();
    assert_eq!(strides, [8, 16, 32]);
    assert_eq!(published[0].1, [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]]);
    assert_eq!(published[2].1[2], [373.0, 326.0]);
    let id = network.store.find("model.24.anchors").unwrap();
    let first: Vec<f64> = network
        .store
        .entry(id)
        .value
        .to_data()
        .iter()
        .take(2)
        .collect();
    assert_eq!(first, [1.25, 1.625]);

    let other = vec![vec![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]; 3];
    network.set_anchor_sizes(&other).unwrap();
    let found = network.anchor_sizes().unwrap();
    assert!(found.iter().map(|(_, sizes)| sizes).eq(&other));
    let mut negative = other.clone();
    negative[1][2][0] = -1.0;
    let short = vec![vec![[1.0, 2.0]]; 3];
    for wrong in [&other[..2], &short, &negative] {
        let refused = network.set_anchor_sizes(wrong).unwrap_err();
        assert!(matches!(refused, NnError::Anchors { .. }), "{refused}");
    }
    let mut classifier = blank("resnet8", SMALL, &Device::flex(), DType::F32).unwrap();
    assert!(classifier.anchor_sizes().is_none());
    assert!(classifier.set_anchor_sizes(&other).is_err());
}

#[test]
fn a_new_network_expects_few_objects_and_each_class_alike() {
    let network = build("yolov5n_x0.1", SMALL, 3, &Device::flex(), DType::F64).unwrap();
    let images = Tensor::zeros([1, 3, 64, 96], (&Device::flex(), DType::F64));
    let outputs = network.evaluate(images, &Taps::none());
    let levels = outputs.prediction.level_maps().unwrap();
    for (level, stride) in levels.iter().zip([8.0, 16.0, 32.0]) {
        let mean = |from: usize, count: usize| {
            let part = level.clone().narrow(4, from, count).mean();
            part.into_scalar::<f64>()
        };
        let objectness = (8.0 / (640.0_f64 / stride).powi(2)).ln();
        // The default draw is within 1/√8 for the eight channels that are read, and their values are
        // near zero.
        assert!((mean(4, 1) - objectness).abs() < 0.5, "{}", mean(4, 1));
        let class = (0.6_f64 / 1.01).ln();
        assert!((mean(5, 2) - class).abs() < 0.5, "{}", mean(5, 2));
        assert!(mean(0, 4).abs() < 0.5);
    }
}

#[test]
fn a_frozen_network_predicts_the_same() {
    for name in ["yolov5n_x0.1", "yolov5s_focus_x0.1", "yolov5s_stride4_x0.1"] {
        let mut network = build(name, SMALL, 1, &Device::flex(), DType::F64).unwrap();
        // Small variances, so that what is added to them is seen.
        for id in network.store.ids() {
            let entry = network.store.entry(id);
            if entry.name.ends_with("running_var") {
                let values = (0..entry.shape[0]).map(|i| 0.002 + 0.001 * i as f64);
                network.store.set_values(id, values.collect());
            }
        }
        let pixels: Vec<f64> = (0..3 * 64 * 96)
            .map(|i| (i * 37 % 101) as f64 / 101.0)
            .collect();
        let images = Tensor::<1>::from_data(pixels.as_slice(), (&Device::flex(), DType::F64));
        let images = images.reshape([1, 3, 64, 96]);
        let numbers =
            |prediction: Feature| -> Vec<f64> { prediction.to_rows().into_data().iter().collect() };
        let plain = numbers(network.evaluate(images.clone(), &Taps::none()).prediction);
        let frozen = numbers(network.frozen().evaluate(images, &Taps::none()).prediction);
        for (plain, frozen) in plain.iter().zip(frozen) {
            assert!(
                (plain - frozen).abs() < 1e-9 * plain.abs().max(1.0),
                "{name}"
            );
        }
    }
}
