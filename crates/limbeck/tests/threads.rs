//! `--threads` decides how many threads compute, and nothing else does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use support::{Place, text, tiny};

#[test]
fn every_command_that_computes_refuses_no_threads_and_too_many() {
    let place = Place::new();
    let run = tiny("train", &["--model", "resnet8", "--out", "run"]);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    place.succeed(&run);
    let image = place.class_folders("data", 2, 1).join("test/class0/0.ppm");
    let commands: [&[&str]; 9] = [
        &["demo"],
        &["demo", "--task", "pretraining"],
        &["train", "shapes:120", "--model", "resnet8"],
        &[
            "distill",
            "shapes:120",
            "--teacher",
            "resnet14",
            "--student",
            "resnet8",
        ],
        &["eval", "shapes:120", "--model", "run"],
        &["predict", text(&image), "--model", "run"],
        &["inspect", "resnet8"],
        &["resume", "run"],
        &["bench", "step", "--student", "resnet8"],
    ];
    for command in commands {
        for threads in ["0", "1025"] {
            let command = [command, &["--threads", threads]].concat();
            place.fail(&command, 2, &["threads"]);
        }
    }
}

/// The names of a process's threads, but for the first one's.
#[cfg(target_os = "linux")]
fn names_of_threads(process: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let names = tasks.into_iter().flatten().filter_map(|task| {
        let task = task.ok()?;
        if task.file_name().to_str() == Some(&process.to_string()) {
            return None;
        }
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        Some(name.trim().to_owned())
    });
    names.collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_has_the_threads_that_were_asked_for() {
    use std::collections::BTreeSet;

    let place = Place::new();
    for (threads, workers) in [(1, 1), (3, 2)] {
        let out = format!("run-{threads}");
        let mut command = place.command(&[
            "train",
            "shapes:400",
            "--model",
            "resnet14",
            "--epochs",
            "3",
            "--threads",
            &threads.to_string(),
            "--workers",
            &workers.to_string(),
            "--quiet",
            "--out",
            &out,
        ]);
        let mut child = command.spawn().unwrap();
        let mut seen = BTreeSet::new();
        while child.try_wait().unwrap().is_none() {
            seen.extend(names_of_threads(child.id()));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(child.wait().unwrap().success());
        // A thread has the program's name until it takes its own.
        seen.remove("limbeck");
        let mut expected = BTreeSet::from(["ctrl-c".to_owned()]);
        expected.extend((0..threads).map(|number| format!("compute-{number}")));
        expected.extend((0..workers).map(|number| format!("loader-{number}")));
        assert_eq!(seen, expected);
    }
}
