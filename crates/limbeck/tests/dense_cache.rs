//! Outputs of a teacher that segments, stored once: to the bit, rounded, reduced, the most probable
//! classes; killed, damaged, shared between students.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Place, bytes};

const TEACHER: &str = "pspnet_resnet18_x0.125";

/// Data, crops and everything else that cache and runs have in common.
const COMMON: [&str; 6] = [
    "--threads",
    "1",
    "--quiet",
    "--set",
    "augment.size=[48, 48]",
    "scenes:40",
];

/// A place with a trained teacher in the folder `teacher`.
fn place_with_teacher() -> Place {
    let place = Place::new();
    let own = [
        "--model", TEACHER, "--epochs", "2", "--batch", "4", "--out", "teacher",
    ];
    place.succeed(&[&["train"][..], &COMMON, &own].concat());
    place
}

fn build(place: &Place, out: &str, extra: &[&str]) -> String {
    place.succeed(&arguments(out, extra))
}

fn arguments<'a>(out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let own = ["--teacher", "teacher", "--views", "2", "--out", out];
    [&["cache", "build"][..], &COMMON, &own, extra].concat()
}

fn distill<'a>(teacher: &'a str, method: &'a str, out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let own = [
        "--teacher",
        teacher,
        "--student",
        TEACHER,
        "--method",
        method,
        "--epochs",
        "3",
        "--batch",
        "4",
        "--set",
        "data.views=2",
        "--out",
        out,
    ];
    [&["distill"][..], &COMMON, &own, extra].concat()
}

fn json(place: &Place, file: &str) -> Value {
    serde_json::from_slice(&bytes(&place.path(file))).unwrap()
}

fn student(place: &Place, run: &str) -> Vec<u8> {
    bytes(&place.path(run).join("jobs/student-0/last.safetensors"))
}

