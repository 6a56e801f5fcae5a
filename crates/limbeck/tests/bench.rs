//! `limbeck bench`: what it prints and what it refuses. How fast anything is, is not tested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use limbeck::methods::{METHODS, MethodEntry, TaskKind};
use serde_json::Value;
use support::Place;

/// Runs `limbeck bench` with `arguments`, one timed run on one thread.
fn report(arguments: &[&str]) -> Value {
    let mut all = vec!["bench"];
    all.extend(arguments);
    all.extend(["--runs", "1", "--threads", "1", "--json"]);
    let text = Place::new().succeed(&all);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["runs"], 1);
    assert_eq!(report["machine"]["threads"], 1);
    for key in ["cores", "instruction_set", "system", "limbeck", "processor"] {
        assert!(report["machine"].get(key).is_some(), "{key} in {text}");
    }
    assert!(report["machine"]["peak_gflops"].as_f64().unwrap() > 0.0);
    let memory = &report["peak_memory_bytes"];
    assert!(memory.is_null() || memory.as_u64().unwrap() > 1 << 20);
    report
}

/// Expects time, speed and share of the peak of the part called `name`.
fn assert_measured(report: &Value, name: &str) {
    for key in ["ms", "gflops", "peak_share"] {
        let value = &report[format!("{name}_{key}")];
        assert!(value.as_f64().unwrap() > 0.0, "{name}_{key}: {value}");
    }
}

