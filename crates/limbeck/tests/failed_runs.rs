//! Runs that fail deliver nothing, say why, and leave a folder that every command can read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use support::{Place, bytes, text};

const FAILED: i32 = 1;

#[test]
fn weights_that_break_in_the_last_step_end_the_run_and_are_never_delivered() {
    let place = Place::new();
    let arguments = [
        "train",
        "shapes:200",
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--batch",
        "180",
        "--threads",
        "1",
        "--set",
        "optimizer.learning_rate=1e30",
        "--set",
        "schedule.name=constant",
        "--out",
        "run",
        "--quiet",
    ];
    let told = place.fail(&arguments, FAILED, &["resnet8", "learning rate"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    let folder = place.path("run");
    let image = place.write("pictures/a.ppm", b"P6\n1 1\n255\nabc");
    let pictures = text(image.parent().unwrap());
    for command in [
        vec!["report", "run"],
        vec!["compare", "run"],
        vec!["eval", "shapes:200", "--model", "run"],
        vec!["predict", pictures, "--model", "run"],
    ] {
        let told = place.fail(&command, FAILED, &["the run has failed", "learning rate"]);
        assert_eq!(told.lines().count(), 1, "{command:?}\n{told}");
    }
    place.fail(&["resume", "run"], FAILED, &["learning rate"]);
    place.fail(&["report", "run"], FAILED, &["the run has failed"]);
    for file in ["results.json", "report.html", "student/model.safetensors"] {
        assert!(!folder.join(file).exists(), "{file}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_named_by_layer_and_step() {
    let place = Place::new();
    // Weight decay alone takes every weight beyond what single precision holds.
    let arguments = [
        "train",
        "shapes:200",
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--batch",
        "180",
        "--threads",
        "1",
        "--set",
        "optimizer.learning_rate=1e30",
        "--set",
        "optimizer.weight_decay=1e30",
        "--set",
        "schedule.name=constant",
        "--out",
        "run",
        "--quiet",
    ];
    let words = ["of `student` holds", "after epoch 1, step 1", "not kept"];
    place.fail(&arguments, FAILED, &words);
    assert!(!place.path("run/student").exists());
    assert!(!place.path("run/jobs/student-0/best.safetensors").exists());
    assert!(
        !place
            .path("run/jobs/student-0/checkpoint.safetensors")
            .exists()
    );
}

/// Class folders with parts, and a run of one epoch on them.
fn train(place: &Place, data: &str, out: &str) -> Vec<String> {
    place.class_folders(data, 2, 20);
    [
        "train",
        data,
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--batch",
        "10",
        "--threads",
        "1",
    ]
    .into_iter()
    .chain(["--quiet", "--out", out])
    .map(str::to_owned)
    .collect()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn damaged_images_of_any_part_are_met_before_the_first_epoch_and_a_mended_run_goes_on() {
    let place = Place::new();
    let run = train(&place, "data", "run");
    let images = ["data/test/class1/3.ppm", "data/test/class0/4.ppm"];
    let whole: Vec<Vec<u8>> = images.map(|name| bytes(&place.path(name))).into();
    for name in images {
        place.write(name, b"P6\n8 8\n255\nabc");
    }
    let told = place.fail(&words(&run), FAILED, &["class0/4.ppm", "another image"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(!place.path("run/jobs").exists(), "nothing was trained");
    place.fail(
        &["report", "run"],
        FAILED,
        &["the run has failed", "limbeck resume run"],
    );
    for (name, content) in images.iter().zip(whole) {
        place.write(name, content);
    }
    place.succeed(&["resume", "run", "--quiet"]);
    assert!(!place.path("run/failure.txt").exists());
    place.succeed(&["eval", "data", "--model", "run"]);
}

#[test]
fn another_test_part_is_tested_as_it_is_and_another_training_part_is_refused_as_data() {
    let place = Place::new();
    place.succeed(&words(&train(&place, "data", "run")));
    let unfinished = || std::fs::remove_file(place.path("run/results.json")).unwrap();
    unfinished();
    std::fs::remove_file(place.path("data/test/class1/3.ppm")).unwrap();
    let finished = place.run(&["resume", "run"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("test part has changed"),
        "{}",
        finished.stderr
    );
    unfinished();
    std::fs::remove_file(place.path("data/train/class1/3.ppm")).unwrap();
    let told = place.fail(&["resume", "run"], FAILED, &["training or validation part"]);
    assert!(!told.contains("recipe"), "{told}");
}

#[test]
fn a_run_goes_on_from_anywhere_and_with_data_that_has_moved() {
    let place = Place::new();
    place.succeed(&words(&train(&place, "data", "run")));
    let model = place.path("run/student/model.safetensors");
    let before = bytes(&model);
    let unfinished = || {
        std::fs::remove_file(place.path("run/results.json")).unwrap();
        std::fs::remove_dir_all(place.path("run/student")).unwrap();
    };
    unfinished();
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let run = place.path("run");
    let resumed = place
        .command(&["resume", text(&run), "--quiet"])
        .current_dir(place.path("elsewhere"))
        .output()
        .unwrap();
    assert!(resumed.status.success(), "{resumed:?}");
    assert!(before == bytes(&model));

    unfinished();
    std::fs::rename(place.path("data"), place.path("moved")).unwrap();
    place.fail(&["resume", "run"], FAILED, &["not at", "--data DIR"]);
    place.class_folders("other", 2, 21);
    let refused = ["resume", "run", "--data", "other"];
    place.fail(&refused, FAILED, &["not what the run began with"]);
    place.succeed(&["resume", "run", "--data", "moved", "--quiet"]);
    assert!(before == bytes(&model));
    unfinished();
    place.succeed(&["resume", "run", "--quiet"]);
    assert!(before == bytes(&model));
}
