//! Data as users have it: how its parts are found, what is said of the rest, and what a model is
//! measured on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use std::path::Path;

use support::{Place, bytes, text};

const USAGE: i32 = 2;
const FAILED: i32 = 1;

/// What a plan says of the data, and of everything else.
fn plan(place: &Place, data: &str) -> String {
    let finished = place.run(&["train", data, "--model", "resnet8", "--dry-run"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    finished.stderr
}

/// Trains on `data` for an epoch, in the folder `out`.
fn trained(place: &Place, data: &str, out: &str) {
    place.succeed(&[
        "train",
        data,
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--batch",
        "8",
        "--threads",
        "1",
        "--quiet",
        "--out",
        out,
    ]);
}

fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

/// First line of what `eval` prints.
fn measured(place: &Place, arguments: &[&str]) -> String {
    let arguments = [&["eval"], arguments].concat();
    let output = place.succeed(&arguments);
    output.lines().next().unwrap().to_owned()
}

#[test]
fn training_and_testing_folders_are_parts() {
    let place = Place::new();
    let data = place.class_folders("mri", 4, 8);
    rename(&data.join("train"), &data.join("Training"));
    rename(&data.join("test"), &data.join("Testing"));
    let told = plan(&place, "mri");
    assert!(
        told.contains("4 classes, 29 to train, 3 to validate, 32 to test"),
        "{told}"
    );
    assert!(
        told.contains("train is Training, test is Testing"),
        "{told}"
    );
}

#[test]
fn folders_that_all_hold_the_same_folders_are_refused_with_the_likely_reason() {
    let place = Place::new();
    let data = place.class_folders("folds", 2, 8);
    rename(&data.join("train"), &data.join("one"));
    rename(&data.join("test"), &data.join("two"));
    place.fail(
        &["train", "folds", "--model", "resnet8"],
        FAILED,
        &["one, two", "class0, class1", "train, val and test"],
    );
}

#[test]
fn own_runs_in_the_data_folder_are_no_classes() {
    let place = Place::new();
    let data = place.class_folders("data", 2, 12);
    rename(&data.join("train/class0"), &place.path("class0"));
    rename(&data.join("train/class1"), &place.path("class1"));
    std::fs::remove_dir_all(data).unwrap();
    trained(&place, ".", "runs/first");
    let told = plan(&place, ".");
    assert!(told.contains("2 classes"), "{told}");
    assert!(told.contains("folders that limbeck wrote: runs"), "{told}");
    trained(&place, ".", "runs/second");
    place.succeed(&["resume", "runs/first", "--quiet"]);
    // What the run has trained on is not measured.
    let line = measured(&place, &[".", "--model", "runs/first"]);
    assert!(line.contains("test part, 5 images"), "{line}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_those_that_lead_nowhere_or_back_are_told() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    let data = place.class_folders("set", 2, 12);
    symlink(data.join("test/class0"), data.join("train/class0/more")).unwrap();
    symlink(data.join("train"), data.join("train/class1/round")).unwrap();
    symlink("/does/not/exist.png", data.join("train/class1/zz.png")).unwrap();
    let told = plan(&place, "set");
    assert!(
        told.contains("32 to train, 4 to validate, 24 to test"),
        "{told}"
    );
    assert!(told.contains("lead nowhere: train/class1/zz.png"), "{told}");
    assert!(
        told.contains("links to folders that they lie in: train/class1/round"),
        "{told}"
    );
}

#[test]
fn a_held_out_folder_is_measured_whole_and_any_part_can_be_named() {
    let place = Place::new();
    let data = place.class_folders("set", 2, 20);
    trained(&place, "set", "model");
    let model = ["--model", "model"];
    let line = |data: &str, part: &[&str]| measured(&place, &[&[data], part, &model].concat());
    assert!(line("set", &[]).contains("test part, 40 images"));
    assert!(line("set", &["--part", "all"]).contains("all 80 images"));
    assert!(line("set", &["--part", "validation"]).contains("validation part, 4 images"));
    let held_out = text(&data.join("test")).to_owned();
    assert!(line(&held_out, &[]).contains("all 40 images"));
    assert!(line(&held_out, &["--part", "test"]).contains("test part, 8 images"));
    std::fs::create_dir(place.path("only")).unwrap();
    rename(&data.join("test"), &place.path("only/test"));
    assert!(line("only", &[]).contains("test part, 40 images"));
    place.fail(
        &["train", "only", "--model", "resnet8"],
        FAILED,
        &["has test alone"],
    );
    place.fail(
        &["eval", "only", "--part", "train", "--model", "model"],
        FAILED,
        &["has test alone"],
    );
}

#[test]
fn a_test_part_that_lacks_a_class_is_scored_by_name() {
    let place = Place::new();
    let data = place.class_folders("set", 3, 12);
    trained(&place, "set", "model");
    let score = |data: &str| {
        let arguments = ["eval", data, "--model", "model", "--json"];
        let finished = place.run(&arguments);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        let value: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        (value["per_class"].clone(), finished.stderr)
    };
    let (whole, _) = score("set");
    std::fs::remove_dir_all(data.join("test/class1")).unwrap();
    for empty in [false, true] {
        if empty {
            std::fs::create_dir(data.join("test/class1")).unwrap();
        }
        let (lacking, told) = score("set");
        assert!(told.contains("test has no images of class1"), "{told}");
        // The other classes keep what they reach, and the missing one has nothing to reach.
        assert!(lacking[1].is_null(), "{lacking}");
        assert_eq!([&lacking[0], &lacking[2]], [&whole[0], &whole[2]]);
        // A folder of classes alone is matched with the model's by name too.
        let (alone, told) = score(if empty { "set" } else { "set/test" });
        assert!(told.contains("no images of class1"), "{told}");
        assert_eq!(alone, lacking);
    }
    trained(&place, "set", "lacking");
    rename(&data.join("test/class0"), &data.join("test/other"));
    std::fs::remove_dir(data.join("test/class1")).unwrap();
    place.fail(
        &["eval", "set/test", "--model", "model"],
        USAGE,
        &["does not know (other)", "class0, class1, class2"],
    );
}

#[test]
fn labels_that_start_at_one_are_counted_from_zero() {
    let place = Place::new();
    place.idx("letters", 60, |index| 1 + (index % 10) as u8);
    let told = plan(&place, "letters");
    assert!(told.contains("10 classes"), "{told}");
    assert!(
        told.contains("labels are 1 to 10: label 1 is the first class"),
        "{told}"
    );
}

#[test]
fn files_that_are_not_read_are_counted_and_named() {
    let place = Place::new();
    let data = place.class_folders("set", 2, 12);
    place.write("set/train/class0/new.avif", "text");
    place.write("set/train/class0/._0.ppm", "text");
    let image = bytes(&data.join("train/class0/0.ppm"));
    place.write("set/train/class1/no-ending", image);
    place.write("set/__MACOSX/train/class0/._0.ppm", "text");
    let told = plan(&place, "set");
    assert!(told.contains("22 to train, 3 to validate"), "{told}");
    assert!(
        told.contains("1 .avif), such as train/class0/new.avif"),
        "{told}"
    );
    assert!(
        told.contains("hidden: __MACOSX, train/class0/._0.ppm"),
        "{told}"
    );
}

#[test]
fn an_archives_folder_around_the_data_does_not_matter() {
    let place = Place::new();
    place.class_folders("outer/inner", 2, 12);
    place.write("outer/__MACOSX/inner/train/class0/._0.ppm", "text");
    place.write("outer/licence.txt", "text");
    let told = plan(&place, "outer");
    assert!(
        told.contains("2 classes, 22 to train, 2 to validate, 24 to test"),
        "{told}"
    );
    assert!(told.contains("the data set lies in outer/inner"), "{told}");
    assert!(told.contains("hidden: __MACOSX"), "{told}");
    assert!(told.contains("such as licence.txt"), "{told}");
}

#[test]
fn images_in_no_classs_folder_are_left_out_and_counted() {
    let place = Place::new();
    let data = place.class_folders("set", 2, 12);
    for image in ["0.ppm", "1.ppm"] {
        rename(
            &data.join("test/class0").join(image),
            &data.join("test").join(image),
        );
    }
    for class in ["class0", "class1"] {
        std::fs::remove_dir_all(data.join("test").join(class)).unwrap();
    }
    let told = plan(&place, "set");
    assert!(told.contains("2 to validate, 5 to test"), "{told}");
    assert!(
        told.contains("2 images that lie in no class's folder, such as test/0.ppm"),
        "{told}"
    );
}

#[test]
fn classes_may_be_called_as_parts_are() {
    let place = Place::new();
    let data = place.class_folders("set", 3, 12);
    let train = data.join("train");
    rename(&train.join("class0"), &train.join("train"));
    rename(&train.join("class1"), &train.join("test"));
    std::fs::remove_dir_all(data.join("test")).unwrap();
    let told = plan(&place, "set");
    assert!(
        told.contains("3 classes, 26 to train, 3 to validate"),
        "{told}"
    );
    // Without a part around them one such name among others is a class's too.
    rename(&train.join("test"), &train.join("bus"));
    let told = plan(&place, "set/train");
    assert!(
        told.contains("3 classes, 26 to train, 3 to validate"),
        "{told}"
    );
    // Pictures that lie directly in parts have no labels, and the refusal says where labels come from.
    rename(&train.join("bus"), &train.join("test"));
    place.fail(
        &["train", "set/train", "--model", "resnet8"],
        USAGE,
        &["needs labels", "CLASS/*.jpg"],
    );
}

#[test]
fn a_limit_leaves_what_is_measured_on_whole() {
    let place = Place::new();
    place.class_folders("set", 2, 50);
    let limited = place.run(&[
        "train",
        "set",
        "--model",
        "resnet8",
        "--limit",
        "20",
        "--dry-run",
    ]);
    let told = limited.stderr;
    assert!(
        told.contains("20 to train, 10 to validate, 100 to test"),
        "{told}"
    );
}

#[test]
fn predict_leaves_hidden_files_alone() {
    let place = Place::new();
    place.class_folders("set", 2, 6);
    trained(&place, "shapes:100", "model");
    place.write("set/train/class0/._0.ppm", "text");
    place.write("set/train/class0/.hidden.png", "text");
    let rows = place.succeed(&["predict", "set/train/class0", "--model", "model"]);
    assert_eq!(rows.lines().count(), 1 + 6, "{rows}");
}

#[cfg(unix)]
#[test]
fn predict_refuses_pipes_and_devices_instead_of_waiting() {
    let place = Place::new();
    place.class_folders("set", 2, 6);
    trained(&place, "shapes:100", "model");
    let pipe = place.path("set/train/class0/pipe.png");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    for named in [text(&pipe), "/dev/zero"] {
        place.fail(
            &["predict", named, "--model", "model"],
            FAILED,
            &["neither a file nor a folder"],
        );
    }
    let finished = place.run(&["predict", "set/train/class0", "--model", "model"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("pipe.png"), "{}", finished.stderr);
}
