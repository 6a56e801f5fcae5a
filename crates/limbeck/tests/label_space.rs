//! Teachers that know other classes than the data's, or have another task: what is learnt from them,
//! what is said of them, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume};

/// A place with a classifier of the ten generated shapes in the folder `teacher`, and class folders of
/// three other classes in `own`.
fn place() -> Place {
    let place = Place::new();
    train(&place, "shapes:60", "teacher");
    place.class_folders("own", 3, 16);
    place
}

fn train(place: &Place, data: &str, out: &str) {
    let arguments = [
        "train",
        data,
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--batch",
        "12",
        "--threads",
        "1",
        "--quiet",
        "--out",
        out,
    ];
    place.succeed(&arguments);
}

/// A run of `method` on the class folders.
fn classify<'a>(method: &'a str, teacher: &'a str, out: &'a str) -> Vec<&'a str> {
    let own = [
        "--student",
        "resnet8",
        "--method",
        method,
        "--epochs",
        "2",
        "--batch",
        "8",
    ];
    let places = [
        "distill",
        "own",
        "--teacher",
        teacher,
        "--out",
        out,
        "--threads",
        "1",
    ];
    [&places[..], &own].concat()
}

/// A run on the generated scenes; threads and workers differ by `out`.
fn segment<'a>(teacher: &'a str, out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let [threads, workers] = match out {
        "undisturbed" => ["1", "0"],
        _ => ["2", "3"],
    };
    let own = [
        "distill",
        "scenes:24",
        "--teacher",
        teacher,
        "--out",
        out,
        "--quiet",
        "--student",
        "pspnet_resnet18_x0.04",
        "--batch",
        "4",
        "--threads",
        threads,
        "--workers",
        workers,
        "--set",
        "augment.size=[32, 32]",
        "--epochs",
        "2",
    ];
    [&own[..], extra].concat()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn file(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&bytes(&place.path(name))).unwrap()
}

fn student(place: &Place, run: &str) -> Vec<u8> {
    bytes(&place.path(run).join("jobs/student-0/last.safetensors"))
}

#[test]
fn a_student_learns_own_classes_from_a_teacher_of_others_which_is_not_measured() {
    let place = place();
    let extra = ["--baseline", "--seeds", "2", "--json"];
    let finished = place.run(&[&classify("prockd", "teacher", "run")[..], &extra].concat());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let said = &finished.stderr;
    assert!(
        said.contains("knows other classes than the data's (10 of images:"),
        "{said}"
    );
    assert!(
        said.contains("neither measured nor agreed with\n"),
        "{said}"
    );
    // Its features are stored once for both students.
    assert!(said.contains("runs once for 2 students"), "{said}");
    assert!(
        said.contains("knows 10 other classes, not measured"),
        "{said}"
    );
    let run = json(&finished.stdout);
    assert_eq!(
        run["teacher"]["other_classes"].as_array().unwrap().len(),
        10
    );
    assert!(run["teacher"]["top1"].is_null(), "{run}");
    assert!(run["agreement"].is_null(), "{run}");
    assert_eq!(run["student"]["top1"].as_array().unwrap().len(), 2);
    let results = file(&place, "run/results.json");
    assert!(results["teacher"]["test"].is_null());
    assert_eq!(results["data"]["classes"].as_array().unwrap().len(), 3);
    let page = String::from_utf8(bytes(&place.path("run/report.html"))).unwrap();
    assert!(page.contains("Its teacher knows other classes (10: "));
    assert!(!page.contains("Where student and teacher disagree"));
    place.succeed(&["report", "run"]);
    place.succeed(&["eval", "own", "--model", "run", "--quiet"]);
}

#[test]
fn a_method_that_reads_predictions_refuses_such_a_teacher() {
    let place = place();
    let words = ["10 classes", "the data has 3", "prockd"];
    place.fail(&classify("kd", "teacher", "run"), 2, &words);
    place.fail(
        &segment("teacher", "masks", &["--method", "kd"]),
        2,
        &["10 classes"],
    );
    // A network without weights is trained on the same data first, which a classifier cannot be.
    let zoo = segment("resnet8", "zoo", &["--method", "prockd"]);
    place.fail(&zoo, 2, &["`resnet8` is for classification"]);
}

