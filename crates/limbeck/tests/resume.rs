//! A run that is killed at any moment and resumed ends with the same bits as one that is not.
//!
//! `LIMBECK_KILLS=20 cargo test --release -p limbeck --test resume` kills as often as that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use std::time::Duration;

use support::{Place, bytes, kill_and_resume, tiny};

/// Kills in an ordinary test run.
const KILLS: usize = 5;

const FILES: [&str; 5] = [
    "jobs/teacher/last.safetensors",
    "jobs/student-0/last.safetensors",
    "jobs/student-0/best.safetensors",
    "jobs/baseline-0/last.safetensors",
    "student/model.safetensors",
];

#[test]
fn a_run_killed_at_random_moments_ends_with_the_bits_of_an_undisturbed_run() {
    let kills = std::env::var("LIMBECK_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    let place = Place::new();
    let extra = [
        "--teacher",
        "resnet8",
        "--student",
        "resnet8",
        "--method",
        "fitnet",
        "--baseline",
    ];
    let arguments = |out: &str| {
        let mut arguments = tiny("distill", &extra);
        arguments.extend(["--out".to_owned(), out.to_owned()]);
        arguments
    };
    kill_and_resume(&place, arguments, kills);
    for file in FILES {
        let left = bytes(&place.path("undisturbed").join(file));
        let right = bytes(&place.path("killed").join(file));
        assert!(left == right, "{file} differs");
    }
}

#[test]
fn a_finished_run_can_be_resumed_and_stays_the_same() {
    let place = Place::new();
    let arguments = tiny("train", &["--model", "resnet8", "--out", "run"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    let before = bytes(&place.path("run/student/model.safetensors"));
    let results = bytes(&place.path("run/results.json"));
    place.succeed(&["resume", "run", "--quiet"]);
    assert_eq!(results, bytes(&place.path("run/results.json")));
    assert_eq!(before, bytes(&place.path("run/student/model.safetensors")));
}

#[test]
fn damaged_results_are_written_again_and_those_of_a_later_version_are_left_alone() {
    let place = Place::new();
    let arguments = tiny("train", &["--model", "resnet8", "--out", "run"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    let written = bytes(&place.path("run/results.json"));
    for damaged in [&written[..written.len() / 2], b"\xff\xfe", b""] {
        place.write("run/results.json", damaged);
        for command in ["report", "compare"] {
            let words = ["run/results.json", "limbeck resume"];
            place.fail(&[command, "run"], 1, &words);
        }
        place.succeed(&["resume", "run", "--quiet"]);
        place.succeed(&["report", "run"]);
    }
    let later = r#"{"version": 99}"#;
    place.write("run/results.json", later);
    for command in ["report", "resume"] {
        place.fail(&[command, "run"], 1, &["format 99", "later one"]);
    }
    assert_eq!(bytes(&place.path("run/results.json")), later.as_bytes());
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint_exits_with_130_and_the_run_goes_on() {
    let place = Place::new();
    let mut arguments = tiny("train", &["--model", "resnet20", "--out", "run"]);
    arguments.extend(["--set".to_owned(), "train.epochs=40".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let child = place.command(&arguments).spawn().unwrap();
    let metrics = place.path("run/jobs/student-0/metrics.jsonl");
    while !metrics.is_file() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("limbeck resume run"), "{stderr}");
    assert!(
        place
            .path("run/jobs/student-0/checkpoint.safetensors")
            .is_file()
    );
    assert!(!place.path("run/student/model.safetensors").exists());
}
