//! A teacher's outputs, stored once: built, killed, damaged, put together, learnt from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, tiny};

/// A place with a trained teacher in the folder `teacher`.
fn place_with_teacher() -> Place {
    let place = Place::new();
    let arguments = tiny("train", &["--model", "resnet14", "--out", "teacher"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    place
}

/// `limbeck cache build` of the teacher's outputs for two views.
fn build<'a>(out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["cache", "build", "shapes:120", "--teacher", "teacher"];
    if !extra.contains(&"--views") {
        arguments.extend(["--views", "2"]);
    }
    arguments.extend(["--threads", "1", "--quiet", "--out", out]);
    arguments.extend(extra);
    arguments
}

/// `limbeck distill` from `teacher`.
fn distill(teacher: &str, method: &str, out: &str, extra: &[&str]) -> Vec<String> {
    let mut arguments = tiny("distill", &["--student", "resnet8"]);
    for (name, value) in [("--teacher", teacher), ("--method", method), ("--out", out)] {
        arguments.extend([name.to_owned(), value.to_owned()]);
    }
    arguments.extend(extra.iter().map(|&text| text.to_owned()));
    arguments
}

fn succeed(place: &Place, arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments)
}

fn fail(place: &Place, arguments: &[String], code: i32, words: &[&str]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.fail(&arguments, code, words)
}

/// The shards of a cache, by name, with their content.
fn shards(cache: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(cache.join("shards"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                bytes(&entry.path()),
            )
        })
        .collect();
    found.sort();
    found
}

fn student(place: &Place, run: &str) -> Vec<u8> {
    bytes(&place.path(run).join("student/model.safetensors"))
}

/// Enough numbers for several shards.
const WIDE: [&str; 6] = ["--taps", "stage1,stage2", "--dtype", "f32", "--views", "5"];

#[test]
fn full_outputs_give_the_bits_that_the_teacher_itself_gives() {
    let place = place_with_teacher();
    // `at` reads the stages, `reviewkd` the same before their last activation, and the embedding.
    let taps = [
        "--taps",
        "stage1,stage2,stage3,stage1.preact,stage2.preact,stage3.preact,pooled",
        "--dtype",
        "f32",
    ];
    place.succeed(&build("cache", &taps));
    for method in ["kd", "at", "reviewkd", "sharedhead", "wtakd"] {
        let live = format!("live-{method}");
        let stored = format!("stored-{method}");
        // `wtakd` has stages, and with them more epochs than there are views.
        let extra = ["--baseline", "--set", "data.views=2"];
        succeed(&place, &distill("teacher", method, &live, &extra));
        succeed(&place, &distill("cache:cache", method, &stored, &extra));
        assert!(
            student(&place, &live) == student(&place, &stored),
            "{method}"
        );
        for job in ["jobs/student-0", "jobs/baseline-0"] {
            let weights = format!("{job}/last.safetensors");
            let [live, stored] = [&live, &stored].map(|run| bytes(&place.path(run).join(&weights)));
            assert!(live == stored, "{method}: {weights}");
        }
        let results = |run: &str| -> Value {
            let text = bytes(&place.path(run).join("results.json"));
            serde_json::from_slice(&text).unwrap()
        };
        let [live, stored] = [&live, &stored].map(|run| results(run));
        assert_eq!(
            live["teacher"]["test"], stored["teacher"]["test"],
            "{method}"
        );
        assert_eq!(live["teacher"]["params"], stored["teacher"]["params"]);
        assert_eq!(live["teacher"]["macs"], stored["teacher"]["macs"]);
    }
}

