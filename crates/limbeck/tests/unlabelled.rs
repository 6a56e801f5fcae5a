//! Pictures without labels: what is learnt from a teacher alone, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use serde_json::Value;
use support::{Place, bytes};

/// A place with a trained teacher in the folder `teacher`, and `pictures` without labels.
fn place() -> Place {
    let place = Place::new();
    place.class_folders("labelled", 3, 16);
    let train = [
        "train",
        "labelled",
        "--model",
        "resnet14",
        "--epochs",
        "2",
        "--batch",
        "8",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "teacher",
    ];
    place.succeed(&train);
    for class in 0..3 {
        for image in 0..16 {
            let picture = format!("labelled/train/class{class}/{image}.ppm");
            let bytes = bytes(&place.path(&picture));
            place.write(&format!("pictures/{class}-{image}.ppm"), bytes);
        }
    }
    place
}

fn distill<'a>(method: &'a str, out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "distill",
        "pictures",
        "--student",
        "resnet8",
        "--method",
        method,
        "--epochs",
        "2",
        "--batch",
        "8",
        "--threads",
        "1",
        "--quiet",
        "--json",
        "--out",
        out,
    ];
    if !extra.contains(&"--teacher") {
        arguments.extend(["--teacher", "teacher"]);
    }
    arguments.extend(extra);
    arguments
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_student_learns_from_a_teacher_alone_and_is_measured_by_agreement() {
    let place = place();
    let run = json(&place.succeed(&distill("kd", "run", &[])));
    let agreement = run["agreement"].as_f64().unwrap();
    assert!((0.0..=100.0).contains(&agreement), "{agreement}");
    let results = json(&String::from_utf8(bytes(&place.path("run/results.json"))).unwrap());
    let test = &results["students"][0]["test"]["measures"];
    assert_eq!(test[0]["name"], "agreement", "{test}");
    assert_eq!(results["data"]["classes"][0], "class0");
    let page = String::from_utf8(bytes(&place.path("run/report.html"))).unwrap();
    assert!(page.contains("agreement with the teacher"), "{page}");
    // The student knows the teacher's classes by name.
    let eval = json(&place.succeed(&["eval", "labelled", "--model", "run", "--json"]));
    assert!(eval["top1"].as_f64().is_some(), "{eval}");
    // A finished run is told again.
    place.succeed(&["resume", "run", "--quiet"]);
}

#[test]
fn stored_outputs_teach_the_same_bits() {
    let place = place();
    place.succeed(&[
        "cache",
        "build",
        "pictures",
        "--teacher",
        "teacher",
        "--views",
        "2",
        "--dtype",
        "f32",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "cache",
    ]);
    place.succeed(&distill("kd", "stored", &["--teacher", "cache:cache"]));
    place.succeed(&distill("kd", "asked", &["--set", "data.views=2"]));
    let [stored, asked] = ["stored", "asked"]
        .map(|run| bytes(&place.path(&format!("{run}/student/model.safetensors"))));
    assert!(stored == asked);
}

#[test]
fn what_needs_labels_is_refused_with_what_does_not() {
    let place = place();
    let train = [
        "train", "pictures", "--model", "resnet8", "--out", "refused",
    ];
    place.fail(&train, 2, &["`none` needs labels", "kd"]);
    let refused = |method, extra: &[&str], words: &[&str]| {
        place.fail(&distill(method, "refused", extra), 2, words);
        assert!(!place.path("refused").exists());
    };
    refused(
        "dkd",
        &[],
        &["`dkd` needs labels", "methods that need none", "kd"],
    );
    refused("kd", &["--baseline"], &["--baseline", "labels alone"]);
    refused(
        "kd",
        &["--teacher", "resnet14"],
        &["resnet14", "no labels", "trained teacher"],
    );
    refused(
        "kd",
        &["--set", "train.choose_by=recall"],
        &["recall", "no labels"],
    );
}

#[test]
fn several_methods_learn_from_pictures_alone_side_by_side() {
    let place = place();
    let arguments = distill("kd,at,fitnet", "series", &["--set", "train.epochs=1"]);
    let runs = json(&place.succeed(&arguments));
    for run in runs.as_array().unwrap() {
        assert!(run["agreement"].as_f64().is_some(), "{run}");
    }
    assert!(place.path("series/comparison.html").is_file());
}
