//! Masked autoencoders from the command line: what they deliver, what they tell, and how they go on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, tiny};

const USAGE: i32 = 2;

/// A short run of the smallest transformer.
fn run<'a>(method: &'a str, extra: &[&'a str]) -> Vec<String> {
    run_of("vit_nano", method, extra)
}

/// A short run on small images.
fn run_of<'a>(student: &'a str, method: &'a str, extra: &[&'a str]) -> Vec<String> {
    let size = ["--set", "augment.size=[16,16]"];
    let names = ["--method", method, "--student", student];
    tiny("distill", &[&names[..], &size, extra].concat())
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn text(place: &Place, file: &str) -> String {
    String::from_utf8(bytes(&place.path(file))).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Names of the tensors in a weights file.
fn names(place: &Place, file: &str) -> Vec<String> {
    let bytes = bytes(&place.path(file));
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = json(std::str::from_utf8(&bytes[8..8 + length]).unwrap());
    let names = header.as_object().unwrap().keys().cloned();
    names.filter(|name| name != "__metadata__").collect()
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_bits_of_an_undisturbed_run() {
    let place = Place::new();
    let arguments = |out: &str| {
        let [threads, workers] = match out {
            "undisturbed" => ["1", "0"],
            _ => ["2", "3"],
        };
        let extra = ["--teacher", "vit_micro", "--baseline", "--workers", workers];
        let mut all = run("dmae", &extra);
        let place = all.iter().position(|word| word == "--threads").unwrap();
        all[place + 1] = threads.to_owned();
        all.extend(["--out".to_owned(), out.to_owned()]);
        all
    };
    kill_and_resume(&place, arguments, 3);
    for file in [
        "jobs/teacher/last.safetensors",
        "jobs/student-0/last.safetensors",
        "jobs/baseline-0/last.safetensors",
        "student/model.safetensors",
    ] {
        let left = bytes(&place.path("undisturbed").join(file));
        assert!(
            left == bytes(&place.path("killed").join(file)),
            "{file} differs"
        );
    }
    let results = json(&text(&place, "killed/results.json"));
    assert_eq!(results["beside"], "mae");
    let measured = &results["students"][0]["test"]["measures"];
    assert_eq!(measured[0]["name"], "linear");
    assert_eq!(measured[1]["name"], "knn");
    let terms = &results["students"][0]["epochs"][1]["terms"];
    assert!(terms["reconstruction"].is_number() && terms["align.4-4"].is_number());
    let page = text(&place, "killed/report.html");
    assert!(page.contains("trained with mae alone"));
    assert!(!page.contains("labels alone"));

    // What is shown is the same, too, whatever was killed and however many threads there were.
    let shown =
        |run: &str| json(&text(&place, &format!("{run}/details.json")))["pretrained"].clone();
    let pictures = shown("undisturbed");
    assert_eq!(pictures, shown("killed"));
    let sheet = |job: &str| bytes(&place.path(&format!("killed/jobs/{job}/reconstructions.png")));
    assert!(sheet("student-0") != sheet("baseline-0"));
    let reconstructions = pictures["reconstructions"].as_array().unwrap();
    assert_eq!(reconstructions.len(), 6);
    for picture in reconstructions {
        let [student, baseline] = ["student", "baseline"].map(|who| &picture[who]);
        assert!(student["error"].as_f64().unwrap() > 0.0);
        assert_ne!(student["png"], baseline["png"]);
        assert_ne!(picture["png"], picture["masked"]);
    }
    let neighbourhoods = pictures["neighbourhoods"].as_array().unwrap();
    assert_eq!(neighbourhoods.len(), 8);
    for (who, near) in ["teacher", "student", "baseline"].map(|who| (who, &neighbourhoods[3][who]))
    {
        let near = near.as_array().unwrap();
        let cosines: Vec<f64> = near
            .iter()
            .map(|it| it["cosine"].as_f64().unwrap())
            .collect();
        assert_eq!(cosines.len(), 5, "{who}");
        assert!(
            cosines.windows(2).all(|pair| pair[0] >= pair[1]),
            "{cosines:?}"
        );
        assert!(near.iter().all(|it| it["label"].is_u64()));
        let points = pictures["map"][who]["points"].as_array().unwrap();
        assert_eq!(
            points.len(),
            pictures["map"]["labels"].as_array().unwrap().len()
        );
    }
    for section in ["reconstructions", "neighbours", "map"] {
        assert!(page.contains(&format!("id=\"{section}\"")), "{section}");
    }
}

#[test]
fn what_is_delivered_is_a_plain_transformer_that_training_and_distilling_start_from() {
    let place = Place::new();
    place.succeed(&words(&run("mae", &["--out", "mae"])));
    let names = names(&place, "mae/student/model.safetensors");
    assert!(names.contains(&"blocks.5.mlp.fc2.weight".to_owned()));
    let foreign = |name: &String| name.starts_with("decoder") || name.starts_with("head");
    assert!(!names.iter().any(foreign), "{names:?}");
    assert!(!names.contains(&"mask_token".to_owned()));
    // The one run is without a baseline, and says nothing of one that is missing.
    let page = text(&place, "mae/report.html");
    assert!(!page.contains("--baseline to find out"));

    let size = ["--set", "augment.size=[16,16]"];
    let train = ["--model", "vit_nano", "--backbone", "mae", "--out", "tuned"];
    place.succeed(&words(&tiny("train", &[&train[..], &size].concat())));
    let teacher = ["--teacher", "mae", "--out", "dmae"];
    place.succeed(&words(&run("dmae", &teacher)));
}

#[test]
fn pictures_without_labels_are_enough() {
    let place = Place::new();
    place.class_folders("labelled", 3, 16);
    for class in 0..3 {
        for image in 0..16 {
            let picture = format!("labelled/train/class{class}/{image}.ppm");
            let bytes = bytes(&place.path(&picture));
            place.write(&format!("pictures/{class}-{image}.ppm"), bytes);
        }
    }
    let mut arguments = run("mae", &["--out", "run"]);
    arguments[1] = "pictures".to_owned();
    place.succeed(&words(&arguments));
    let results = json(&text(&place, "run/results.json"));
    assert_eq!(
        results["students"][0]["test"]["measures"][0]["name"],
        "spread"
    );
    let shown = json(&text(&place, "run/details.json"))["pretrained"].clone();
    assert!(shown["neighbourhoods"][0]["label"].is_null());
    assert_eq!(
        shown["neighbourhoods"][0]["student"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    assert_eq!(shown["map"]["labels"].as_array().unwrap().len(), 0);
    assert!(shown["reconstructions"][0]["baseline"].is_null());
    assert!(results["warnings"].is_null());
    let page = text(&place, "run/report.html");
    assert!(page.contains("id=\"neighbours\"") && !page.contains('✗'));
}

#[test]
fn a_collapse_is_told_once_in_the_log_the_page_and_the_results_with_what_to_do() {
    let place = Place::new();
    let mut picture = b"P6\n16 16\n255\n".to_vec();
    picture.extend((0..16 * 16 * 3).map(|at| (at * 7 % 256) as u8));
    for image in 0..48 {
        // All alike, so that any network gives them one embedding.
        place.write(&format!("alike/{image}.ppm"), &picture);
    }
    let mut arguments = run("moco", &["--json", "--out", "run"]);
    arguments[1] = "alike".to_owned();
    arguments.retain(|word| word != "--quiet");
    let finished = place.run(&words(&arguments));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let told = "student-0: the embeddings of different images have become one";
    assert_eq!(
        finished.stderr.matches(told).count(),
        1,
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("optimizer.learning_rate"));
    let json = json(&finished.stdout);
    assert!(json["warnings"][0].as_str().unwrap().starts_with(told));
    assert_eq!(text(&place, "run/results.json").matches(told).count(), 1);
    assert_eq!(text(&place, "run/report.html").matches(told).count(), 1);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_trained() {
    let place = Place::new();
    let refuse = |arguments: Vec<String>, expected: &[&str]| {
        let out = ["--out", "run"].map(str::to_owned);
        let arguments = [arguments, out.to_vec()].concat();
        place.fail(&words(&arguments), USAGE, expected);
        assert!(!place.path("run/jobs").exists());
    };
    let mae = |setting| run("mae", &["--set", setting]);
    refuse(
        mae("method.mae.mask_ratio=0.99"),
        &["mask_ratio", "16 patches"],
    );
    refuse(mae("augment.size=[16,24]"), &["4 by 6 patches"]);
    refuse(mae("augment.size=[18,18]"), &["vit_nano", "4"]);
    refuse(mae("method.mae.decoder_heads=5"), &["decoder_width"]);
    let other = run_of("resnet8", "mae", &[]);
    refuse(other, &["`resnet8`", "vision transformer"]);
    refuse(run("dmae", &[]), &["`dmae` needs a teacher"]);
    let dmae = |setting| run("dmae", &["--teacher", "vit_micro", "--set", setting]);
    refuse(
        dmae("method.dmae.blocks=[[9,1]]"),
        &["blocks 0 to 5 of the student"],
    );
    refuse(
        dmae("method.dmae.head=none"),
        &["64", "128", "method.dmae.head"],
    );
    refuse(
        run("dmae", &["--teacher", "resnet8"]),
        &["cannot use the teacher"],
    );
}
