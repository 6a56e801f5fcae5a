//! The search for a smaller TinyViT, through the binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, text};

/// A net that a training takes a second of.
const BASE: &str =
    "tinyvit:widths=8-16-24-32,depths=1-1-2-1,windows=4-2-2,head=8,expansion=2,mlp=2";
/// It has 27 thousand parameters with ten classes.
const MOST: &str = "12000";

fn search<'a>(out: &'a str, steps: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "contract",
        "shapes:200",
        "--from",
        BASE,
        "--max-params",
        MOST,
        "--steps",
        steps,
        "--epochs",
        "1",
        "--batch",
        "40",
        "--threads",
        "1",
        "--quiet",
        "--out",
        out,
    ];
    arguments.extend(extra);
    arguments
}

fn log(place: &Place, run: &str) -> Value {
    serde_json::from_slice(&bytes(&place.path(run).join("log.json"))).unwrap()
}

#[test]
fn each_step_trains_the_neighbours_and_goes_on_with_the_best() {
    let place = Place::new();
    let table = place.succeed(&search("found", "2", &[]));
    let log = log(&place, "found");
    assert!(log["base"]["params"].as_u64().unwrap() > 12_000);
    let steps = log["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2);
    let mut last = String::new();
    for step in steps {
        let candidates = step["candidates"].as_array().unwrap();
        let score = |net: &Value| net["score"].as_f64().unwrap();
        let kept: Vec<&Value> = candidates
            .iter()
            .filter(|net| net["kept"] == true)
            .collect();
        assert_eq!(kept.len(), 1);
        for net in candidates {
            assert!(score(net) <= score(kept[0]));
            assert!(table.contains(net["model"].as_str().unwrap()));
        }
        last = kept[0]["model"].as_str().unwrap().to_owned();
    }
    let params = steps[1]["candidates"][0]["params"].as_u64().unwrap();
    assert!(params <= 12_000, "{params}");

    // What was found can be measured, looked at, and trained by its name.
    let model = place.path("found");
    place.succeed(&["eval", "shapes:200", "--model", text(&model)]);
    let shown = place.succeed(&["inspect", &last, "--input", "3x32x32", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["model"], last);
    let train = [
        "train",
        "shapes:200",
        "--model",
        &last,
        "--epochs",
        "1",
        "--quiet",
        "--out",
        "trained",
    ];
    place.succeed(&train);
    place.succeed(&["eval", "shapes:200", "--model", "trained"]);

    // A finished search stays as it is.
    let before = bytes(&model.join("log.json"));
    assert_eq!(place.succeed(&["resume", "found", "--quiet"]), table);
    assert!(before == bytes(&model.join("log.json")));
}

#[test]
fn a_search_that_is_killed_goes_on_and_finds_the_same() {
    let place = Place::new();
    let arguments = |out: &str| {
        search(out, "2", &[])
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    kill_and_resume(&place, arguments, 4);
    assert_eq!(log(&place, "undisturbed"), log(&place, "killed"));
    for file in [
        "student/model.safetensors",
        "jobs/step-1-candidate-1/last.safetensors",
    ] {
        let left = bytes(&place.path("undisturbed").join(file));
        assert!(
            left == bytes(&place.path("killed").join(file)),
            "{file} differs"
        );
    }
}

#[test]
fn searches_that_cannot_be_are_refused_with_what_to_do() {
    let place = Place::new();
    let data = ["contract", "shapes:200"];
    let fail = |extra: &[&str], words: &[&str]| {
        let arguments = [&data, extra].concat();
        place.fail(&arguments, 2, words);
    };
    fail(&["--from", BASE], &["no aim", "--max-params"]);
    fail(&["--max-params", "9"], &["--from is missing"]);
    fail(
        &["--from", "resnet8", "--max-params", "9"],
        &["no TinyViT", "tiny_vit_5m_224"],
    );
    fail(
        &["--from", BASE, "--max-params", "9", "--steps", "0"],
        &["--steps must be 1 to 100"],
    );
    fail(
        &["--from", "tinyvit:depth=3", "--max-params", "9"],
        &["found `depth`", "widths, depths"],
    );
    fail(
        &["--from", BASE, "--max-params", "9", "--seeds", "2"],
        &["leave --seeds out"],
    );
    let small = ["--set", "augment.size=[28,28]"];
    fail(
        &[&["--from", BASE, "--max-params", "9"], small.as_slice()].concat(),
        &["28×28", "bring them to 32×32"],
    );
    let nothing = ["--from", BASE, "--max-params", "9", "--out", "nothing"];
    fail(&nothing, &["no neighbour", "wider limits"]);
}

#[test]
fn the_speed_of_candidates_is_measured_where_it_counts() {
    let place = Place::new();
    let arguments = search("fast", "1", &["--min-images-per-second", "0.001"]);
    place.succeed(&arguments);
    let log = log(&place, "fast");
    for net in log["steps"][0]["candidates"].as_array().unwrap() {
        assert!(net["images_per_second"].as_f64().unwrap() > 0.0);
    }
}