#[test]
fn a_run_takes_the_size_of_its_images_from_the_cache() {
    let place = Place::new();
    place.class_folders("pictures", 3, 12);
    let common = ["--threads", "1", "--quiet", "--epochs", "2"];
    let own = ["--batch", "10", "--set", "augment.size=[16, 16]"];
    let train = [
        "train", "pictures", "--model", "resnet8", "--out", "teacher",
    ];
    place.succeed(&[&train[..], &common, &own].concat());
    let build = [
        "cache",
        "build",
        "pictures",
        "--teacher",
        "teacher",
        "--out",
        "cache",
    ];
    let as_trained = ["--dtype", "f32", "--set", "augment.size=[16, 16]"];
    place.succeed(&[&build[..], &common, &as_trained].concat());
    let student = ["distill", "pictures", "--student", "resnet8", "--teacher"];
    let stored = ["cache:cache", "--batch", "10", "--out", "stored"];
    place.succeed(&[&student[..], &stored, &common].concat());
    let live = ["teacher", "--out", "live"];
    place.succeed(&[&student[..], &live, &common, &own].concat());
    assert!(self::student(&place, "live") == self::student(&place, "stored"));
}

#[test]
fn rounded_and_sparse_outputs_serve_and_mixed_images_get_mixed_targets() {
    let place = place_with_teacher();
    let forms: [(&str, &[&str]); 3] = [
        ("f16", &[]),
        ("i8", &["--dtype", "i8"]),
        ("sparse", &["--topk", "3"]),
    ];
    for (name, form) in forms {
        place.succeed(&build(name, form));
        place.succeed(&["cache", "verify", name, "--teacher", "teacher", "--quiet"]);
        let teacher = format!("cache:{name}");
        succeed(
            &place,
            &distill(&teacher, "kd", &format!("run-{name}"), &[]),
        );
        let mixed = [
            "--set",
            "augment.mixup_alpha=0.5",
            "--set",
            "augment.cutmix_alpha=0.5",
        ];
        succeed(
            &place,
            &distill(&teacher, "kd", &format!("mixed-{name}"), &mixed),
        );
    }
}

#[test]
fn students_of_all_seeds_see_the_stored_views_and_long_runs_see_them_again() {
    let place = place_with_teacher();
    place.succeed(&build("cache", &["--dtype", "f32"]));
    let extra = ["--seeds", "2", "--set", "train.epochs=3"];
    succeed(&place, &distill("cache:cache", "kd", "stored", &extra));
    let recipe = String::from_utf8(bytes(&place.path("stored/recipe.toml"))).unwrap();
    assert!(
        recipe.contains("view_seed = 0") && recipe.contains("views = 2"),
        "{recipe}"
    );
    let extra = [
        &extra[..],
        &["--set", "data.view_seed=0", "--set", "data.views=2"],
    ]
    .concat();
    succeed(&place, &distill("teacher", "kd", "live", &extra));
    for job in ["student-0", "student-1"] {
        let weights = |run: &str| bytes(&place.path(&format!("{run}/jobs/{job}/last.safetensors")));
        assert!(weights("live") == weights("stored"), "{job}");
    }
}

#[test]
fn a_run_from_a_cache_that_is_killed_ends_with_the_same_bits() {
    let place = place_with_teacher();
    place.succeed(&build("cache", &["--taps", "stage3"]));
    let extra = ["--set", "method.pairs=[[\"stage3\", \"stage3\"]]"];
    kill_and_resume(
        &place,
        |out| distill("cache:cache", "fitnet", out, &extra),
        3,
    );
    assert!(student(&place, "undisturbed") == student(&place, "killed"));
}

