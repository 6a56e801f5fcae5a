//! Every command, through the binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use serde_json::Value;
use support::{Place, text, tiny};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn distilled(place: &Place, extra: &[&str]) -> Value {
    let mut arguments = tiny("distill", &["--student", "resnet8", "--json"]);
    arguments.extend(extra.iter().map(|&argument| argument.to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    json(&place.succeed(&arguments))
}

#[test]
fn a_teacher_is_trained_and_distilled_and_everything_is_written() {
    let place = Place::new();
    let train = tiny(
        "train",
        &["--model", "resnet14", "--out", "teacher", "--json"],
    );
    let train: Vec<&str> = train.iter().map(String::as_str).collect();
    let teacher = json(&place.succeed(&train));
    assert_eq!(teacher["student"]["model"], "resnet14");

    let run = distilled(
        &place,
        &[
            "--teacher",
            "teacher",
            "--method",
            "kd",
            "--baseline",
            "--seeds",
            "3",
            "--out",
            "kd",
        ],
    );
    assert_eq!(run["method"], "kd");
    assert_eq!(run["student"]["top1"].as_array().unwrap().len(), 3);
    assert_eq!(run["baseline"]["top1"].as_array().unwrap().len(), 3);
    assert!(run["teacher"]["top1"].is_f64());
    assert!(run["gain"]["mean"].is_f64());
    let [low, high] = [0, 1].map(|i| run["gain"]["ci95"][i].as_f64().unwrap());
    let mean = run["gain"]["mean"].as_f64().unwrap();
    assert!(low <= mean && mean <= high);
    assert!(run["agreement"].is_f64() && run["seconds"].is_f64());
    assert_eq!(run["params"], 78_042);
    assert!(run["macs"].as_u64().unwrap() > 12_000_000);
    for file in [
        "recipe.toml",
        "environment.json",
        "results.json",
        "details.json",
        "report.html",
        "student/model.safetensors",
    ] {
        assert!(place.path("kd").join(file).is_file(), "{file}");
    }

    let page = std::fs::read_to_string(place.path("kd/report.html")).unwrap();
    assert!(page.contains("resnet8") && page.contains("resnet14"));
    std::fs::remove_file(place.path("kd/report.html")).unwrap();
    place.succeed(&["report", "kd"]);
    assert_eq!(
        page,
        std::fs::read_to_string(place.path("kd/report.html")).unwrap()
    );

    let measured = json(&place.succeed(&["eval", "shapes:120", "--model", "kd", "--json"]));
    let best = measured["top1"].as_f64().unwrap();
    assert!(
        run["student"]["top1"]
            .as_array()
            .unwrap()
            .iter()
            .any(|top1| (top1.as_f64().unwrap() - best).abs() < 1e-9),
        "the deployed student is one of the tested ones"
    );

    // A run of before results had a version is shown like one of today, one of later is not.
    let old = place.path("old");
    std::fs::create_dir(&old).unwrap();
    let results = include_str!("../../limbeck-report/tests/report/old/classes.json");
    std::fs::write(old.join("results.json"), results).unwrap();
    assert!(
        place
            .succeed(&["compare", "old", "kd"])
            .contains("kd-resnet8x4")
    );
    place.succeed(&["report", "old"]);
    let page = std::fs::read_to_string(old.join("report.html")).unwrap();
    assert!(page.contains("id=\"confusion\"") && page.contains("top-1 accuracy"));
    std::fs::write(old.join("results.json"), "{\"version\": 9}").unwrap();
    place.fail(&["report", "old"], 1, &["format 9", "use the Limbeck"]);

    let table = place.succeed(&["compare", "teacher", "kd", "--out", "compare.html"]);
    assert!(table.contains("kd"));
    assert!(place.path("compare.html").is_file());
    place.fail(
        &["compare", "teacher", "kd", "--out", "compare.html"],
        1,
        &["exists"],
    );

    let again = place.path("kd/recipe.toml");
    place.succeed(&[
        "distill",
        "--recipe",
        text(&again),
        "--out",
        "again",
        "--quiet",
    ]);
    assert_eq!(
        support::bytes(&place.path("kd/student/model.safetensors")),
        support::bytes(&place.path("again/student/model.safetensors")),
        "the resolved recipe runs again to the same bits"
    );
}

#[test]
fn every_method_runs_from_the_command_line() {
    let place = Place::new();
    for method in [
        "fitnet", "at", "rkd", "dkd", "reviewkd", "tat", "drg", "dsr", "drg+dsr", "kd+tat",
    ] {
        let run = distilled(
            &place,
            &[
                "--teacher",
                "resnet8",
                "--method",
                method,
                "--set",
                "train.epochs=1",
            ],
        );
        assert_eq!(run["method"], method);
    }
    let run = distilled(&place, &["--method", "drg+dsr", "--set", "train.epochs=1"]);
    assert!(run["teacher"].is_null());
}

#[test]
fn a_vit_teaches_a_convolutional_student() {
    let place = Place::new();
    for method in ["kd", "tat"] {
        let run = distilled(
            &place,
            &[
                "--teacher",
                "vit_nano_patch4",
                "--method",
                method,
                "--set",
                "train.epochs=1",
            ],
        );
        assert_eq!(run["teacher"]["model"], "vit_nano_patch4");
    }
}

#[test]
fn images_are_labelled() {
    let place = Place::new();
    place.class_folders("pictures", 3, 12);
    place.succeed(&[
        "train",
        "pictures",
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "model",
    ]);
    let csv = place.succeed(&[
        "predict",
        "pictures/test/class0",
        "pictures/test/class1/3.ppm",
        "--model",
        "model",
    ]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "image,rank,label,probability");
    assert_eq!(lines.len(), 1 + 12 + 1);
    let all = json(&place.succeed(&[
        "predict",
        "pictures/test/class1",
        "--model",
        "model",
        "--top",
        "3",
        "--format",
        "json",
    ]));
    let first = &all[0]["labels"];
    assert_eq!(first.as_array().unwrap().len(), 3);
    let sum: f64 = first
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-4);
    place.fail(
        &["predict", "nowhere.png", "--model", "model"],
        1,
        &["nowhere.png"],
    );
}

#[test]
fn a_network_is_inspected_alone_and_in_a_pair() {
    let place = Place::new();
    let one = json(&place.succeed(&["inspect", "resnet8x4", "--json"]));
    assert_eq!(one["params"], 1_233_540);
    let two = json(&place.succeed(&["inspect", "resnet32x4", "resnet8x4", "--json"]));
    assert_eq!(two["pairs"].as_array().unwrap().len(), 3);
    assert!(
        place
            .succeed(&["inspect", "resnet32x4", "resnet8x4"])
            .contains("proposed layer pairs")
    );
    assert!(
        place
            .succeed(&[
                "inspect",
                "resnet20",
                "--input",
                "1x28x28",
                "--classes",
                "10"
            ])
            .contains("1×28×28")
    );
}

#[test]
fn a_trained_teachers_blocks_are_grouped_over_images() {
    let place = Place::new();
    let arguments = tiny("train", &["--model", "resnet14", "--out", "teacher"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    let inspect = ["inspect", "teacher", "resnet8", "--data", "shapes:120"];
    let found = json(&place.succeed(&[&inspect[..], &["--json"]].concat()));
    assert_eq!(found["hints"]["groups"].as_array().unwrap().len(), 6);
    let pairs = found["pairs"].as_array().unwrap();
    assert!((1..=3).contains(&pairs.len()), "{pairs:?}");
    assert!(
        pairs
            .iter()
            .all(|pair| pair[1].as_str().unwrap().starts_with("block"))
    );
    let told = place.succeed(&[&inspect[..], &["--hints", "2"]].concat());
    assert!(
        told.contains("groups of the teacher's blocks") && told.contains("* block"),
        "{told}"
    );
    place.fail(
        &[&inspect[..], &["--hints", "7"]].concat(),
        2,
        &["`hints` must be 1 to the 6 blocks"],
    );
    let untrained = ["inspect", "resnet14", "resnet8", "--data", "shapes:120"];
    place.fail(&untrained, 2, &["untrained", "run folder"]);
}

#[test]
fn methods_and_models_are_listed_and_explained() {
    let place = Place::new();
    let methods = place.succeed(&["methods"]);
    for id in [
        "kd", "fitnet", "at", "rkd", "dkd", "reviewkd", "tat", "drg", "dsr",
    ] {
        assert!(methods.contains(id));
    }
    assert!(methods.contains("step ×1.0, memory ×1.0") && methods.contains("batch 64"));
    let page = place.succeed(&["methods", "tat"]);
    assert!(page.contains("Target-aware") && page.contains("Measured: step ×"));
    assert!(page.contains("in repeated measurements"));
    let json = place.succeed(&["methods", "kd", "--json"]);
    let kd: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(kd["cost"]["step"].as_f64().unwrap() > 0.0);
    assert!(place.succeed(&["models"]).contains("resnet8x4"));
    assert!(place.succeed(&["models", "resnet20"]).contains("278,324"));
    assert!(place.succeed(&["completions", "bash"]).contains("limbeck"));
    assert!(place.succeed(&["--help"]).contains("distill"));
}

#[test]
fn a_dry_run_checks_and_writes_nothing() {
    let place = Place::new();
    let arguments = tiny(
        "distill",
        &[
            "--teacher",
            "resnet20",
            "--student",
            "resnet8",
            "--method",
            "fitnet",
            "--dry-run",
        ],
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let recipe = place.succeed(&arguments);
    place.write("again.toml", recipe);
    place.succeed(&["distill", "--recipe", "again.toml", "--dry-run"]);
    assert!(!place.path("runs").exists());
}

#[test]
fn a_method_that_is_not_named_is_one_that_studies_speak_for() {
    let place = Place::new();
    let common = ["shapes:120", "--teacher", "resnet8", "--student", "resnet8"];
    let said = |more: &[&str]| {
        let finished = place.run(&[&["distill"], &common[..], more, &["--dry-run"]].concat());
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        (finished.stderr, finished.stdout)
    };
    place.write("auto.toml", "[method]\nname = \"auto\"\n");
    for asked in [
        &[][..],
        &["--method", "auto"],
        &["--set", "method.name=auto"],
        &["--recipe", "auto.toml"],
    ] {
        let (stderr, recipe) = said(asked);
        assert!(
            stderr.contains("seeds in the study ") && stderr.contains("--method NAME"),
            "{stderr}"
        );
        assert!(!recipe.contains("name = \"auto\""), "{recipe}");
    }
    for named in [
        &["--method", "kd"][..],
        &["--set", "method.kd.temperature=2"],
    ] {
        let (stderr, recipe) = said(named);
        assert!(!stderr.contains("in the study"), "{stderr}");
        assert!(recipe.contains("name = \"kd\""), "{recipe}");
    }
}
