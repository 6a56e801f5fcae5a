//! Contrast of images from the command line: with foregrounds pasted and without, told apart by a queue
//! and by a memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, tiny};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

/// A short run of a small network.
fn run<'a>(method: &'a str, extra: &[&'a str]) -> Vec<String> {
    let names = ["--method", method, "--student", "resnet8"];
    tiny("distill", &[&names[..], extra].concat())
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn results(place: &Place, run: &str) -> Value {
    let file = place.path(run).join("results.json");
    serde_json::from_slice(&bytes(&file)).unwrap()
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_bits_of_an_undisturbed_run() {
    let place = Place::new();
    let arguments = |out: &str| {
        let workers = match out {
            "undisturbed" => "0",
            _ => "3",
        };
        run("dilo", &["--baseline", "--workers", workers, "--out", out])
    };
    kill_and_resume(&place, arguments, 2);
    for file in [
        "jobs/student-0/last.safetensors",
        "jobs/baseline-0/last.safetensors",
        "student/model.safetensors",
    ] {
        let left = bytes(&place.path("undisturbed").join(file));
        let right = bytes(&place.path("killed").join(file));
        assert!(left == right, "{file} differs");
    }
    let results = results(&place, "killed");
    assert_eq!(results["beside"], "moco");
    let terms = &results["students"][0]["epochs"][1]["terms"];
    assert!(terms["contrast"].is_number(), "{terms}");
}

#[test]
fn instances_are_told_apart_too_and_a_classifier_starts_from_what_was_learnt() {
    let place = Place::new();
    let objective = [
        "--set",
        "method.moco.objective=\"instdisc\"",
        "--out",
        "run",
    ];
    place.succeed(&words(&run("moco", &objective)));
    let train = ["--model", "resnet8", "--backbone", "run", "--out", "tuned"];
    place.succeed(&words(&tiny("train", &train)));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_trained() {
    let place = Place::new();
    let refuse = |method: &str, setting: &str, expected: &[&str]| {
        let arguments = run(method, &["--set", setting, "--out", "run"]);
        place.fail(&words(&arguments), USAGE, expected);
        assert!(!place.path("run/jobs").exists());
    };
    refuse(
        "moco",
        "method.moco.queue=30",
        &["`queue`", "multiple of 20"],
    );
    refuse(
        "moco",
        "method.moco.queue=4000",
        &["`queue`", "training images"],
    );
    refuse(
        "moco",
        "method.moco.temperature=0",
        &["`temperature`", "above 0"],
    );
    refuse("moco", "data.batch=1", &["data.batch"]);
    refuse("dilo", "method.dilo.keep=1.2", &["`keep`", "from 0 to 1"]);
    let files = "method.dilo.saliency=\"files\"";
    let arguments = run("dilo", &["--set", files, "--out", "run"]);
    place.fail(&words(&arguments), FAILED, &["saliency", "estimated"]);
    assert!(!place.path("run/jobs").exists());
}
