//! Methods with stages, networks or steps of their own, from their recipes: a few steps, killed and
//! resumed to the same bits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use std::path::{Path, PathBuf};

use limbeck::methods::{METHODS, MethodEntry, TaskKind};
use support::{Place, bytes, kill_and_resume, text, tiny};

/// Kills of each run.
const KILLS: usize = 3;

/// The method's recipe.
fn recipe_of(method: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../recipes/{method}.toml"));
    file.canonicalize().unwrap()
}

/// A run of the method's recipe on a few scenes, between small networks that segment. The threads
/// and workers differ by `out`: they change no bit.
fn segmenting(method: &str, extra: &[&str], out: &str) -> Vec<String> {
    let file = recipe_of(method);
    let [threads, workers] = match out {
        "undisturbed" => ["1", "0"],
        _ => ["2", "3"],
    };
    let mut all = vec!["distill", "scenes:24", "--out", out, "--quiet"];
    all.extend(["--recipe", text(&file), "--batch", "4"]);
    all.extend(["--student", "pspnet_resnet18_x0.04"]);
    all.extend(["--teacher", "pspnet_resnet18_x0.06"]);
    all.extend(["--threads", threads, "--workers", workers]);
    all.extend(["--set", "augment.size=[32,32]"]);
    all.extend(["--set", "train.iterations=8"]);
    all.extend(extra);
    all.into_iter().map(str::to_owned).collect()
}

/// A run of the method's recipe on a few small pictures, with `resnet8` as the student where `extra`
/// names none.
fn recipe(method: &str, extra: &[&str], out: &str) -> Vec<String> {
    let file = recipe_of(method);
    let mut all = vec!["--recipe", text(&file), "--out", out];
    if !extra.contains(&"--student") {
        all.extend(["--student", "resnet8"]);
    }
    all.extend(extra);
    tiny("distill", &all)
}

/// Runs, kills, resumes and compares every weights file of the student's job.
fn assert_resumes(method: &str, extra: &[&str], files: &[&str]) {
    assert_resumes_as(|out| recipe(method, extra, out), method, files);
}