#[test]
fn names_that_both_have_are_told_and_not_used() {
    let place = Place::new();
    place.class_folders("first", 3, 12);
    train(&place, "first", "teacher");
    place.class_folders("own", 3, 16);
    for part in ["train", "test"] {
        let [from, to] = ["class2", "other"].map(|name| place.path(&format!("own/{part}/{name}")));
        std::fs::rename(from, to).unwrap();
    }
    let finished = place.run(&classify("prockd", "teacher", "run"));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let wanted = "2 of their names (class0, class1) are the data's too, which is not used";
    assert!(finished.stderr.contains(wanted), "{}", finished.stderr);
    assert!(file(&place, "run/results.json")["teacher"]["test"].is_null());
    // The same classes: the teacher is measured as any other.
    place.succeed(&[
        "distill",
        "first",
        "--teacher",
        "teacher",
        "--student",
        "resnet8",
        "--method",
        "prockd",
        "--epochs",
        "1",
        "--batch",
        "8",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "same",
    ]);
    assert!(file(&place, "same/results.json")["teacher"]["test"].is_object());
}

#[test]
fn stored_features_of_such_a_teacher_give_its_bits() {
    let place = place();
    let cache = |out: &'static str, taps: &[&'static str]| {
        let own = [
            "cache",
            "build",
            "own",
            "--teacher",
            "teacher",
            "--views",
            "2",
            "--out",
            out,
        ];
        [&own[..], &["--threads", "1"], taps].concat()
    };
    // Its predictions are of no use, so features have to be named.
    place.fail(&cache("useless", &[]), 2, &["10 classes", "the data has 3"]);
    let taps = ["--taps", "stage1,stage2,stage3", "--dtype", "f32"];
    let built = place.run(&cache("cache", &taps));
    assert_eq!(built.code, 0, "{}", built.stderr);
    assert!(
        built.stderr.contains("will refuse the cache"),
        "{}",
        built.stderr
    );
    let views = ["--set", "data.views=2", "--quiet"];
    place.succeed(&[&classify("prockd", "teacher", "live")[..], &views].concat());
    std::fs::rename(place.path("teacher"), place.path("away")).unwrap();
    place.succeed(&[&classify("prockd", "cache:cache", "stored")[..], &views].concat());
    assert!(student(&place, "live") == student(&place, "stored"));
    let prototypes = |run: &str| file(&place, &format!("{run}/details.json"))["prototypes"].clone();
    let shown = prototypes("live");
    assert_eq!(shown, prototypes("stored"));
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), 16);
    let shares: Vec<f64> = shown
        .iter()
        .map(|it| it["share"].as_f64().unwrap())
        .collect();
    assert!(shares.windows(2).all(|pair| pair[0] >= pair[1]) && shares[0] > 100.0 / 72.0);
    assert!(
        shown
            .iter()
            .all(|it| it["parts"].as_array().unwrap().len() == 6)
    );
    let page = std::fs::read_to_string(place.path("live/report.html")).unwrap();
    assert!(page.contains("id=\"prototypes\"") && !page.contains("id=\"map\""));
    let results = file(&place, "stored/results.json");
    assert_eq!(
        results["teacher"]["other_classes"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let refused = ["10 classes", "the data has 3"];
    place.fail(&classify("kd", "cache:cache", "kd"), 2, &refused);
    std::fs::rename(place.path("away"), place.path("teacher")).unwrap();
    place.succeed(&[
        "cache",
        "verify",
        "cache",
        "--teacher",
        "teacher",
        "--data",
        "own",
        "--quiet",
    ]);
}

#[test]
fn a_student_that_segments_learns_from_a_classifier_and_resumes_to_the_same_bits() {
    let place = place();
    let method = ["--method", "prockd", "--set", "method.prockd.prototypes=5"];
    let arguments = |out: &str| {
        let all = segment("teacher", out, &method);
        all.into_iter().map(str::to_owned).collect()
    };
    kill_and_resume(&place, arguments, 2);
    for name in [
        "jobs/student-0/last.safetensors",
        "student/model.safetensors",
    ] {
        let [left, right] = ["undisturbed", "killed"].map(|run| bytes(&place.path(run).join(name)));
        assert!(left == right, "{name} differs");
    }
    let results = file(&place, "undisturbed/results.json");
    assert!(results["teacher"]["test"].is_null());
    assert_eq!(
        results["teacher"]["other_classes"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let measured = &results["students"][0]["test"]["measures"][0];
    assert_eq!(measured["name"], "miou", "{measured}");
    // What it says of the pictures is stored as that of any teacher.
    let cache = [
        "cache",
        "build",
        "scenes:24",
        "--teacher",
        "teacher",
        "--views",
        "2",
        "--out",
        "cache",
        "--taps",
        "stage1,stage2,stage3",
        "--dtype",
        "f32",
        "--set",
        "augment.size=[32, 32]",
        "--set",
        "student.model=pspnet_resnet18_x0.04",
        "--threads",
        "1",
        "--quiet",
    ];
    place.succeed(&cache);
    let views = [&method[..], &["--set", "data.views=2"]].concat();
    place.succeed(&segment("teacher", "live", &views));
    place.succeed(&segment("cache:cache", "stored", &views));
    assert!(student(&place, "live") == student(&place, "stored"));
}