#[test]
fn reading_of_images_with_masks_is_measured() {
    let arguments = [
        "bench",
        "data",
        "scenes:40",
        "--size",
        "48x48",
        "--runs",
        "1",
        "--json",
    ];
    let report: Value = serde_json::from_str(&Place::new().succeed(&arguments)).unwrap();
    assert_eq!(report["images"], 36);
    assert_eq!(report["masks"], true);
    for key in ["first_per_second", "later_per_second"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(report["image_crate_per_second"].is_null());
}

#[test]
fn reading_of_picture_files_is_measured_beside_another_way() {
    let place = Place::new();
    place.class_folders("pictures", 2, 6);
    let arguments = [
        "bench", "data", "pictures", "--size", "16x16", "--runs", "1",
    ];
    let report = place.succeed(&[&arguments[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["masks"], false);
    for key in [
        "first_per_second",
        "later_per_second",
        "image_crate_per_second",
    ] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(place.succeed(&arguments).contains("`image`"));
}

#[test]
fn a_step_is_measured() {
    let report = report(&[
        "step",
        "--teacher",
        "resnet8",
        "--student",
        "resnet8",
        "--method",
        "kd",
        "--batch",
        "4",
    ]);
    for part in ["teacher", "student", "step"] {
        assert_measured(&report, part);
    }
    assert_eq!(report["batch"], 4);
    assert_eq!(report["method"], "kd");
}

#[test]
fn trainings_side_by_side_are_measured_next_to_one_after_the_other() {
    let small = ["--batch", "4", "--classes", "5", "--input", "1x8x8"];
    for (method, teacher, seeds) in [("none", Value::Null, "3"), ("kd", "resnet8".into(), "2")] {
        let pair = ["side", "--student", "resnet8", "--teacher", "resnet8"];
        let how = ["--method", method, "--seeds", seeds];
        let report = report(&[&pair[..], &how, &small].concat());
        for part in ["alone", "side"] {
            assert_measured(&report, part);
        }
        assert!(report["gain"].as_f64().unwrap() > 0.0);
        assert_eq!(report["teacher"], teacher);
        assert_eq!(report["seeds"].to_string(), seeds);
    }
    let refused = |seeds: &str| {
        Place::new().fail(
            &["bench", "side", "--seeds", seeds],
            2,
            &["--seeds", "1 to 256"],
        );
    };
    refused("0");
    refused("257");
}

/// A step of `method` between the smallest networks.
fn step(method: &str, [teacher, student]: [&str; 2], more: &[&str]) -> Value {
    let pair = ["step", "--student", student, "--teacher", teacher];
    let small = ["--batch", "4", "--classes", "5", "--method", method];
    report(&[&pair[..], &small, more].concat())
}

#[test]
fn a_step_of_every_method_is_measured() {
    let whole = [TaskKind::Classification, TaskKind::Pretraining];
    let of_images = |entry: &&MethodEntry| whole.iter().any(|task| entry.tasks.contains(task));
    for entry in METHODS.iter().filter(of_images) {
        let pair = match entry.id {
            "cakd" => ["vit_nano", "resnet8"],
            "dino" | "dmae" | "mae" | "patchssl" => ["vit_nano", "vit_nano"],
            "vqae" => ["resnet8", "vq_autoencoder"],
            "wecolora" => ["vit_nano", "vit_nano_d3"],
            _ => ["resnet8", "resnet8"],
        };
        let report = step(entry.id, pair, &["--input", "3x16x16"]);
        assert_measured(&report, "step");
        let memory = |key: &str| report[key].as_u64();
        assert!(memory("step_memory_bytes") <= memory("peak_memory_bytes"));
        match entry.needs_teacher {
            true => assert_measured(&report, "teacher"),
            false => assert!(report["teacher_ms"].is_null(), "{}", entry.id),
        }
    }
}

#[test]
fn steps_of_networks_that_segment_are_measured() {
    for (method, student, teacher) in [
        ("none", "deeplabv3_resnet18_x0.06", "pspnet_resnet18_x0.06"),
        ("cwd", "pspnet_resnet18_x0.06", "segformer_b0_x0.25"),
        ("cirkd", "segformer_b0_x0.25", "pspnet_resnet18_x0.06"),
        ("transkd", "segformer_b0_x0.25", "segformer_b0_x0.25"),
    ] {
        let report = report(&[
            "step",
            "--student",
            student,
            "--teacher",
            teacher,
            "--method",
            method,
            "--batch",
            "2",
            "--classes",
            "5",
            "--input",
            "3x64x64",
        ]);
        assert_measured(&report, "step");
        assert_eq!(report["teacher_ms"].is_null(), method == "none");
    }
    let net = ["net", "segformer_b0_x0.25", "--input", "3x64x64"];
    let report = report(&[&net[..], &["--batch", "2", "--classes", "5"]].concat());
    for part in ["inference", "training"] {
        assert_measured(&report, part);
    }
}

#[test]
fn a_step_may_have_settings() {
    let chain = "method.wtakd.assistants=resnet8+resnet8";
    let report = step("wtakd", ["resnet8"; 2], &["--set", chain]);
    assert_measured(&report, "step");
    assert_eq!(report["set"], serde_json::json!([chain]));
    let wrong = ["bench", "step", "--set", "method.kd.heat=4"];
    Place::new().fail(&wrong, 2, &["heat", "temperature"]);
}

#[test]
fn losses_are_measured_apart_from_networks() {
    let pair = ["loss", "--teacher", "resnet14", "--student", "resnet8"];
    let shapes = ["--batch", "4,6", "--classes", "5,7"];
    let methods = ["none", "kd+at", "pskd", "dml"];
    let report = report(&[&pair[..], &shapes, &methods].concat());
    let losses = report["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 4 * methods.len());
    for (index, loss) in losses.iter().enumerate() {
        assert_eq!(loss["method"], methods[index % methods.len()]);
        // What a procedure computes cannot be told apart from its forward passes.
        let measured = loss["method"] != "dml";
        for key in ["ms", "student_share"] {
            assert_eq!(
                loss[key].as_f64().is_some_and(|value| value > 0.0),
                measured
            );
        }
    }
    assert_eq!(losses[4]["batch"], 4);
    assert_eq!(losses[4]["classes"], 7);
    let steps = report["student_steps"].as_array().unwrap();
    assert_eq!(steps.len(), 4);
    assert!(steps[3]["student_ms"].as_f64().unwrap() > 0.0);

    let place = Place::new();
    let small = ["--batch", "2", "--classes", "3", "--runs", "1", "--profile"];
    let table = place.succeed(&[&["bench"], &pair[..], &small, &["kd", "dml"]].concat());
    for word in [
        "2 × 3 classes",
        "no criterion of its own: see bench step",
        "kd, 2 × 3 classes, by operation and shape",
        "at the machine's limit (",
    ] {
        assert!(table.contains(word), "no `{word}` in\n{table}");
    }
}

#[test]
fn stored_outputs_are_measured() {
    let report = report(&[
        "cache",
        "--topk",
        "3",
        "--classes",
        "20",
        "--records",
        "500",
    ]);
    for key in ["written_per_second", "read_per_second", "open_ms"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}");
    }
    let bytes = report["bytes_per_view"].as_f64().unwrap();
    assert!((16.0..20.0).contains(&bytes), "{bytes}");
    assert_eq!(report["topk"], 3);
}

#[test]
fn boxes_are_suppressed_and_measured() {
    let nms = report(&["nms", "--predictions", "500", "--classes", "3", "--crowded"]);
    assert_eq!(nms["kept"], 300);
    assert!(nms["suppression_ms"].as_f64().unwrap() > 0.0);
    let scores = nms["scores"].as_f64().unwrap();
    assert!((150.0..300.0).contains(&scores), "{scores}");
    let few = ["nms", "--predictions", "500", "--classes", "3"];
    let few = report(&[&few[..], &["--confidence", "0.5", "--detections", "7"]].concat());
    assert!(few["kept"].as_u64().unwrap() <= 7);

    let ap = report(&[
        "ap",
        "--images",
        "20",
        "--detections",
        "30",
        "--classes",
        "3",
    ]);
    for key in ["coco_ms", "yolov5_ms", "voc_ms", "objects"] {
        assert!(ap[key].as_f64().unwrap() > 0.0, "{key}");
    }
    let twelve = ap["twelve"].as_array().unwrap();
    assert_eq!(twelve.len(), 12);
    assert!((0.01..1.0).contains(&twelve[0].as_f64().unwrap()));

    let place = Place::new();
    place.fail(
        &["bench", "nms", "--longest", "2"],
        2,
        &["--longest", "3 to 640"],
    );
    place.fail(
        &["bench", "nms", "--iou", "1.5"],
        2,
        &["iou", "between 0 and 1"],
    );
    let huge = [
        "bench",
        "nms",
        "--predictions",
        "1000000",
        "--classes",
        "1000",
    ];
    place.fail(&huge, 2, &["--predictions"]);
    place.fail(
        &["bench", "ap", "--images", "0"],
        2,
        &["--images must be 1 to"],
    );
}

#[test]
fn a_network_is_measured_whole_or_in_part() {
    let whole = report(&["net", "resnet8", "--batch", "4"]);
    for part in ["inference", "training"] {
        assert_measured(&whole, part);
        let per_second = &whole[format!("{part}_images_per_second")];
        assert!(per_second.as_f64().unwrap() > 0.0);
    }
    assert_eq!(whole["optimizer"], "sgd");
    assert!(whole["params"].as_u64().unwrap() > 0 && whole["macs"].as_u64().unwrap() > 0);
    assert_eq!(whole["input"], serde_json::json!([3, 32, 32]));

    let small = ["net", "resnet8", "--batch", "2", "--input", "1x16x16"];
    let inference = report(&[&small[..], &["--only", "inference"]].concat());
    assert_measured(&inference, "inference");
    assert!(inference["training_ms"].is_null());
    assert_eq!(inference["input"], serde_json::json!([1, 16, 16]));

    let training = ["--only", "training", "--optimizer", "adamw"];
    let training = report(&[&small[..], &training].concat());
    assert_measured(&training, "training");
    assert!(training["inference_gflops"].is_null());
    assert_eq!(training["optimizer"], "adamw");
}

#[test]
fn a_profile_tells_where_the_time_goes() {
    let network = ["net", "vit_nano", "--batch", "2", "--profile"];
    let measured = report(&network);
    for part in ["inference", "training"] {
        let profile = &measured["profile"][part];
        let ms = profile["ms"].as_f64().unwrap();
        let parts = ["operations", "between"].map(|list| profile[list].as_array().unwrap());
        let times = parts.into_iter().flatten();
        let told: f64 = times.map(|one| one["ms"].as_f64().unwrap()).sum();
        assert!(
            told > 0.0 && told <= ms * (1.0 + 1e-9),
            "{part}: {told} of {ms}"
        );
        let limit = profile["limit_ms"].as_f64().unwrap();
        assert!(limit > 0.0 && limit <= told, "{limit} of {told}");
        let [operations, _] = parts;
        let of_name = |name| operations.iter().find(|one| one["name"] == name);
        let attention = of_name("self attention").unwrap();
        assert!(attention["gflops"].as_f64().unwrap() > 0.0, "{attention}");
        assert!(attention["calls"].as_f64().unwrap() >= 1.0, "{attention}");
        let backward = of_name("self attention backward");
        assert_eq!(backward.is_some(), part == "training");
    }

    let step = [
        "step",
        "--student",
        "resnet8",
        "--teacher",
        "resnet8",
        "--batch",
        "2",
        "--profile",
    ];
    let measured = report(&step);
    assert!(measured["profile"]["operations"][0]["ms"].as_f64().unwrap() > 0.0);

    let table = Place::new().succeed(&[
        "bench",
        "net",
        "resnet8",
        "--batch",
        "2",
        "--runs",
        "1",
        "--profile",
    ]);
    for word in [
        "training, by operation and shape",
        "all conv2d",
        "conv2d 2×16×32×32 16×16×3×3",
        "between them",
    ] {
        assert!(table.contains(word), "no `{word}` in\n{table}");
    }
}

#[test]
fn the_usual_convolutions_are_measured() {
    let report = report(&["conv", "--batch", "1", "--only", "3x3"]);
    let convolutions = report["convolutions"].as_array().unwrap();
    assert!(convolutions.len() > 4);
    assert_eq!(convolutions[0]["name"], "3x3 32->32 32x32");
    for convolution in convolutions {
        for part in ["forward", "input_gradient", "weight_gradient"] {
            assert_measured(convolution, part);
        }
    }
}

#[test]
fn a_convolution_of_ones_own_is_measured() {
    let report = report(&[
        "conv",
        "--shape",
        "2x4x7x5",
        "--outputs",
        "6",
        "--kernel",
        "3",
        "--stride",
        "2",
        "--padding",
        "1",
        "--groups",
        "2",
    ]);
    let [convolution] = &report["convolutions"].as_array().unwrap()[..] else {
        panic!("one convolution: {report}");
    };
    assert_eq!(convolution["name"], "3x3 4->6 7x5 groups 2 stride 2");
    assert_eq!(convolution["input"], serde_json::json!([2, 4, 7, 5]));
    // 2 images × 6 maps × 4·3 positions × 2 channels × 9 taps, two operations each.
    assert_eq!(convolution["flops"].as_f64(), Some(5184.0));
    assert_measured(convolution, "weight_gradient");
}

#[test]
fn people_get_a_table() {
    let table = Place::new().succeed(&[
        "bench",
        "conv",
        "--shape",
        "1x2x5x5",
        "--runs",
        "1",
        "--threads",
        "1",
    ]);
    for word in ["GFLOP/s", "of peak", "weight gradient", "threads: 1"] {
        assert!(table.contains(word), "no `{word}` in\n{table}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    let conv = |arguments: &[&str], words: &[&str]| {
        place.fail(&[&["bench", "conv"], arguments].concat(), 2, words);
    };
    conv(&["--shape", "64x64x32"], &["--shape", "64x64x32"]);
    conv(&["--shape", "1x0x8x8"], &["--shape"]);
    conv(&["--shape", "1x2x8x8", "--kernel", "0"], &["at least 1"]);
    conv(&["--shape", "1x2x8x8", "--stride", "0"], &["at least 1"]);
    let wide = ["--shape", "1x2x8x8", "--kernel", "9", "--padding", "0"];
    conv(&wide, &["9x9", "does not fit", "8x8"]);
    conv(
        &["--shape", "1x4x8x8", "--groups", "3"],
        &["3 groups do not divide"],
    );
    conv(&["--shape", "65536x65536x8x8"], &["larger than"]);
    conv(&["--kernel", "3"], &["--shape"]);
    conv(&["--only", "9x9"], &["9x9", "3x3 32->32 32x32"]);
    conv(&["--runs", "0"], &["--runs must be 1 to"]);
    conv(&["--batch", "0"], &["--batch must be 1 to"]);

    place.fail(&["bench", "net", "resnet7"], 2, &["resnet7"]);
    let odd = ["bench", "net", "deit_tiny", "--input", "3x30x30"];
    place.fail(&odd, 2, &["30"]);
    let none = ["bench", "net", "resnet8", "--classes", "0"];
    place.fail(&none, 2, &["--classes must be 1 to"]);
    place.fail(&["bench", "step", "--batch", "0"], 2, &["--batch"]);
    let loss = ["bench", "loss", "kd", "--batch", "64,0"];
    place.fail(&loss, 2, &["--batch must be 1 to"]);
    place.fail(&["bench", "loss", "kdd"], 2, &["kdd", "kd"]);
}

#[test]
fn the_keys_are_told() {
    let place = Place::new();
    for what in ["ap", "conv", "knn", "net", "nms", "loss", "step"] {
        let help = place.succeed(&["bench", what, "--help"]);
        for word in ["peak_memory_bytes", "peak_gflops", "*_ms"] {
            assert!(help.contains(word), "no `{word}` in\n{help}");
        }
    }
}
