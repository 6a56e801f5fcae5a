//! Students of few bits, from the command line to the file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, tiny};

const USAGE: i32 = 2;
const FAILED: i32 = 1;
/// Kills of the run that is resumed.
const KILLS: usize = 3;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn run(place: &Place, command: &str, extra: &[&str]) -> String {
    let arguments = tiny(command, extra);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments)
}

fn teacher(place: &Place) {
    run(place, "train", &["--model", "resnet8", "--out", "teacher"]);
}

const GHOST: [&str; 6] = [
    "--teacher",
    "teacher",
    "--student",
    "resnet8",
    "--method",
    "ghost",
];

#[test]
fn a_student_of_four_bits_has_a_small_file_that_gives_what_the_run_has_measured() {
    let place = Place::new();
    teacher(&place);
    let extra = [
        &GHOST[..],
        &["--quantise", "4", "--baseline", "--out", "run", "--json"],
    ]
    .concat();
    let report = json(&run(&place, "distill", &extra));
    let file = place.path("run/student/model.safetensors");
    let size = |file| bytes(file).len() as f64;
    let share = size(&file) / size(&place.path("teacher/student/model.safetensors"));
    // An eighth, and the distances of levels, norms and what the file tells besides.
    assert!(share > 0.125 && share < 0.2, "{share}");
    let eval = json(&place.succeed(&["eval", "shapes:120", "--model", "run", "--json"]));
    assert_eq!(
        eval["single_precision"]["top1"],
        report["student"]["top1"][0]
    );
    assert_eq!(eval["whole_numbers"]["layers"], 9);
    let few = &report["few_bits"];
    assert_eq!(few["bits"], "4 bits");
    assert_eq!(few["read_back"][0], few["read_back"][1]);
    assert_eq!(few["read_back"][1], eval["single_precision"]["top1"]);
    assert_eq!(few["in_whole_numbers"], eval["top1"]);
    let inspected = json(&place.succeed(&["inspect", "run", "--json"]));
    let told = inspected.to_string();
    assert!(told.contains(r#""bits":"4 bits""#), "{told}");
    let page = String::from_utf8(bytes(&place.path("run/report.html"))).unwrap();
    for word in [
        "4 bits",
        "Bit operations",
        "scores the same as in training",
        "in whole numbers, as it runs where it is deployed",
    ] {
        assert!(page.contains(word), "no `{word}` in the page");
    }
    place.class_folders("pictures", 2, 2);
    place.succeed(&["predict", "pictures/test/class0", "--model", "run"]);
}

#[test]
fn evaluation_says_what_runs_in_whole_numbers() {
    let place = Place::new();
    let evaluation_of = |quantiser: &str| {
        let quantiser_key = format!("student.quantiser=\"{quantiser}\"");
        let more = [
            "--quantise",
            "8",
            "--set",
            &quantiser_key,
            "--out",
            quantiser,
        ];
        run(
            &place,
            "train",
            &[&["--model", "resnet8"], &more[..]].concat(),
        );
        place.succeed(&["eval", "shapes:120", "--model", quantiser])
    };
    let told = evaluation_of("range");
    assert!(told.contains("9 layers run in whole numbers; "), "{told}");
    assert!(told.contains("in single precision"), "{told}");
    let told = evaluation_of("dorefa");
    assert!(
        told.contains("its levels run in single precision"),
        "{told}"
    );
}

#[test]
fn a_killed_run_of_few_bits_ends_with_the_bits_of_an_undisturbed_one() {
    let place = Place::new();
    teacher(&place);
    let arguments = |out: &str| {
        let more = [
            "--quantise",
            "3",
            "--baseline",
            "--set",
            "train.average=0.9",
            "--out",
            out,
        ];
        tiny("distill", &[&GHOST[..], &more[..]].concat())
    };
    kill_and_resume(&place, arguments, KILLS);
    for file in [
        "jobs/student-0/last.safetensors",
        "jobs/baseline-0/last.safetensors",
        "student/model.safetensors",
    ] {
        let [left, right] = ["undisturbed", "killed"].map(|run| bytes(&place.path(run).join(file)));
        assert!(left == right, "{file} differs");
    }
}

#[test]
fn bits_are_told_before_anything_is_trained() {
    let place = Place::new();
    teacher(&place);
    let dry = |extra: &[&str]| {
        let more = [&GHOST[..], extra, &["--dry-run", "--json"]].concat();
        json(&run(&place, "distill", &more))
    };
    let notes = dry(&["--quantise", "8"])["notes"].to_string();
    assert!(
        notes.contains("start: the weights of the teacher"),
        "{notes}"
    );
    assert!(
        notes.contains("conv1 to layer3.0.conv2 8 on 8; fc 32"),
        "{notes}"
    );
    let notes = dry(&[
        "--quantise",
        "hybrid",
        "--set",
        "student.hybrid_threshold=100",
    ]);
    assert!(notes["notes"].to_string().contains("quantise: "), "{notes}");
    let dorefa = dry(&["--quantise", "2", "--set", "student.quantiser=\"dorefa\""]);
    assert!(dorefa["notes"].to_string().contains("(dorefa)"), "{dorefa}");
}

#[test]
fn a_file_of_few_bits_teaches_starts_students_and_goes_on() {
    let place = Place::new();
    let model = ["--model", "resnet8"];
    run(
        &place,
        "train",
        &[&model[..], &["--quantise", "4", "--out", "few"]].concat(),
    );
    let file = "few/student/model.safetensors";
    let arguments = tiny(
        "train",
        &[&model[..], &["--weights", file, "--out", "full"]].concat(),
    );
    let arguments: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|it| *it != "--quiet")
        .collect();
    let told = place.run(&arguments);
    assert!(
        told.stderr.contains("its weights have 4 bits"),
        "{}",
        told.stderr
    );
    let taught = [
        "--teacher",
        "few",
        "--student",
        "resnet8",
        "--quantise",
        "8",
        "--out",
        "taught",
    ];
    run(&place, "distill", &taught);
}

#[test]
fn what_cannot_be_quantised_is_refused_with_a_reason() {
    let place = Place::new();
    let refuse = |extra: &[&str], code, words: &[&str]| {
        let arguments = tiny("train", &[&["--model", "resnet8"], extra].concat());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.fail(&arguments, code, words);
    };
    refuse(&["--quantise", "9"], USAGE, &["1 to 8", "9"]);
    refuse(&["--quantise", "few"], USAGE, &["1 to 8", "few"]);
    refuse(
        &["--quantise", "hybrid"],
        USAGE,
        &["trained weights", "--weights"],
    );
    refuse(
        &["--set", "student.quantiser=\"dorefa\""],
        USAGE,
        &["student.quantise", "how many bits"],
    );
    refuse(
        &["--quantise", "4", "--set", "student.hybrid_threshold=1"],
        USAGE,
        &["hybrid"],
    );
    let vit = [
        "--quantise",
        "4",
        "--set",
        "student.quantiser=\"dorefa\"",
        "--set",
        "student.model=\"vit_nano\"",
    ];
    refuse(&vit, FAILED, &["batch norm", "`range`"]);
}