/// The same of the run of these arguments.
fn assert_resumes_as(arguments: impl Fn(&str) -> Vec<String>, method: &str, files: &[&str]) {
    let place = Place::new();
    kill_and_resume(&place, arguments, KILLS);
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

/// Whether a test below is about the method.
fn has_its_own_test(id: &str) -> bool {
    include_str!("procedures.rs").contains(&format!("assert_resumes(\"{id}\""))
}

/// Methods without a test of their own resume from their recipes as they are.
fn assert_others_resume(group: impl Fn(&MethodEntry) -> bool) {
    let classify = |entry: &&MethodEntry| entry.tasks.contains(&TaskKind::Classification);
    for entry in METHODS.iter().filter(classify).filter(|entry| group(entry)) {
        // The baseline: see `resume.rs`.
        if entry.id == "none" || has_its_own_test(entry.id) {
            continue;
        }
        let teacher: &[&str] = match entry.needs_teacher {
            true => &["--teacher", "resnet8"],
            false => &[],
        };
        assert_resumes(entry.id, teacher, &["last.safetensors"]);
    }
}

#[test]
fn criteria_resume_to_the_same_bits() {
    assert_others_resume(|entry| !entry.is_procedure());
}

#[test]
fn procedures_resume_to_the_same_bits() {
    assert_others_resume(MethodEntry::is_procedure);
}

#[test]
fn methods_that_segment_resume_to_the_same_bits() {
    let queues = [
        "method.cirkd.pixel_memory=40",
        "method.cirkd.region_memory=20",
        "method.cirkd.pixel_contrast=30",
        "method.cirkd.region_contrast=15",
    ];
    for (method, settings) in [
        ("cwd", &["method.cwd.feature_weight=5"] as &[&str]),
        ("cirkd", &queues),
        ("skds", &[]),
        ("rkd", &[]),
        ("prockd", &["schedule.warmup_epochs=0"]),
    ] {
        let settings: Vec<&str> = settings.iter().flat_map(|&set| ["--set", set]).collect();
        let arguments = |out: &str| segmenting(method, &settings, out);
        assert_resumes_as(arguments, method, &["last.safetensors"]);
    }
}

#[test]
fn tinyvit_resumes_to_the_same_bits() {
    let extra = ["--teacher", "resnet8", "--set", "schedule.warmup_epochs=0"];
    assert_resumes("tinyvit", &extra, &["last.safetensors"]);
}

#[test]
fn ota_resumes_to_the_same_bits() {
    let extra = ["--teacher", "resnet8", "--set", "method.ota.steps=3"];
    let files = ["last.safetensors", "stage-real.safetensors"];
    assert_resumes("ota", &extra, &files);
}

#[test]
fn prockd_resumes_to_the_same_bits() {
    let extra = [
        "--teacher",
        "resnet8",
        "--set",
        "schedule.warmup_epochs=0",
        "--set",
        "method.prockd.weight_hidden=0.5",
    ];
    assert_resumes("prockd", &extra, &["last.safetensors", "best.safetensors"]);
}

#[test]
fn ddgsd_resumes_to_the_same_bits() {
    for form in ["paper", "port"] {
        let form = format!("method.ddgsd.form={form}");
        let files = ["last.safetensors", "best.safetensors"];
        assert_resumes("ddgsd", &["--set", &form], &files);
    }
}

#[test]
fn dlb_resumes_to_the_same_bits() {
    let extra = ["--set", "train.label_smoothing=0.1"];
    assert_resumes("dlb", &extra, &["last.safetensors", "best.safetensors"]);
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
fn self_distillation_resumes_to_the_same_bits() {
    let weights = ["last.safetensors", "best.safetensors"];
    assert_resumes("byot", &[], &weights);
    assert_resumes("byot", &["--set", "method.byot.form=journal"], &weights);
    assert_resumes("zipf", &["--set", "method.zipf.deep_layers=2"], &weights);
}

#[test]
fn a_virtual_teacher_and_a_copy_of_the_student_resume_to_the_same_bits() {
    assert_resumes("tfkd", &[], &["last.safetensors"]);
    let extra = ["--set", "method.tfkd.form=self"];
    let files = [
        "last.safetensors",
        "best.safetensors",
        "stage-copy.safetensors",
    ];
    assert_resumes("tfkd", &extra, &files);
}

#[test]
fn a_shared_classifier_resumes_to_the_same_bits() {
    let weights = ["last.safetensors", "best.safetensors"];
    let teacher = ["--teacher", "resnet8"];
    assert_resumes("sharedhead", &teacher, &weights);
}

#[test]
fn a_teacher_under_a_students_classifier_resumes_to_the_same_bits() {
    let extra = [
        "--teacher",
        "resnet8",
        "--set",
        "method.sharedhead.form=student_head",
        "--set",
        "method.sharedhead.teacher_model=resnet8",
    ];
    let files = [
        "last.safetensors",
        "best.safetensors",
        "stage-forerunner.safetensors",
        "stage-teacher.safetensors",
    ];
    assert_resumes("sharedhead", &extra, &files);
}

#[test]
fn kdcl_resumes_to_the_same_bits() {
    let peers = ["--set", "method.kdcl.peers=resnet8"];
    for ensemble in ["naive", "linear", "minlogit", "general"] {
        let ensemble = format!("method.kdcl.ensemble={ensemble}");
        let extra = [&peers[..], &["--set", &ensemble]].concat();
        assert_resumes("kdcl", &extra, &["last.safetensors", "best.safetensors"]);
    }
}

#[test]
fn hssakd_resumes_inside_every_stage_of_every_form() {
    let weights = ["last.safetensors", "best.safetensors"];
    let stages = |stage| [weights.as_slice(), &[stage, "stage-student.safetensors"]].concat();
    let offline = ["--teacher", "resnet8"];
    assert_resumes("hssakd", &offline, &stages("stage-branches.safetensors"));
    let joint = ["--set", "method.hssakd.form=joint"];
    assert_resumes("hssakd", &joint, &stages("stage-teacher.safetensors"));
    let online = [
        "--set",
        "method.hssakd.form=online",
        "--set",
        "method.hssakd.few_shot=0.5",
    ];
    assert_resumes("hssakd", &online, &weights);
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
fn crd_resumes_with_its_memory_to_the_same_bits() {
    let extra = ["--teacher", "resnet8", "--set", "method.crd.negatives=50"];
    assert_resumes("crd", &extra, &["last.safetensors"]);
}

#[test]
fn rtk_and_its_base_method_resume_to_the_same_bits() {
    for attention in ["rtk", "afd"] {
        let attention = format!("method.rtk.attention={attention}");
        let extra = ["--teacher", "resnet8", "--set", &attention];
        assert_resumes("rtk", &extra, &["last.safetensors"]);
    }
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
fn hints_resumes_with_the_layers_that_it_chose_to_the_same_bits() {
    let extra = ["--teacher", "resnet14", "--set", "method.hints.images=50"];
    assert_resumes("hints", &extra, &["last.safetensors", "best.safetensors"]);
}

#[test]
fn metric_learning_chooses_by_recall_reports_it_and_resumes_to_the_same_bits() {
    let settings = [
        "method.rkd.ce_weight=0",
        "method.rkd.triplet_weight=1",
        "method.rkd.images_per_class=4",
        "train.choose_by=recall",
    ];
    let mut extra = vec!["--teacher", "resnet8"];
    extra.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
    assert_resumes("rkd", &extra, &["last.safetensors", "best.safetensors"]);

    let place = Place::new();
    let arguments = recipe("rkd", &extra, "run");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    let results = std::fs::read_to_string(place.path("run/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    for test in [&results["teacher"]["test"], &results["students"][0]["test"]] {
        let first = &test["measures"][0];
        assert_eq!(first["name"], "recall_at_1");
        let percent = first["value"].as_f64().unwrap();
        assert!((0.0..=100.0).contains(&percent));
    }
    let row = &results["students"][0]["epochs"][0];
    let measures = &row["measures"];
    assert!(measures["validation_recall_at_1"].is_number(), "{row}");
    assert!(measures["train_top1"].is_number(), "{row}");
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
fn wecolora_resumes_to_the_same_bits_whatever_it_trains() {
    for update in ["low_rank", "dora", "full", "copy"] {
        let update = format!("method.wecolora.update={update}");
        let extra = [
            "--teacher",
            "vit_nano",
            "--student",
            "vit_nano_d3",
            "--set",
            &update,
            "--set",
            "augment.size=[16,16]",
            "--set",
            "train.accumulate=2",
            "--set",
            "schedule.warmup_epochs=0",
        ];
        assert_resumes("wecolora", &extra, &["last.safetensors"]);
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

/// A run without labels of a method with a momentum teacher, of a small transformer.
fn momentum_teacher(method: &str, extra: &[&str], out: &str) -> Vec<String> {
    let file = recipe_of(method);
    let crops = format!("method.{method}.local_crops=2");
    let prototypes = format!("method.{method}.prototypes=32");
    let hidden = format!("method.{method}.hidden=32");
    let mut all = vec!["--recipe", text(&file), "--out", out];
    for setting in [&crops, &prototypes, &hidden] {
        all.extend(["--set", setting]);
    }
    all.extend(["--set", "augment.size=[16,16]"]);
    all.extend(["--set", "schedule.warmup_epochs=0"]);
    all.extend(extra);
    tiny("distill", &all)
}

#[test]
fn momentum_teachers_and_their_centres_resume_to_the_same_bits() {
    let enlarged = ["--set", "method.patchssl.enlarged=2"];
    for (method, extra) in [("dino", &[] as &[&str]), ("patchssl", &enlarged)] {
        let arguments = |out: &str| momentum_teacher(method, extra, out);
        assert_resumes_as(arguments, method, &["last.safetensors"]);
    }
}

#[test]
fn patches_are_compared_with_class_tokens_alone_by_the_same_settings() {
    let place = Place::new();
    let arguments = momentum_teacher("patchssl", &["--baseline"], "run");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    let results = std::fs::read_to_string(place.path("run/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    for side in ["students", "baselines"] {
        let first = &results[side][0]["test"]["measures"][0];
        assert!(first["value"].as_f64().is_some(), "{side}: {results}");
    }
    let convolutions = momentum_teacher("dino", &[], "refused");
    let mut convolutions: Vec<&str> = convolutions.iter().map(String::as_str).collect();
    convolutions.extend(["--student", "resnet8"]);
    place.fail(&convolutions, 2, &["`dino`", "`resnet8`", "vit_nano"]);
}