/// Everything in a cache but its lock, by name.
fn content(place: &Place, cache: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in [cache.to_owned(), format!("{cache}/shards")] {
        for entry in std::fs::read_dir(place.path(&folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_file() && !name.starts_with('.') {
                found.push((name, bytes(&path)));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn full_maps_give_the_bits_that_the_teacher_itself_gives() {
    let place = place_with_teacher();
    let taps = ["--dtype", "f32", "--taps", "stage1,stage2,stage3,stage4"];
    build(&place, "cache", &taps);
    for method in ["kd", "cwd", "at"] {
        let (live, stored) = (format!("live-{method}"), format!("stored-{method}"));
        place.succeed(&distill("teacher", method, &live, &[]));
        // Nobody asks the teacher.
        std::fs::rename(place.path("teacher"), place.path("away")).unwrap();
        place.succeed(&distill("cache:cache", method, &stored, &[]));
        std::fs::rename(place.path("away"), place.path("teacher")).unwrap();
        assert!(
            student(&place, &live) == student(&place, &stored),
            "{method}"
        );
        let [live, stored] = [live, stored].map(|run| json(&place, &format!("{run}/results.json")));
        assert_eq!(
            live["teacher"]["test"], stored["teacher"]["test"],
            "{method}"
        );
        for students in [&live, &stored] {
            assert!(students["students"][0]["test"].is_object(), "{method}");
        }
        assert_eq!(live["students"][0]["test"], stored["students"][0]["test"]);
        assert_eq!(live["teacher"]["params"], stored["teacher"]["params"]);
        assert_eq!(live["teacher"]["macs"], stored["teacher"]["macs"]);
    }
}

#[test]
fn rounded_reduced_and_sparse_maps_serve_and_their_bytes_are_known_in_advance() {
    let place = place_with_teacher();
    let forms: [(&str, &[&str]); 4] = [
        ("f16", &[]),
        ("i8", &["--dtype", "i8"]),
        ("sixteenth", &["--at", "16", "--topk", "2"]),
        ("topk", &["--topk", "2"]),
    ];
    for (name, form) in forms {
        let said = build(&place, name, &[form, &["--dry-run", "--json"]].concat());
        assert!(!place.path(name).exists());
        build(&place, name, form);
        let said: Value = serde_json::from_str(&said).unwrap();
        let counted = content(&place, name);
        let counted = counted
            .iter()
            .filter(|(name, _)| !name.ends_with(".safetensors"));
        let all: usize = counted.map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(said["bytes"], all as u64, "{name}");
        place.succeed(&distill(
            &format!("cache:{name}"),
            "kd",
            &format!("run-{name}"),
            &[],
        ));
        let verify = [
            "cache",
            "verify",
            name,
            "--teacher",
            "teacher",
            "--json",
            "--quiet",
        ];
        let told: Value = serde_json::from_str(&place.succeed(&verify)).unwrap();
        assert_eq!(told["damaged_shards"], serde_json::json!([]), "{name}");
    }
    let shape = |cache: &str| {
        json(&place, &format!("{cache}/manifest.json"))["outputs"][0]["shape"].clone()
    };
    assert_eq!(shape("sixteenth")[1], 3);
    assert_ne!(shape("topk")[1], 3);
}

#[test]
fn a_build_that_is_killed_goes_on_to_the_same_bytes() {
    let place = place_with_teacher();
    build(&place, "whole", &[]);
    for wait in [60, 200, 400, 700] {
        let mut child = place.command(&arguments("killed", &[])).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    build(&place, "killed", &[]);
    assert!(content(&place, "whole") == content(&place, "killed"));
}

#[test]
fn what_does_not_fit_or_is_damaged_is_refused_by_name() {
    let place = place_with_teacher();
    build(&place, "cache", &[]);
    let cases: [(&str, &[&str], &[&str]); 5] = [
        ("kd", &["--set", "augment.flip=0"], &["augment.flip"]),
        ("kd", &["--set", "augment.size=[32, 32]"], &["augment.size"]),
        ("kd", &["--set", "data.scale=0.5"], &["data.scale"]),
        (
            "kd",
            &["--set", "evaluate.flip=true"],
            &["evaluate.flip", "as in the cache"],
        ),
        ("at", &[], &["does not hold", "--taps"]),
    ];
    for (method, extra, words) in cases {
        place.fail(&distill("cache:cache", method, "out", extra), 2, words);
        assert!(!place.path("out").exists(), "{words:?}");
    }
    let refused = |extra: &[&str], words: &[&str]| {
        place.fail(&arguments("other", extra), 2, words);
        assert!(!place.path("other").exists(), "{words:?}");
    };
    refused(&["--at", "1"], &["1/1", "leave --at out"]);
    refused(&["--topk", "99"], &["top-99"]);
    refused(&["--taps", "stage9"], &["stage9"]);

    let answers = place.path("cache/answers.safetensors");
    let whole = bytes(&answers);
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&answers, damaged).unwrap();
    let run = distill("cache:cache", "kd", "out", &[]);
    place.fail(
        &run,
        1,
        &["answers.safetensors", "was changed", "cache build"],
    );
    std::fs::remove_file(&answers).unwrap();
    place.fail(&run, 1, &["answers.safetensors", "cache build"]);
    let told = place.succeed(&["cache", "info", "cache"]);
    assert!(told.contains("is not yet"), "{told}");
    build(&place, "cache", &[]);
    assert!(bytes(&answers) == whole);
    let told = place.succeed(&["cache", "info", "cache"]);
    assert!(told.ends_with("whole\n"), "{told}");
    place.succeed(&run);
}

#[test]
fn students_of_several_seeds_share_what_the_teacher_says() {
    let place = place_with_teacher();
    let seeds = ["--seeds", "2", "--set", "data.view_seed=0"];
    let alone = [&seeds[..], &["--set", "teacher.shared=[]"]].concat();
    place.succeed(&distill("teacher", "kd", "shared", &seeds));
    place.succeed(&distill("teacher", "kd", "alone", &alone));
    let recipe = |run: &str| {
        let text = bytes(&place.path(run).join("recipe.toml"));
        String::from_utf8(text).unwrap()
    };
    assert!(
        recipe("shared").contains("shared = [\"logits\"]"),
        "{}",
        recipe("shared")
    );
    assert!(!place.path("shared/teacher-outputs").exists());
    for seed in [0, 1] {
        let file = format!("jobs/student-{seed}/last.safetensors");
        let [shared, alone] = ["shared", "alone"].map(|run| bytes(&place.path(run).join(&file)));
        assert!(shared == alone, "{file}");
    }
}
