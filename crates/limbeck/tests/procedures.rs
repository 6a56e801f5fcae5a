//! Methods with stages, networks or steps of their own, from their recipes: a few steps, killed and
//! resumed to the same bits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use std::path::Path;

use support::{Place, bytes, kill_and_resume, text, tiny};

/// Kills of each run.
const KILLS: usize = 3;

/// A run of the method's recipe on a few small pictures, with `resnet8` as the student.
fn recipe(method: &str, extra: &[&str], out: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../recipes/{method}.toml"));
    let file = file.canonicalize().unwrap();
    let mut all = vec![
        "--recipe",
        text(&file),
        "--student",
        "resnet8",
        "--out",
        out,
    ];
    all.extend(extra);
    tiny("distill", &all)
}

/// Runs, kills, resumes and compares every weights file of the student's job.
fn assert_resumes(method: &str, extra: &[&str], files: &[&str]) {
    let place = Place::new();
    kill_and_resume(&place, |out| recipe(method, extra, out), KILLS);
    let files = files
        .iter()
        .map(|file| format!("jobs/student-0/{file}"))
        .chain(["student/model.safetensors".to_owned()]);
    for file in files {
        let left = bytes(&place.path("undisturbed").join(&file));
        let right = bytes(&place.path("killed").join(&file));
        assert!(left == right, "{method}: {file} differs");
    }
}

#[test]
fn dml_resumes_to_the_same_bits() {
    for update in ["sequential", "simultaneous"] {
        let update = format!("method.dml.update={update}");
        let extra = ["--set", &update, "--set", "train.accumulate=2"];
        assert_resumes("dml", &extra, &["last.safetensors", "best.safetensors"]);
    }
}

#[test]
fn sskd_resumes_inside_both_stages_and_keeps_the_head() {
    let extra = ["--teacher", "resnet8", "--set", "train.average=0.9"];
    let files = [
        "last.safetensors",
        "best.safetensors",
        "stage-head.safetensors",
        "stage-student.safetensors",
    ];
    assert_resumes("sskd", &extra, &files);
}

#[test]
fn tst_resumes_inside_all_its_turns() {
    let extra = [
        "--teacher",
        "resnet8",
        "--set",
        "train.epochs=4",
        "--set",
        "data.batch=25",
    ];
    let files = [
        "last.safetensors",
        "best.safetensors",
        "stage-prior.safetensors",
        "stage-distil-1.safetensors",
        "stage-search-1.safetensors",
        "stage-search-2.safetensors",
    ];
    assert_resumes("tst", &extra, &files);
}

#[test]
fn wtakd_resumes_to_the_same_bits() {
    for form in ["weighted", "dense"] {
        let form = format!("method.wtakd.form={form}");
        let extra = [
            "--teacher",
            "resnet8",
            "--set",
            &form,
            "--set",
            "method.wtakd.assistants=resnet8+resnet8",
        ];
        let files = ["last.safetensors", "stage-assistant2.safetensors"];
        assert_resumes("wtakd", &extra, &files);
    }
}

#[test]
fn pixeldistill_resumes_to_the_same_bits() {
    for settings in [
        ["form=one_stage", "feature=none"],
        ["form=two_stage", "feature=super_resolution"],
    ] {
        let settings = settings.map(|setting| format!("method.pixeldistill.{setting}"));
        let extra = [
            "--teacher",
            "resnet8",
            "--set",
            &settings[0],
            "--set",
            &settings[1],
            "--set",
            "method.pixeldistill.ratio=2",
            "--set",
            "augment.size=[16,16]",
        ];
        assert_resumes("pixeldistill", &extra, &["last.safetensors"]);
    }
}

#[test]
fn cakd_resumes_to_the_same_bits() {
    for form in ["paper", "released"] {
        let form = format!("method.cakd.form={form}");
        let extra = [
            "--teacher",
            "vit_nano",
            "--set",
            &form,
            "--set",
            "method.cakd.ramp_start=0",
        ];
        assert_resumes("cakd", &extra, &["last.safetensors"]);
    }
}

#[test]
fn fitnet_in_two_stages_resumes_to_the_same_bits() {
    let extra = [
        "--teacher",
        "resnet8",
        "--set",
        "method.fitnet.hint_share=0.5",
    ];
    let files = ["last.safetensors", "stage-hint.safetensors"];
    assert_resumes("fitnet", &extra, &files);
}
