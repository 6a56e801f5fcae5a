//! Which layout a folder of images has, and what is said of all that is left out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use image::{Rgb, RgbImage};
use limbeck_data::{Found, Labelling, find};
use tempfile::TempDir;

/// Writes an image.
fn image(root: &Path, file: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = RgbImage::from_pixel(6, 4, Rgb([200, 100, 50]));
    image
        .save_with_format(path, image::ImageFormat::Png)
        .unwrap();
}

/// A folder with so many images in each of its folders.
fn folder(parts: &[(&str, usize)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (part, count) in parts {
        std::fs::create_dir_all(root.path().join(part)).unwrap();
        (0..*count).for_each(|number| image(root.path(), &format!("{part}/{number}.png")));
    }
    root
}

fn found(root: &TempDir) -> Found {
    find(root.path()).unwrap()
}

fn error(root: &TempDir) -> String {
    find(root.path()).unwrap_err().to_string()
}

/// Names and sizes of the parts.
fn parts(found: &Found) -> Vec<(&'static str, usize)> {
    let parts = found.parts().into_iter();
    parts.map(|(name, part)| (name, part.len())).collect()
}

fn notes(found: &Found) -> String {
    found.notes.join("\n")
}

#[test]
fn parts_are_known_by_their_names_whatever_the_case() {
    for (train, validation, test) in [
        ("Training", "Validation", "Testing"),
        ("TRAIN", "VAL", "TEST"),
        ("train", "dev", "eval"),
    ] {
        let root = folder(&[
            (&format!("{train}/a"), 4),
            (&format!("{train}/b"), 4),
            (&format!("{validation}/a"), 1),
            (&format!("{validation}/b"), 1),
            (&format!("{test}/a"), 2),
            (&format!("{test}/b"), 1),
        ]);
        let found = found(&root);
        assert_eq!(
            parts(&found),
            [("train", 8), ("validation", 2), ("test", 3)]
        );
        assert_eq!(found.train.as_ref().unwrap().classes(), ["a", "b"]);
    }
    let root = folder(&[("train/a", 2), ("train/b", 2), ("Training/a", 2)]);
    let error = error(&root);
    assert!(error.contains("both Training and train"), "{error}");
}

#[test]
fn which_folder_is_which_part_is_said_where_its_name_is_unusual() {
    let root = folder(&[
        ("Training/a", 2),
        ("Training/b", 2),
        ("Testing/a", 2),
        ("Testing/b", 2),
    ]);
    let told = notes(&found(&root));
    assert!(
        told.contains("train is Training, test is Testing"),
        "{told}"
    );
    let root = folder(&[("train/a", 2), ("train/b", 2), ("test/a", 2), ("test/b", 2)]);
    assert!(found(&root).notes.is_empty());
}

#[test]
fn folders_that_look_like_parts_or_groups_are_no_classes() {
    let root = folder(&[("one/a", 2), ("one/b", 2), ("two/a", 2), ("two/b", 2)]);
    let groups = error(&root);
    assert!(
        groups.contains("each of its folders (one, two) holds the same folders (a, b)"),
        "{groups}"
    );
    let root = folder(&[
        ("cat/train", 2),
        ("cat/test", 2),
        ("dog/train", 2),
        ("dog/test", 2),
    ]);
    let inverted = error(&root);
    assert!(inverted.contains("train/cat/*.jpg"), "{inverted}");
    // One further folder in each class is nothing unusual.
    let root = folder(&[("cat/images", 2), ("dog/images", 2)]);
    assert_eq!(found(&root).train.unwrap().classes(), ["cat", "dog"]);
}

#[test]
fn classes_may_be_called_as_parts_are() {
    let root = folder(&[("car", 3), ("bus", 3), ("train", 3)]);
    let set = found(&root);
    assert_eq!(parts(&set), [("train", 9)]);
    assert_eq!(set.train.unwrap().classes(), ["bus", "car", "train"]);
    let root = folder(&[("train/test", 3), ("train/train", 3)]);
    assert_eq!(found(&root).train.unwrap().classes(), ["test", "train"]);
}

#[test]
fn one_folder_around_the_data_set_and_what_archives_add_do_not_matter() {
    let root = folder(&[
        ("archive/set/train/a", 2),
        ("archive/set/train/b", 2),
        ("archive/set/test/a", 1),
        ("archive/set/test/b", 1),
        ("__MACOSX/set/train/a", 2),
    ]);
    let found = found(&root);
    assert_eq!(parts(&found), [("train", 4), ("test", 2)]);
    assert!(
        notes(&found).contains("the data set lies in"),
        "{:?}",
        found.notes
    );
}

#[test]
fn a_test_part_without_labels_beside_labelled_images_is_left_out_and_said() {
    let root = folder(&[("train/a", 4), ("train/b", 4), ("test", 7)]);
    let found = found(&root);
    assert_eq!(parts(&found), [("train", 8)]);
    let told = notes(&found);
    assert!(
        told.contains("7 images that lie in no class's folder, such as test/0.png"),
        "{told}"
    );
}

#[test]
fn pictures_in_parts_have_no_labels() {
    let root = folder(&[("train", 5), ("test", 2)]);
    let set = found(&root);
    assert_eq!(parts(&set), [("train", 5), ("test", 2)]);
    assert_eq!(set.train.as_ref().unwrap().labelling(), Labelling::None);
    let root = folder(&[(".", 5), ("more", 2)]);
    let set = found(&root);
    assert_eq!(parts(&set), [("train", 7)]);
    assert_eq!(set.train.unwrap().labelling(), Labelling::None);
    assert!(set.notes.is_empty());
}

#[test]
fn a_test_part_may_lack_classes_and_says_so_but_has_no_others() {
    let root = folder(&[
        ("train/a", 2),
        ("train/b", 2),
        ("train/c", 2),
        ("test/a", 1),
        ("test/b", 0),
        ("test/c", 3),
        ("test/d", 0),
    ]);
    let set = found(&root);
    let test = set.test.as_ref().unwrap();
    assert_eq!(test.classes(), ["a", "b", "c"]);
    assert_eq!([test.stratum(0), test.stratum(1)], [0, 2]);
    let told = notes(&set);
    assert!(told.contains("test has no images of b"), "{told}");
    assert!(told.contains("folders without an image: test/d"), "{told}");
    image(root.path(), "test/d/0.png");
    let error = error(&root);
    assert!(error.contains("missing b; unknown d"), "{error}");
}

#[test]
fn own_runs_are_no_classes() {
    let root = folder(&[("a", 3), ("b", 3)]);
    for file in [
        "runs/one/recipe.toml",
        "runs/one/environment.json",
        "mine/series.json",
    ] {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let set = found(&root);
    assert_eq!(set.train.as_ref().unwrap().classes(), ["a", "b"]);
    let told = notes(&set);
    assert!(
        told.contains("folders that limbeck wrote: mine, runs"),
        "{told}"
    );
    let run = find(&root.path().join("runs/one")).unwrap_err().to_string();
    assert!(run.contains("the folder of a run of limbeck"), "{run}");
}

#[test]
fn what_lies_beside_the_parts_is_said() {
    let root = folder(&[
        ("train/a", 2),
        ("train/b", 2),
        ("docs", 0),
        ("extra/x", 1),
        ("extra/y", 1),
    ]);
    image(root.path(), "cover.png");
    let told = notes(&found(&root));
    assert!(
        told.contains("no part of the data set: docs, extra"),
        "{told}"
    );
    assert!(
        told.contains("1 images that lie in no class's folder, such as cover.png"),
        "{told}"
    );
}

#[test]
fn endings_are_counted_and_files_without_one_are_looked_into() {
    let root = folder(&[("a", 2), ("b", 2)]);
    image(root.path(), "a/ending-less");
    image(root.path(), "a/photo.JFIF");
    image(root.path(), "a/photo.jpe");
    image(root.path(), "a/._0.png");
    for file in [
        "a/1.avif",
        "a/2.AVIF",
        "b/notes.txt",
        "b/README",
        ".DS_Store",
    ] {
        std::fs::write(root.path().join(file), "text").unwrap();
    }
    let set = found(&root);
    assert_eq!(parts(&set), [("train", 7)]);
    let told = notes(&set);
    assert!(
        told.contains("4 files that are no images of a kind that is read (2 .avif, 1 .txt, 1 without ending), such as a/1.avif"),
        "{told}"
    );
    assert!(
        told.contains("hidden: a/._0.png") && !told.contains("DS_Store"),
        "{told}"
    );
}

#[test]
fn a_class_of_images_that_are_not_read_says_what_it_holds() {
    let root = folder(&[("a", 2), ("b", 0)]);
    std::fs::write(root.path().join("b/1.avif"), "text").unwrap();
    let error = error(&root);
    assert!(
        error.contains("b: it holds no images; left out: 1 files") && error.contains("1 .avif"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_unless_they_lead_nowhere_or_round_in_circles() {
    use std::os::unix::fs::symlink;
    let root = folder(&[("set/a", 3), ("set/b", 3), ("more/a", 5)]);
    let set = root.path().join("set");
    symlink(root.path().join("more/a"), set.join("a/part2")).unwrap();
    symlink(&set, set.join("a/round")).unwrap();
    symlink(root.path(), set.join("b/above")).unwrap();
    symlink("/does/not/exist", set.join("c")).unwrap();
    symlink("/does/not/exist.png", set.join("b/zz.png")).unwrap();
    symlink(set.join("a/0.png"), set.join("b/linked.png")).unwrap();
    let found = find(&set).unwrap();
    assert_eq!(parts(&found), [("train", 12)]);
    let told = notes(&found);
    assert!(
        told.contains("links that lead nowhere: c, b/zz.png"),
        "{told}"
    );
    assert!(
        told.contains("links to folders that they lie in: a/round, b/above"),
        "{told}"
    );
}

#[test]
fn a_test_part_alone_is_found_and_cannot_be_trained_on() {
    let root = folder(&[("test/a", 3), ("test/b", 3)]);
    let found = found(&root);
    assert_eq!(parts(&found), [("test", 6)]);
    let error = found
        .split(&limbeck_data::OpenOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("has test alone"), "{error}");
}