#[test]
fn a_build_that_is_killed_goes_on_and_two_at_once_share_the_work() {
    let place = place_with_teacher();
    place.succeed(&build("whole", &WIDE));
    let whole = shards(&place.path("whole"));
    assert!(whole.len() >= 3, "{} shards", whole.len());
    for wait in [100, 300, 500] {
        let mut child = place.command(&build("killed", &WIDE)).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    place.succeed(&build("killed", &WIDE));
    let arguments = build("shared", &WIDE);
    let children = [0, 1].map(|_| place.command(&arguments).spawn().unwrap());
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for cache in ["killed", "shared"] {
        // What a killed process left is taken over, or left as a hidden file.
        let found = shards(&place.path(cache));
        let found: Vec<_> = found
            .into_iter()
            .filter(|(name, _)| !name.starts_with('.'))
            .collect();
        assert!(found == whole, "{cache}");
    }
}

#[test]
fn shares_are_put_together_and_other_caches_are_not() {
    let place = place_with_teacher();
    place.succeed(&build("whole", &WIDE));
    for (out, share) in [("a", "1/2"), ("b", "2/2")] {
        place.succeed(&build(out, &[&WIDE[..], &["--shard", share]].concat()));
    }
    let half = distill("cache:a", "kd", "run", &[]);
    fail(
        &place,
        &half,
        1,
        &["shards are not there yet", "limbeck cache merge"],
    );
    let said = place.succeed(&["cache", "merge", "all", "a", "b", "--json", "--quiet"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["missing"], 0);
    assert!(shards(&place.path("all")) == shards(&place.path("whole")));
    assert_eq!(
        bytes(&place.path("all/classifier.safetensors")),
        bytes(&place.path("whole/classifier.safetensors"))
    );
    place.succeed(&build("other", &["--seed", "5"]));
    place.fail(&["cache", "merge", "all", "other"], 2, &["view_seed"]);
    place.write("pictures/cat.png", "");
    place.fail(&["cache", "merge", "pictures", "a"], 2, &["cat.png"]);
}

#[test]
fn what_does_not_fit_is_refused_with_the_field_and_what_to_do() {
    let place = place_with_teacher();
    place.succeed(&build("cache", &[]));
    let cases: [(&str, &[&str], &[&str]); 10] = [
        (
            "kd",
            &["--set", "augment.flip=0.5"],
            &["augment.flip", "0.5"],
        ),
        ("kd", &["--set", "augment.size=[16, 16]"], &["augment.size"]),
        (
            "kd",
            &["--limit", "60"],
            &["data.split.limit", "data.limit", "60"],
        ),
        ("kd", &["--set", "data.split_seed=3"], &["split_seed", "3"]),
        (
            "kd",
            &["--set", "data.view_seed=3"],
            &["view_seed", "leave"],
        ),
        ("kd", &["--set", "data.views=7"], &["7 views", "has 2"]),
        ("at", &[], &["stage1", "--taps"]),
        ("sskd", &[], &["sskd", "rotated images", "--teacher"]),
        ("tst", &[], &["tst", "gradients"]),
        (
            "kd",
            &["--set", "train.choose_by=recall"],
            &["pooled", "--taps pooled"],
        ),
    ];
    for (method, extra, words) in cases {
        fail(
            &place,
            &distill("cache:cache", method, "run", extra),
            2,
            words,
        );
        assert!(!place.path("run").exists(), "{method} {extra:?}");
    }
    let mut other = distill("cache:cache", "kd", "run", &[]);
    other[1] = "shapes:130".to_owned();
    fail(
        &place,
        &other,
        2,
        &["data.fingerprint", "limbeck cache build"],
    );
    fail(
        &place,
        &distill("cache:none", "kd", "run", &[]),
        2,
        &["none", "limbeck cache build"],
    );

    place.succeed(&build("wide", &["--taps", "stage1,stage2,stage3"]));
    let mixed = distill(
        "cache:wide",
        "at",
        "run",
        &["--set", "augment.mixup_alpha=0.5"],
    );
    fail(&place, &mixed, 2, &["mixed images", "augment.mixup_alpha"]);
}

#[test]
fn a_build_refuses_what_cannot_be_stored_and_overwrites_nothing() {
    let place = place_with_teacher();
    place.fail(
        &build("cache", &["--taps", "stage9"]),
        2,
        &["stage9", "stage3"],
    );
    place.fail(&build("cache", &["--topk", "10"]), 2, &["top-10"]);
    place.fail(&build("cache", &["--views", "0"]), 2, &["--views"]);
    place.fail(&build("cache", &["--shard", "3/2"]), 2, &["--shard", "3/2"]);
    let mut untrained = build("cache", &[]);
    untrained[4] = "resnet8";
    place.fail(&untrained, 2, &["train it first", "limbeck train"]);
    assert!(!place.path("cache").exists());
    place.write("pictures/cat.png", "");
    place.fail(&build("pictures", &[]), 2, &["cat.png", "new or empty"]);
    place.succeed(&build("cache", &[]));
    let before = shards(&place.path("cache"));
    place.fail(
        &build("cache", &["--seed", "4"]),
        2,
        &["view_seed", "0", "4"],
    );
    place.succeed(&build("cache", &[]));
    assert!(shards(&place.path("cache")) == before);
}

#[test]
fn the_size_is_known_in_advance() {
    let place = place_with_teacher();
    let said = place.succeed(&build("cache", &["--dry-run", "--json"]));
    assert!(!place.path("cache").exists());
    place.succeed(&build("cache", &[]));
    let said: Value = serde_json::from_str(&said).unwrap();
    let told = place.succeed(&["cache", "info", "cache", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let all: usize = shards(&place.path("cache"))
        .iter()
        .map(|(_, b)| b.len())
        .sum();
    let manifest = bytes(&place.path("cache/manifest.json")).len();
    assert_eq!(said["bytes"], (all + manifest) as u64);
    assert_eq!(said["records"], told["records"]);
    assert_eq!(told["missing_shards"], serde_json::json!([]));
}

/// The cache's only shard, with `change` made to it.
fn damage(place: &Place, cache: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let path = place.path(cache).join("shards/000000.cache");
    let mut content = bytes(&path);
    change(&mut content);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn damage_is_found_named_and_built_again() {
    let place = place_with_teacher();
    place.succeed(&build("cache", &[]));
    let right = bytes(&place.path("cache/shards/000000.cache"));
    let verify = |extra: &[&'static str]| {
        let mut arguments = vec![
            "cache",
            "verify",
            "cache",
            "--teacher",
            "teacher",
            "--quiet",
        ];
        arguments.extend(extra);
        arguments
    };
    // In the middle of the records, which are read in the first epoch.
    let flip = |content: &mut Vec<u8>| {
        let middle = content.len() / 3;
        content[middle] ^= 4;
    };
    let cut = |content: &mut Vec<u8>| content.truncate(content.len() - 7);
    let changes: [fn(&mut Vec<u8>); 2] = [flip, cut];
    for (number, change) in changes.into_iter().enumerate() {
        let path = damage(&place, "cache", change);
        let run = distill("cache:cache", "kd", &format!("run{number}"), &[]);
        fail(
            &place,
            &run,
            1,
            &["000000.cache", "limbeck cache verify --repair"],
        );
        place.fail(&verify(&[]), 1, &["shard 0 is damaged", "--repair"]);
        place.succeed(&verify(&["--repair"]));
        assert!(bytes(&path) == right);
        place.succeed(&verify(&[]));
    }
    std::fs::write(place.path("cache/classifier.safetensors"), "no").unwrap();
    let run = distill("cache:cache", "kd", "run9", &[]);
    fail(
        &place,
        &run,
        1,
        &["classifier.safetensors", "limbeck cache verify --repair"],
    );
    place.succeed(&verify(&["--repair"]));
    succeed(&place, &distill("cache:cache", "kd", "run10", &[]));

    let other = tiny(
        "train",
        &["--model", "resnet14", "--seed", "1", "--out", "other"],
    );
    succeed(&place, &other);
    let wrong = ["cache", "verify", "cache", "--teacher", "other"];
    place.fail(&wrong, 2, &["teacher.weights_sha256"]);
    let wrong = [&verify(&[])[..], &["--data", "shapes:130"]].concat();
    place.fail(&wrong, 2, &["data.fingerprint"]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_build_and_the_same_command_goes_on() {
    let place = place_with_teacher();
    let binary = env!("CARGO_BIN_EXE_limbeck");
    let command = format!(
        "trap '' XFSZ; ulimit -f 64; exec '{binary}' {}",
        build("cache", &WIDE).join(" ")
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("free some space") && said.contains("goes on"),
        "{said}"
    );
    place.succeed(&build("cache", &WIDE));
    place.succeed(&build("whole", &WIDE));
    assert!(shards(&place.path("cache")) == shards(&place.path("whole")));
}
