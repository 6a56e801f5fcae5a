//! Trainings of a run side by side: the bits, files and results of one after the other, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume};

/// Kills of a run.
const KILLS: usize = 3;

/// A run on few images, `at_a_time` trainings at the same time.
fn run(method: &str, at_a_time: &str, out: &str, extra: &[&str]) -> Vec<String> {
    let mut all = vec!["distill", "shapes:120", "--teacher", "resnet8"];
    all.extend(["--student", "resnet8", "--method", method]);
    all.extend(["--epochs", "2", "--batch", "20", "--quiet", "--out", out]);
    all.extend(["--side-by-side", at_a_time]);
    all.extend(extra);
    all.into_iter().map(str::to_owned).collect()
}

fn succeed(place: &Place, arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments)
}

/// What is measured in seconds or bytes, or says where and how something ran.
const OF_THE_MOMENT: [&str; 10] = [
    "seconds",
    "memory",
    "images_per_second",
    "data_wait",
    "latency_ms",
    "environment",
    "recipe",
    "command",
    "run",
    "wall_time",
];

/// `value` without what differs from run to run.
fn lasting(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !OF_THE_MOMENT.contains(&name.as_str()))
            .map(|(name, value)| (name, lasting(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(lasting).collect(),
        value => value,
    }
}

fn json(text: &str) -> Value {
    lasting(serde_json::from_str(text).unwrap())
}

/// Files of a job whose bytes depend on nothing but the training.
fn weights(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".safetensors") && !name.starts_with("checkpoint"))
        .collect();
    names.sort();
    names
}

/// Two runs have the same jobs with the same files, and the same results.
fn assert_same(place: &Place, left: &str, right: &str, jobs: &[&str]) {
    let text =
        |run: &str, file: &str| String::from_utf8(bytes(&place.path(run).join(file))).unwrap();
    for job in jobs {
        let folder = format!("jobs/{job}");
        let names = weights(&place.path(left).join(&folder));
        assert_eq!(names, weights(&place.path(right).join(&folder)), "{job}");
        assert!(names.contains(&"last.safetensors".to_owned()), "{names:?}");
        for name in names {
            let file = format!("{folder}/{name}");
            let read = |run: &str| bytes(&place.path(run).join(&file));
            assert!(read(left) == read(right), "{file} differs");
        }
        let file = format!("{folder}/metrics.jsonl");
        let rows = |run: &str| text(run, &file).lines().map(json).collect::<Vec<_>>();
        assert_eq!(rows(left), rows(right), "{file}");
    }
    let student = "student/model.safetensors";
    let read = |run: &str| bytes(&place.path(run).join(student));
    assert!(read(left) == read(right), "{student} differs");
    for file in ["results.json", "details.json"] {
        assert_eq!(json(&text(left, file)), json(&text(right, file)), "{file}");
    }
}

/// The run by `method` one after the other and side by side, with what `--json` prints.
fn assert_same_side_by_side(method: &str, ways: &[(&str, &str)], jobs: &[&str], extra: &[&str]) {
    let place = Place::new();
    let told = |at_a_time: &str, threads: &str, out: &str| {
        let options = ["--threads", threads, "--json"];
        let all = run(method, at_a_time, out, &[&options[..], extra].concat());
        json(&succeed(&place, &all))
    };
    let expected = told("1", "1", "single");
    for (at_a_time, threads) in ways {
        let out = format!("side-{at_a_time}-{threads}");
        assert_eq!(told(at_a_time, threads, &out), expected);
        assert_same(&place, "single", &out, jobs);
        let results: Value =
            serde_json::from_slice(&bytes(&place.path(&out).join("results.json"))).unwrap();
        let how = results["environment"]["trainings"].as_str().unwrap();
        assert!(
            how.contains(&format!("{at_a_time} trainings at a time")),
            "{how}"
        );
    }
}

#[test]
fn three_seeds_and_their_baselines_have_the_same_bits_and_results_side_by_side() {
    let jobs = [
        "student-0",
        "baseline-0",
        "student-1",
        "baseline-1",
        "student-2",
        "baseline-2",
    ];
    let ways = [("2", "2"), ("6", "7")];
    assert_same_side_by_side("kd", &ways, &jobs, &["--seeds", "3", "--baseline"]);
}

#[test]
fn a_procedure_has_the_same_bits_side_by_side() {
    let jobs = ["student-0", "student-1"];
    assert_same_side_by_side("dml", &[("2", "2")], &jobs, &["--seeds", "2"]);
}

#[test]
fn a_method_with_a_bank_has_the_same_bits_side_by_side() {
    let jobs = ["student-0", "student-1"];
    let extra = [
        "--seeds",
        "2",
        "--workers",
        "2",
        "--set",
        "method.crd.negatives=50",
    ];
    assert_same_side_by_side("crd", &[("2", "3")], &jobs, &extra);
}

