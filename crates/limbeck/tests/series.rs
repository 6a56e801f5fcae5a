//! Several methods and students in one command: a run each, what they have in common trained once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, tiny};

/// Two methods with a teacher that is trained first.
fn two_methods(out: &str) -> Vec<String> {
    tiny(
        "distill",
        &[
            "--teacher",
            "resnet14",
            "--student",
            "resnet8",
            "--method",
            "kd,at",
            "--baseline",
            "--out",
            out,
        ],
    )
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn teacher_and_baseline_are_trained_once_and_the_runs_are_as_if_alone() {
    let place = Place::new();
    let mut arguments = two_methods("series");
    arguments.push("--json".to_owned());
    let runs: Value = serde_json::from_str(&place.succeed(&words(&arguments))).unwrap();
    let methods: Vec<&Value> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["method"])
        .collect();
    assert_eq!(methods, ["kd", "at"]);
    assert!(place.path("series/comparison.html").is_file());
    let alone = tiny(
        "distill",
        &[
            "--teacher",
            "resnet14",
            "--student",
            "resnet8",
            "--method",
            "at",
            "--baseline",
            "--out",
            "alone",
        ],
    );
    place.succeed(&words(&alone));
    for file in [
        "jobs/teacher/last.safetensors",
        "jobs/baseline-0/best.safetensors",
        "jobs/student-0/last.safetensors",
        "student/model.safetensors",
    ] {
        let found = bytes(&place.path("series/at-resnet8").join(file));
        assert!(
            found == bytes(&place.path("alone").join(file)),
            "{file} differs"
        );
    }
    // A copy of the first run's to the last bit, the seconds that it took included.
    for job in ["teacher", "baseline-0"] {
        let [first, second] = ["kd-resnet8", "at-resnet8"].map(|run| {
            bytes(&place.path(&format!("series/{run}/jobs/{job}/checkpoint.safetensors")))
        });
        assert!(first == second, "{job} was trained twice");
    }
    let before = bytes(&place.path("series/kd-resnet8/results.json"));
    place.succeed(&["resume", "series", "--quiet"]);
    assert_eq!(before, bytes(&place.path("series/kd-resnet8/results.json")));
}

#[test]
fn a_series_that_is_killed_goes_on_to_the_same_bits() {
    let place = Place::new();
    kill_and_resume(&place, two_methods, 4);
    for run in ["kd-resnet8", "at-resnet8"] {
        for job in ["teacher", "baseline-0", "student-0"] {
            let file = format!("{run}/jobs/{job}/last.safetensors");
            let left = bytes(&place.path("undisturbed").join(&file));
            let right = bytes(&place.path("killed").join(&file));
            assert!(left == right, "{file} differs");
        }
    }
}

#[test]
fn several_students_have_one_teacher() {
    let place = Place::new();
    let extra = [
        "--teacher",
        "resnet8",
        "--student",
        "resnet8,resnet14",
        "--method",
        "kd",
        "--out",
        "series",
        "--set",
        "train.epochs=1",
    ];
    place.succeed(&words(&tiny("distill", &extra)));
    let [left, right] = ["kd-resnet8", "kd-resnet14"].map(|run| {
        assert!(place.path(&format!("series/{run}/report.html")).is_file());
        bytes(&place.path(&format!("series/{run}/jobs/teacher/last.safetensors")))
    });
    assert!(left == right);
}

#[test]
fn a_teacher_that_runs_once_for_several_seeds_changes_no_bit() {
    let place = Place::new();
    let of = |out: &str, extra: &[&str]| {
        let common = [
            "--teacher",
            "resnet8",
            "--student",
            "resnet8",
            "--method",
            "at",
            "--seeds",
            "2",
            "--out",
            out,
        ];
        let mut arguments = tiny("distill", &[&common[..], extra].concat());
        arguments.retain(|word| word != "--quiet");
        let finished = place.run(&words(&arguments));
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        finished.stderr
    };
    let said = of("shared", &[]);
    // Its maps are stored, or asked for again where that is measured to be quicker: the bits are the same.
    assert!(
        said.contains("saved") != said.contains("after all"),
        "{said}"
    );
    assert!(said.contains("once for 2 students"), "{said}");
    let said = of(
        "each",
        &["--set", "teacher.shared=[]", "--set", "data.view_seed=0"],
    );
    assert!(!said.contains("once for"), "{said}");
    for seed in [0, 1] {
        let file = format!("jobs/student-{seed}/last.safetensors");
        let [left, right] = ["shared", "each"].map(|run| bytes(&place.path(run).join(&file)));
        assert!(left == right, "{file} differs");
    }
    assert!(
        !place.path("shared/teacher-outputs").exists(),
        "left lying about"
    );
}

#[test]
fn wrong_lists_are_refused_before_anything_starts() {
    let place = Place::new();
    for (methods, words) in [
        ("kd,kd", ["`kd-resnet8` is asked for twice", "once"]),
        ("kd,nothing", ["nothing", "method"]),
    ] {
        let arguments = tiny(
            "distill",
            &[
                "--teacher",
                "resnet8",
                "--student",
                "resnet8",
                "--method",
                methods,
                "--out",
                "series",
            ],
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.fail(&arguments, 2, &words);
        assert!(!place.path("series").exists(), "{methods}");
    }
}
