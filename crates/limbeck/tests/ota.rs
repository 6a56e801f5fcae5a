//! One to Transfer All from the command line: the owner's side, the user's, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, tiny};

const USAGE: i32 = 2;
const SIZE: [&str; 2] = ["--set", "augment.size=[16,16]"];

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// A network of other classes and an autoencoder of other images, as `upstream` and `vqae`.
fn owner(place: &Place) {
    place.class_folders("others", 3, 12);
    let mut train = tiny("train", &["--model", "resnet8", "--out", "upstream"]);
    train[1] = "others".to_owned();
    let mut vqae = tiny("distill", &["--method", "vqae", "--out", "vqae"]);
    vqae[1] = "others".to_owned();
    let student = ["--student", "vq_autoencoder_f4_d8_k16"].map(str::to_owned);
    vqae.extend(student);
    for arguments in [&mut train, &mut vqae] {
        arguments.extend(SIZE.map(str::to_owned));
        place.succeed(&words(arguments));
    }
}

/// The user's side, with `extra`.
fn user(extra: &[&str]) -> Vec<String> {
    let own = [
        "--method",
        "ota",
        "--student",
        "resnet8",
        "--teacher",
        "upstream",
        "--set",
        "method.ota.steps=4",
        "--set",
        "method.ota.per_image=2",
    ];
    tiny("distill", &[&own[..], &SIZE, extra].concat())
}

const REPRESENT: [&str; 2] = ["--set", "method.ota.represent=vqae"];

#[test]
fn a_student_learns_from_a_network_of_other_classes_and_from_images_that_are_made() {
    let place = Place::new();
    owner(&place);
    let upstream = bytes(&place.path("upstream/student/model.safetensors"));
    let extra = ["--shots", "8", "--baseline", "--seeds", "2", "--out", "run"];
    place.succeed(&words(&user(&[&extra[..], &REPRESENT].concat())));
    assert!(bytes(&place.path("upstream/student/model.safetensors")) == upstream);

    let text = |file: &str| String::from_utf8(bytes(&place.path(file))).unwrap();
    let results: Value = serde_json::from_str(&text("run/results.json")).unwrap();
    let student = &results["students"][0];
    let stages: Vec<&str> = student["epochs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["stage"].as_str().unwrap())
        .collect();
    let expected = ["re-represented", "real", "generate", "distil"];
    assert_eq!(stages, expected.map(|stage| [stage; 2]).concat());
    let made = &student["epochs"][4]["terms"];
    assert!(made["ce"].is_number() && made["of_class"].is_number());
    assert_eq!(results["baselines"].as_array().unwrap().len(), 2);
    assert!(results["teacher"]["test"].is_null());
    let shown = results["generated"].as_array().unwrap();
    assert_eq!(shown.len(), 24);
    let page = text("run/report.html");
    assert!(page.contains("Images that the student has learnt from besides"));
    // Each with the one that guided it.
    assert!(page.matches("Training image of class").count() == 24);
    // Nothing of the teacher is stored, though two students learn from it.
    assert!(!place.path("run/teacher-outputs").exists());
    assert!(
        place
            .path("run/jobs/student-0/stage-real.safetensors")
            .exists()
    );
    assert!(
        !place
            .path("run/jobs/student-0/stage-generate.safetensors")
            .exists()
    );
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_bits_of_an_undisturbed_run() {
    let place = Place::new();
    owner(&place);
    let arguments = |out: &str| {
        let [threads, workers] = match out {
            "undisturbed" => ["1", "0"],
            _ => ["2", "3"],
        };
        let mut all = user(&[&["--workers", workers, "--out", out][..], &REPRESENT].concat());
        let place = all.iter().position(|word| word == "--threads").unwrap();
        all[place + 1] = threads.to_owned();
        all
    };
    kill_and_resume(&place, arguments, 4);
    for file in [
        "jobs/student-0/stage-re-represented.safetensors",
        "jobs/student-0/stage-real.safetensors",
        "jobs/student-0/last.safetensors",
        "student/model.safetensors",
    ] {
        let left = bytes(&place.path("undisturbed").join(file));
        let right = bytes(&place.path("killed").join(file));
        assert!(left == right, "{file} differs");
    }
    let details = |run: &str| bytes(&place.path(run).join("details.json"));
    let made = |run: &str| -> Value {
        let all: Value = serde_json::from_slice(&details(run)).unwrap();
        all["generated"].clone()
    };
    assert!(made("undisturbed") == made("killed") && made("killed").is_array());
}

#[test]
fn without_a_re_representer_fine_tuning_is_plain_which_is_told() {
    let place = Place::new();
    owner(&place);
    let mut arguments = user(&["--out", "run"]);
    arguments.retain(|word| word != "--quiet");
    let finished = place.run(&words(&arguments));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let told = finished.stdout + &finished.stderr;
    assert!(told.contains("no re-representer"), "{told}");
    assert!(told.contains("normalised otherwise"), "{told}");
    assert!(told.contains("knows other classes"), "{told}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_trained() {
    let place = Place::new();
    owner(&place);
    let refuse = |extra: &[&str], expected: &[&str]| {
        let arguments = user(&[extra, &["--out", "run"]].concat());
        place.fail(&words(&arguments), USAGE, expected);
        assert!(!place.path("run/jobs").exists());
    };
    let set = |value| ["--set", value];
    refuse(
        &set("method.ota.represent=nowhere"),
        &["`nowhere`", "run folder"],
    );
    refuse(
        &set("method.ota.represent=upstream"),
        &["`resnet8`", "vq_autoencoder"],
    );
    refuse(
        &[&REPRESENT[..], &["--set", "augment.size=[32,32]"]].concat(),
        &["16×16", "32×32"],
    );
    refuse(&set("method.ota.mix=0.5"), &["`mix`", "no re-representer"]);
    refuse(&set("method.ota.bn_weight=-1"), &["`bn_weight`"]);
    refuse(&set("method.ota.alpha=2"), &["`alpha`"]);
    let vqae = |student: &str, size: &str| {
        let names = ["--method", "vqae", "--student", student, "--set", size];
        tiny("distill", &[&names[..], &["--out", "run"]].concat())
    };
    let fails = |arguments: Vec<String>, expected: &[&str]| {
        place.fail(&words(&arguments), USAGE, expected);
    };
    let size = "augment.size=[16,16]";
    fails(
        vqae("vq_autoencoder", "augment.size=[18,18]"),
        &["multiples of 4"],
    );
    fails(
        vqae("vq_autoencoder_f4_d8_k1", size),
        &["codes", "at least 2"],
    );
    fails(vqae("resnet8", size), &["`resnet8`", "codebook"]);
    let kd = ["--method", "kd", "--teacher", "upstream", "--student"];
    let kd = tiny(
        "distill",
        &[&kd[..], &["vq_autoencoder", "--out", "run"]].concat(),
    );
    fails(kd, &["vq_autoencoder"]);
}
