//! The real Fashion-MNIST, where Debian's package `dataset-fashion-mnist` is installed.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use limbeck_data::{Augment, Normalisation, OpenOptions, open};

const FOLDER: &str = "/usr/share/datasets/fashion-mnist";

#[test]
fn the_installed_data_set_has_its_published_size_classes_and_statistics() {
    if !Path::new(FOLDER).exists() {
        eprintln!("skipped: the package dataset-fashion-mnist is not installed");
        return;
    }
    let dataset = open(Path::new(FOLDER), &OpenOptions::default()).unwrap();
    assert_eq!(dataset.name, "fashion-mnist (IDX)");
    assert_eq!(dataset.shape, Some([1, 28, 28]));
    assert_eq!(dataset.classes[9], "Ankle boot");
    assert_eq!(dataset.train.class_counts(), [5_400; 10]);
    assert_eq!(dataset.validation.class_counts(), [600; 10]);
    assert_eq!(dataset.test.class_counts(), [1_000; 10]);
    // The first training image is an ankle boot, the first test image too.
    assert_eq!(dataset.test.class(0), Some(9));
    let augment = Augment {
        size: [28, 28],
        channels: 1,
        ..Augment::default()
    };
    // The mean and deviation that are in common use, measured on all training images.
    let measured = Normalisation::measure(&dataset.train, &augment, 0).unwrap();
    assert!((measured.mean[0] - 0.2860).abs() < 0.003, "{measured:?}");
    assert!((measured.std[0] - 0.3530).abs() < 0.003, "{measured:?}");
}

#[test]
fn a_limit_leaves_a_class_balanced_rest_to_train_on_and_the_other_parts_whole() {
    if !Path::new(FOLDER).exists() {
        eprintln!("skipped: the package dataset-fashion-mnist is not installed");
        return;
    }
    let options = OpenOptions {
        limit: Some(2_000),
        ..OpenOptions::default()
    };
    let dataset = open(Path::new(FOLDER), &options).unwrap();
    assert_eq!(dataset.train.class_counts(), [200; 10]);
    assert_eq!(dataset.validation.class_counts(), [600; 10]);
    assert_eq!(dataset.test.class_counts(), [1_000; 10]);
}