#[test]
fn a_run_that_was_killed_side_by_side_ends_with_the_bits_of_one_after_the_other() {
    let place = Place::new();
    let arguments = |out: &str| {
        let at_a_time = if out == "killed" { "2" } else { "1" };
        let extra = ["--seeds", "2", "--baseline", "--threads", "2"];
        run("fitnet", at_a_time, out, &extra)
    };
    kill_and_resume(&place, arguments, KILLS);
    let jobs = ["student-0", "baseline-0", "student-1", "baseline-1"];
    assert_same(&place, "undisturbed", "killed", &jobs);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_all_at_checkpoints_and_they_go_on_one_after_the_other() {
    let place = Place::new();
    let extra = ["--seeds", "2", "--threads", "2", "--set", "train.epochs=12"];
    let arguments = run("kd", "2", "run", &extra);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let child = place.command(&arguments).spawn().unwrap();
    let of = |job: &str, file: &str| place.path(&format!("run/jobs/{job}/{file}"));
    while !["student-0", "student-1"]
        .iter()
        .all(|job| of(job, "metrics.jsonl").is_file())
    {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    for job in ["student-0", "student-1"] {
        assert!(of(job, "checkpoint.safetensors").is_file(), "{job}");
    }
    place.succeed(&[
        "resume",
        "run",
        "--quiet",
        "--side-by-side",
        "1",
        "--threads",
        "1",
    ]);
    let whole = run("kd", "1", "whole", &extra);
    succeed(&place, &whole);
    assert_same(&place, "whole", "run", &["student-0", "student-1"]);
}

#[test]
fn a_failure_stops_all_with_its_own_message_and_the_others_go_on_from_their_checkpoints() {
    let place = Place::new();
    let extra = ["--seeds", "3", "--threads", "2"];
    succeed(&place, &run("kd", "1", "whole", &extra));
    succeed(&place, &run("kd", "2", "run", &extra));
    // Begun anew, one of the seeds finds a checkpoint that is none.
    std::fs::remove_file(place.path("run/results.json")).unwrap();
    for job in ["student-0", "student-1", "student-2"] {
        std::fs::remove_dir_all(place.path(&format!("run/jobs/{job}"))).unwrap();
    }
    place.write("run/jobs/student-1/checkpoint.safetensors", b"damaged");
    let told = place.fail(
        &["resume", "run"],
        1,
        &["jobs/student-1/checkpoint.safetensors"],
    );
    assert!(
        told.contains("student-1 has failed; the trainings beside it stop"),
        "{told}"
    );
    assert!(!place.path("run/results.json").exists());
    std::fs::remove_dir_all(place.path("run/jobs/student-1")).unwrap();
    place.succeed(&["resume", "run", "--quiet"]);
    assert_same(
        &place,
        "whole",
        "run",
        &["student-0", "student-1", "student-2"],
    );
}

#[test]
fn lines_of_trainings_side_by_side_tell_whose_they_are() {
    let place = Place::new();
    let mut all = run("kd", "2", "run", &["--seeds", "2", "--threads", "2"]);
    all.retain(|argument| argument != "--quiet");
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let finished = place.run(&all);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    for seed in 0..2 {
        let named = format!("student-{seed} (");
        assert!(finished.stderr.contains(&named), "{}", finished.stderr);
        let rows =
            |line: &&str| line.starts_with(&format!("student-{seed} ")) && line.contains("/2");
        // The last one may be alone.
        let count = finished.stderr.lines().filter(rows).count();
        assert!(count >= 1, "{}", finished.stderr);
    }
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let place = Place::new();
    let train = |extra: &[&str], code: i32, words: &[&str]| {
        let all = [
            "train",
            "shapes:120",
            "--model",
            "resnet8",
            "--threads",
            "2",
        ];
        place.fail(&[&all[..], extra].concat(), code, words);
    };
    for number in ["0", "-1", "1.5", "all"] {
        let asked = format!("--side-by-side={number}");
        train(
            &["--seeds", "2", &asked],
            2,
            &["side-by-side", "\"auto\"", number],
        );
        let set = format!("train.side_by_side={number:?}");
        train(
            &["--seeds", "2", "--set", &set],
            2,
            &["train.side_by_side", number],
        );
    }
    train(
        &["--side-by-side", "2"],
        2,
        &["is 2", "trains one network", "--seeds"],
    );
    let seeds = ["--seeds", "2", "--side-by-side", "3"];
    train(&seeds, 2, &["is 3", "trains 2 networks", "--seeds"]);
    let threads = ["--seeds", "4", "--side-by-side", "3"];
    train(&threads, 2, &["is 3", "2 threads", "--threads"]);
    let steps = ["--tasks", "1-1", "--side-by-side", "2", "--method", "kd"];
    let all = ["distill", "scenes:40", "--student", "pspnet_resnet18_x0.04"];
    place.fail(
        &[&all[..], &steps].concat(),
        2,
        &["train.side_by_side", "steps follow each other"],
    );
}
