//! Folders of image files, as they are found on disk.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use image::{Rgb, RgbImage};
use limbeck_data::{Augment, Dataset, Labelling, Loader, LoaderConfig, OpenOptions, open};
use tempfile::TempDir;

/// Writes `count` images of one colour into `root/folder`.
fn write(root: &Path, folder: &str, count: usize, colour: [u8; 3]) {
    let folder = root.join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..count {
        RgbImage::from_pixel(6, 4, Rgb(colour))
            .save(folder.join(format!("{number}.png")))
            .unwrap();
    }
}

fn folder(parts: &[(&str, usize)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (part, count) in parts {
        write(root.path(), part, *count, [200, 100, 50]);
    }
    root
}

fn open_at(root: &TempDir) -> Dataset {
    open(root.path(), &OpenOptions::default()).unwrap()
}

fn error(root: &TempDir) -> String {
    open(root.path(), &OpenOptions::default())
        .unwrap_err()
        .to_string()
}

fn sizes(dataset: &Dataset) -> [usize; 3] {
    [
        dataset.train.len(),
        dataset.validation.len(),
        dataset.test.len(),
    ]
}

#[test]
fn train_validation_and_test_folders_keep_their_parts() {
    for validation in ["val", "valid", "validation"] {
        let root = folder(&[
            ("train/cat", 10),
            ("train/dog", 10),
            (&format!("{validation}/cat"), 2),
            (&format!("{validation}/dog"), 2),
            ("test/cat", 3),
            ("test/dog", 3),
        ]);
        let dataset = open_at(&root);
        assert_eq!(sizes(&dataset), [20, 4, 6]);
        assert_eq!(dataset.classes, ["cat", "dog"]);
        assert_eq!(dataset.shape, Some([3, 4, 6]));
    }
}

#[test]
fn a_lone_validation_folder_is_the_test_part() {
    let root = folder(&[
        ("train/cat", 20),
        ("train/dog", 20),
        ("val/cat", 5),
        ("val/dog", 5),
    ]);
    let dataset = open_at(&root);
    assert_eq!(sizes(&dataset), [36, 4, 10]);
    assert!(dataset.test.name(0).contains("val"));
}

#[test]
fn a_folder_of_classes_is_split_into_three_parts() {
    let root = folder(&[("cat", 20), ("dog", 30)]);
    let dataset = open_at(&root);
    assert_eq!(dataset.test.class_counts(), [4, 6]);
    assert_eq!(dataset.validation.class_counts(), [2, 2]);
    assert_eq!(dataset.train.class_counts(), [14, 22]);
}

#[test]
fn a_train_folder_alone_is_split_into_three_parts() {
    let root = folder(&[("train/cat", 20), ("train/dog", 30)]);
    assert_eq!(sizes(&open_at(&root)), [36, 4, 10]);
}

#[test]
fn images_are_found_at_any_depth_and_other_files_are_left_alone() {
    let root = folder(&[("cat/images", 10), ("dog", 10), (".cache", 3)]);
    std::fs::write(root.path().join("cat/readme.txt"), "text").unwrap();
    std::fs::write(root.path().join("dog/.hidden.png"), "not an image").unwrap();
    let dataset = open_at(&root);
    assert_eq!(dataset.classes, ["cat", "dog"]);
    assert_eq!(sizes(&dataset).iter().sum::<usize>(), 20);
}

#[test]
fn grey_images_are_given_in_colour() {
    let root = folder(&[("cat", 9), ("dog", 9)]);
    for number in 0..9 {
        image::GrayImage::from_pixel(5, 5, image::Luma([42]))
            .save(root.path().join(format!("dog/{number}.png")))
            .unwrap();
    }
    let dataset = open_at(&root);
    assert_eq!(dataset.shape, None);
    for position in 0..dataset.train.len() {
        let image = dataset.train.image(position).unwrap();
        assert_eq!(image.channels, 3);
        let expected = [[200, 100, 50], [42; 3]][dataset.train.class(position).unwrap()];
        assert_eq!(image.pixel(0, 0), expected);
    }
}

#[test]
fn loading_a_second_time_gives_the_same_bytes() {
    let root = folder(&[("cat", 10), ("dog", 10)]);
    let config = LoaderConfig {
        batch: 4,
        workers: 3,
        ..LoaderConfig::default()
    };
    let augment = Augment {
        size: [8, 8],
        ..Augment::default()
    };
    let loader = Loader::new(open_at(&root).train, augment, false, config).unwrap();
    let epoch = |number| -> Vec<_> { loader.epoch(number, 0).map(Result::unwrap).collect() };
    assert_eq!(epoch(0), epoch(1));
}

#[test]
fn a_damaged_image_stops_loading_with_its_name() {
    let root = folder(&[("cat", 10), ("dog", 10)]);
    let dataset = open_at(&root);
    let victim = dataset.train.name(5);
    let whole = std::fs::read(&victim).unwrap();
    std::fs::write(&victim, &whole[..whole.len() / 2]).unwrap();
    let loader = Loader::new(
        dataset.train,
        Augment::default(),
        true,
        LoaderConfig::default(),
    )
    .unwrap();
    let error = loader.epoch(0, 0).next().unwrap().unwrap_err().to_string();
    assert!(
        error.contains(&victim) && error.contains("damaged"),
        "{error}"
    );
}

#[test]
fn the_fingerprint_changes_with_names_and_sizes_but_not_with_the_place() {
    let parts = [("cat", 5), ("dog", 5)];
    let (one, two) = (folder(&parts), folder(&parts));
    let base = open_at(&one).fingerprint;
    assert_eq!(base.len(), 64);
    assert_eq!(base, open_at(&two).fingerprint);
    std::fs::rename(two.path().join("cat/0.png"), two.path().join("cat/9.png")).unwrap();
    let renamed = open_at(&two).fingerprint;
    assert_ne!(base, renamed);
    RgbImage::from_fn(60, 40, |x, y| Rgb([x as u8, y as u8, 0]))
        .save(two.path().join("cat/9.png"))
        .unwrap();
    assert_ne!(renamed, open_at(&two).fingerprint);
}

#[test]
fn class_folders_that_differ_are_refused_by_name() {
    let root = folder(&[
        ("train/cat", 5),
        ("train/dog", 5),
        ("test/cat", 5),
        ("test/fish", 5),
    ]);
    let error = error(&root);
    assert!(error.contains("missing dog; unknown fish"), "{error}");
}

#[test]
fn empty_folders_and_lone_classes_are_refused() {
    let root = folder(&[("cat", 5), ("dog", 0)]);
    let empty = error(&root);
    assert!(empty.contains("dog holds no images (jpg"), "{empty}");
    let root = folder(&[("cat", 5)]);
    assert!(error(&root).contains("one class, `cat`"));
    let root = folder(&[("train", 0)]);
    assert!(error(&root).contains("train holds no folders of images"));
    let root = folder(&[("test/cat", 5), ("test/dog", 5)]);
    assert!(error(&root).contains("has test alone"));
    let root = folder(&[("train/a", 1), ("val/a", 1), ("valid/a", 1)]);
    assert!(error(&root).contains("both val and valid"));
}

#[test]
fn pictures_that_lie_in_the_folder_are_a_data_set_without_labels() {
    let root = folder(&[("", 50)]);
    let dataset = open_at(&root);
    assert_eq!(dataset.labelling, Labelling::None);
    assert!(dataset.classes.is_empty());
    assert_eq!(sizes(&dataset), [36, 4, 10]);
    let config = LoaderConfig::default();
    let augment = Augment {
        mixup_alpha: 0.2,
        ..Augment::default()
    };
    let loader = Loader::new(dataset.train, augment, true, config).unwrap();
    let batch = loader.epoch(0, 0).next().unwrap().unwrap();
    assert_eq!(batch.shape[0], 36);
    assert!(batch.labels.is_empty() && batch.targets.is_none() && batch.share.is_some());
}

#[test]
fn a_folder_without_images_is_refused() {
    let root = folder(&[("docs", 0)]);
    assert!(error(&root).contains("not a data set of a known layout"));
}
