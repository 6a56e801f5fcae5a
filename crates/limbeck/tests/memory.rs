//! How much memory steps are said to need, and blocks that are computed again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this file is tests"
)]

mod support;

use std::process::Child;

use serde_json::Value;
use support::Place;

/// Bytes that the process held at most, told by the system for as long as it runs.
#[cfg(target_os = "linux")]
fn peak_of(child: &mut Child) -> u64 {
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line = status.unwrap_or_default();
        let line = line.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        most = most.max(kibibytes.unwrap_or(0_u64) * 1024);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    most
}

/// Whether a prediction is within 15 % of what was held.
fn check(what: &str, predicted: u64, held: u64) {
    let ratio = predicted as f64 / held as f64;
    assert!(
        (0.85..=1.15).contains(&ratio),
        "{what}: predicted {predicted}, held {held}, {ratio:.3}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn steps_need_what_steps_with_few_images_foretell() {
    let place = Place::new();
    for more in [
        ["--method", "kd", "--batch", "32"].as_slice(),
        &["--method", "crd", "--batch", "32"],
        &["--method", "dml", "--batch", "32"],
        &["--batch", "32", "--set", "optimizer.name=\"adamw\""],
        &["--batch", "32", "--set", "train.recompute=true"],
    ] {
        let arguments = [["bench", "step", "--runs", "1", "--json"].as_slice(), more].concat();
        let report: Value = serde_json::from_str(&place.succeed(&arguments)).unwrap();
        let of = |key: &str| report[key].as_u64().unwrap();
        check(
            &format!("{more:?}"),
            of("predicted_memory_bytes"),
            of("step_memory_bytes"),
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_holds_what_its_dry_run_foretells() {
    let place = Place::new();
    let run = [
        "distill",
        "shapes:200",
        "--teacher",
        "resnet20",
        "--student",
        "resnet8x4",
        "--baseline",
        "--epochs",
        "1",
        "--batch",
        "64",
        "--set",
        "augment.size=[32,32]",
    ];
    let dry = [run.as_slice(), &["--dry-run", "--json"]].concat();
    let plan: Value = serde_json::from_str(&place.succeed(&dry)).unwrap();
    let memory = plan["memory"].as_array().unwrap();
    let trainings: Vec<&str> = memory
        .iter()
        .map(|it| it["training"].as_str().unwrap())
        .collect();
    assert_eq!(trainings, ["teacher", "student", "baseline"]);
    let predicted = memory.iter().map(|it| it["bytes"].as_u64().unwrap()).max();
    let mut child = place.command(&run).spawn().unwrap();
    let held = peak_of(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    check("the run", predicted.unwrap(), held);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("memory: about teacher "), "{told}");
}

#[test]
fn a_run_that_computes_blocks_again_trains_the_same_weights() {
    let place = Place::new();
    let data = place.class_folders("data", 3, 6);
    let data = data.to_str().unwrap();
    for (name, method, student) in [
        ("kd", "kd", "resnet8"),
        ("reviewkd", "reviewkd", "resnet8"),
        ("dml", "dml", "wrn_16_1"),
        ("vit", "kd", "vit_nano"),
    ] {
        let weights = ["false", "true"].map(|again| {
            let out = format!("{name}-{again}");
            let set = format!("train.recompute={again}");
            let teacher = if student == "vit_nano" {
                "vit_nano"
            } else {
                "resnet14"
            };
            place.succeed(&[
                "distill",
                data,
                "--teacher",
                teacher,
                "--student",
                student,
                "--method",
                method,
                "--epochs",
                "2",
                "--batch",
                "4",
                "--out",
                &out,
                "--set",
                &set,
                "--set",
                "augment.size=[16,16]",
            ]);
            std::fs::read(place.path(&out).join("student/model.safetensors")).unwrap()
        });
        assert!(weights[0] == weights[1], "{name}");
    }
}

#[test]
fn a_network_without_blocks_is_refused() {
    let place = Place::new();
    let refused = ["bench", "net", "lenet", "--recompute"];
    place.fail(&refused, 2, &["lenet"]);
    let wrong = [
        "train",
        "shapes",
        "--model",
        "resnet8",
        "--set",
        "train.recompute=3",
        "--dry-run",
    ];
    place.fail(&wrong, 2, &["recompute"]);
}
