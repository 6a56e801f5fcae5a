//! Classes learnt in steps, through the binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume};

/// Scenes have a ground and six kinds of objects.
fn steps<'a>(out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "distill",
        "scenes:40",
        "--tasks",
        "4-2",
        "--student",
        "segformer_b0_x0.25",
        "--method",
        "sats",
        "--epochs",
        "1",
        "--batch",
        "4",
        "--threads",
        "1",
        "--quiet",
        "--out",
        out,
    ];
    arguments.extend(extra);
    arguments
}

fn found(place: &Place, run: &str) -> Value {
    serde_json::from_slice(&bytes(&place.path(run).join("continual.json"))).unwrap()
}

#[test]
fn every_step_is_measured_on_old_new_and_all_classes_beside_both_baselines() {
    let place = Place::new();
    let table = place.succeed(&steps("run", &["--baseline"]));
    let found = found(&place, "run");
    assert_eq!(found["split"], "4-2");
    assert_eq!(found["setting"], "overlapped");
    let sequences = found["sequences"].as_array().unwrap();
    let names: Vec<&str> = sequences
        .iter()
        .map(|sequence| sequence["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["sats", "fine-tuning", "joint"]);
    for sequence in sequences {
        let name = sequence["name"].as_str().unwrap();
        assert!(table.contains(name), "{table}");
        let steps = sequence["steps"].as_array().unwrap();
        assert_eq!(steps.len(), if name == "joint" { 1 } else { 2 });
        let last = steps.last().unwrap();
        assert_eq!(last["per_class"].as_array().unwrap().len(), 7);
        for key in ["old_miou", "new_miou", "all_miou"] {
            let value = last[key].as_f64().unwrap();
            assert!((0.0..=100.0).contains(&value), "{name}: {key} {value}");
        }
        assert_eq!(last["forgetting"].is_null(), name == "joint");
    }
    // The first step is common to all that learn in steps.
    assert_eq!(sequences[0]["steps"][0], sequences[1]["steps"][0]);
    assert_eq!(
        sequences[0]["steps"][0]["per_class"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    // What was learnt last can be measured on all classes, and going on changes nothing.
    place.succeed(&["eval", "scenes:40", "--model", "run"]);
    let again = place.succeed(&["resume", "run", "--quiet"]);
    assert_eq!(again, table);
    let page = || String::from_utf8(bytes(&place.path("run/report.html"))).unwrap();
    let written = page();
    for words in [
        "of all classes",
        "Fine-tuning",
        "Joint training",
        "id=\"steps\"",
        "<svg role",
    ] {
        assert!(written.contains(words), "no `{words}` in\n{written}");
    }
    std::fs::remove_file(place.path("run/report.html")).unwrap();
    assert!(place.succeed(&["report", "run"]).contains("report.html"));
    assert_eq!(page(), written);
    place.fail(&["compare", "run", "run"], 1, &["limbeck report run"]);
}

#[test]
fn steps_that_are_killed_go_on_to_the_same_bits() {
    let place = Place::new();
    let arguments = |out: &str| steps(out, &[]).into_iter().map(str::to_owned).collect();
    kill_and_resume(&place, arguments, 4);
    let what = |run: &str| -> Value {
        let mut found = found(&place, run);
        // The folder's name is in these two.
        for name in ["run", "command"] {
            assert!(found[name].as_str().unwrap().contains(run), "{found}");
            found[name].take();
        }
        found
    };
    assert_eq!(what("undisturbed"), what("killed"));
    for file in [
        "student/model.safetensors",
        "jobs/sats-step-1-seed-0/last.safetensors",
    ] {
        let left = bytes(&place.path("undisturbed").join(file));
        assert!(
            left == bytes(&place.path("killed").join(file)),
            "{file} differs"
        );
    }
}

#[test]
fn steps_that_cannot_be_are_refused_with_what_to_do() {
    let place = Place::new();
    let fail = |change: [&str; 2], extra: &[&str], words: &[&str]| {
        let mut arguments = steps("refused", extra);
        if let Some(flag) = arguments.iter().position(|&flag| flag == change[0]) {
            arguments[flag + 1] = change[1];
        }
        place.fail(&arguments, 2, words);
    };
    fail(["--tasks", "15"], &[], &["is no split of classes", "15-1"]);
    fail(["--tasks", "4-0"], &[], &["a step without classes"]);
    fail(
        ["--tasks", "3-2"],
        &[],
        &["6 − 3 is no multiple of 2", "5-1"],
    );
    fail(
        ["", ""],
        &["--teacher", "segformer_b0"],
        &["leave the teacher out"],
    );
    fail(
        ["--student", "pspnet_resnet18_x0.1"],
        &[],
        &["`attention_weight` to 0"],
    );
    // What compares logits is known before anything is trained.
    for method in [
        "kd", "dkd", "tinyvit", "cwd", "cirkd", "skds", "mgram", "rtk", "at+cwd",
    ] {
        fail(
            ["--method", method],
            &["--dry-run"],
            &[
                "does not have the new ones",
                "methods that fit: at, dpk, fitnet, ghost, idd, nfd, ",
                "sats, tat, transkd",
            ],
        );
    }
    for (name, settings, fits) in [
        (
            "cwd",
            "method.cwd={logits_weight=0, feature_weight=50}",
            true,
        ),
        ("dpk", "method.dpk={kd_weight=1}", false),
    ] {
        let mut arguments = steps("features", &["--set", settings, "--dry-run"]);
        let method = arguments.iter().position(|word| *word == "sats").unwrap();
        arguments[method] = name;
        let finished = place.run(&arguments);
        assert_eq!(finished.code == 0, fits, "{name}: {}", finished.stderr);
    }
    fail(["--method", "crd"], &[], &["does not serve the task"]);
    fail(
        ["--method", "sats,kd"],
        &[],
        &["one method and one student"],
    );
    let images = [
        "distill",
        "shapes:120",
        "--tasks",
        "4-2",
        "--student",
        "resnet8",
    ];
    place.fail(&images, 2, &["from masks alone"]);
    let train = ["train", "scenes:40", "--model", "segformer_b0_x0.25"];
    let train = [&train[..], &["--set", "task.continual=4-2"]].concat();
    place.fail(&train, 2, &["`limbeck distill` with --tasks"]);
}
