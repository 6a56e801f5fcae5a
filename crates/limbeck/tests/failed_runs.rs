//! Runs that fail deliver nothing, say why, and leave a folder that every command can read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use support::{Place, text};

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
