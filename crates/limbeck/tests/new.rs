//! `limbeck new`, and settings that would not do what they say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use support::{Place, text};

const USAGE: i32 = 2;

/// Every setting says why it is as it is.
fn is_explained(recipe: &str) {
    for line in recipe.lines() {
        let is_setting = line.contains('=') && !line.starts_with('#');
        assert!(!is_setting || line.contains("  # "), "{line}");
    }
}

#[test]
fn a_recipe_is_written_for_each_kind_of_data_and_runs_as_written() {
    let place = Place::new();
    place.class_folders("pictures", 3, 12);
    place.idx("digits", 40, |index| (index % 10) as u8);
    for (data, flip) in [
        ("pictures", "flip = 0.5"),
        ("digits", "flip = 0.0"),
        ("shapes:60", "flip = 0.0"),
        ("scenes:40", "flip = 0.5"),
    ] {
        let out = format!("{}.toml", data.replace(':', "-"));
        place.succeed(&["new", data, "--out", &out]);
        let recipe = std::fs::read_to_string(place.path(&out)).unwrap();
        is_explained(&recipe);
        assert!(recipe.contains(flip), "{recipe}");
        let planned = place.run(&["distill", "--recipe", &out, "--dry-run"]);
        assert_eq!(planned.code, 0, "{}", planned.stderr);
        assert!(planned.stdout.contains(flip) && planned.stdout.contains("baseline = true"));
    }
    let run = [
        "distill",
        "--recipe",
        "pictures.toml",
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "run",
    ];
    place.succeed(&run);
    assert!(place.path("run/report.html").is_file());
}

#[test]
fn a_recipe_never_replaces_a_file_and_can_go_to_standard_output() {
    let place = Place::new();
    place.class_folders("pictures", 2, 12);
    place.succeed(&["new", "pictures"]);
    let written = support::bytes(&place.path("limbeck.toml"));
    place.fail(
        &["new", "pictures"],
        USAGE,
        &["limbeck.toml", "exists", "--out"],
    );
    assert_eq!(support::bytes(&place.path("limbeck.toml")), written);
    assert_eq!(
        place.succeed(&["new", "pictures", "--out", "-"]).as_bytes(),
        written
    );
    place.fail(&["new", "nowhere", "--out", "-"], 1, &["nowhere"]);
    place.fail(
        &["new", "pictures", "--student", "resnet9", "--out", "-"],
        USAGE,
        &["resnet8"],
    );
}

#[test]
fn large_pictures_get_other_networks_and_another_augmentation() {
    let place = Place::new();
    for part in ["train", "test"] {
        for (index, class) in ["cat", "dog"].into_iter().enumerate() {
            for image in 0..6 {
                let (width, height) = (180 + 7 * image, 150);
                let mut bytes = format!("P6\n{width} {height}\n255\n").into_bytes();
                bytes.resize(bytes.len() + 3 * width * height, 90 * (index as u8 + 1));
                place.write(&format!("photographs/{part}/{class}/{image}.ppm"), bytes);
            }
        }
    }
    let recipe = place.succeed(&["new", "photographs", "--teacher", "resnet34", "--out", "-"]);
    for line in [
        "size = [128, 128]",
        "random_resized_crop",
        "source = \"resnet34\"",
        "model = \"mobilenet_v2\"",
    ] {
        assert!(recipe.contains(line), "no `{line}` in {recipe}");
    }
    place.write("photographs.toml", &recipe);
    place.succeed(&["distill", "--recipe", "photographs.toml", "--dry-run"]);
}

#[test]
fn a_warm_up_longer_than_the_run_is_told() {
    let place = Place::new();
    let planned = |method: &str, more: &[&str]| {
        let distill = [
            "distill",
            "shapes:60",
            "--teacher",
            "resnet14",
            "--student",
            "resnet8",
            "--epochs",
            "3",
            "--dry-run",
            "--method",
            method,
        ];
        place.run(&[&distill[..], more].concat()).stderr
    };
    for method in ["dkd", "reviewkd"] {
        let said = planned(method, &[]);
        assert!(
            said.contains("warning: method.") && said.contains("reaches 15 % of its weight"),
            "{said}"
        );
        let setting = format!("method.{method}.warmup_epochs=1");
        assert!(!planned(method, &["--set", &setting]).contains("of its weight"));
    }
}

#[test]
fn a_batch_of_one_over_single_values_is_refused() {
    let place = Place::new();
    place.class_folders("pictures", 2, 12);
    let train = |batch: &str, size: &str| {
        let size = format!("augment.size={size}");
        place.run(&[
            "train",
            "pictures",
            "--model",
            "resnet8",
            "--batch",
            batch,
            "--set",
            &size,
            "--dry-run",
        ])
    };
    let refused = train("1", "[4,4]");
    assert_eq!(refused.code, USAGE, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("data.batch to 2"),
        "{}",
        refused.stderr
    );
    assert_eq!(train("2", "[4,4]").code, 0);
    assert_eq!(train("1", "[8,8]").code, 0);
}

#[test]
fn nan_is_no_value_of_a_setting() {
    let place = Place::new();
    let distill = |setting: &str| {
        place.fail(
            &[
                "distill",
                "shapes:60",
                "--teacher",
                "resnet14",
                "--student",
                "resnet8",
                "--set",
                setting,
            ],
            USAGE,
            &["must be a", "number", "found NaN"],
        );
    };
    distill("method.kd.temperature=nan");
    distill("optimizer.momentum=nan");
    place.write("nan.toml", "[method.kd]\ntemperature = nan\n");
    place.fail(
        &[
            "distill",
            "shapes:60",
            "--teacher",
            "resnet14",
            "--student",
            "resnet8",
            "--recipe",
            "nan.toml",
        ],
        USAGE,
        &["nan.toml:2", "finite"],
    );
}

#[test]
fn an_empty_output_folder_is_used_and_a_cut_checkpoint_says_what_to_do() {
    let place = Place::new();
    std::fs::create_dir(place.path("run")).unwrap();
    let arguments = support::tiny("train", &["--model", "resnet8", "--out", "run"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    let student = place.path("run/student/model.safetensors");
    let whole = support::bytes(&student);
    std::fs::remove_file(place.path("run/results.json")).unwrap();
    let checkpoint = place.path("run/jobs/student-0/checkpoint.safetensors");
    let content = support::bytes(&checkpoint);
    std::fs::write(&checkpoint, &content[..content.len() / 2]).unwrap();
    place.fail(
        &["resume", "run"],
        1,
        &[
            text(checkpoint.strip_prefix(place.path("")).unwrap()),
            "remove it",
        ],
    );
    // What it says works, and gives the same bits.
    std::fs::remove_file(&checkpoint).unwrap();
    place.succeed(&["resume", "run", "--quiet"]);
    assert!(support::bytes(&student) == whole);
}

#[test]
fn mixed_images_and_a_cache_are_told_of() {
    let place = Place::new();
    let arguments = support::tiny("train", &["--model", "resnet8", "--out", "teacher"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    place.succeed(&[
        "cache",
        "build",
        "shapes:120",
        "--teacher",
        "teacher",
        "--views",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "cache",
    ]);
    let distill = [
        "distill",
        "shapes:120",
        "--teacher",
        "cache:cache",
        "--student",
        "resnet8",
        "--dry-run",
        "--set",
    ];
    let mixed = place.run(&[&distill[..], &["augment.mixup_alpha=0.2"]].concat());
    assert_eq!(mixed.code, 0, "{}", mixed.stderr);
    assert!(mixed.stderr.contains("mixtures"), "{}", mixed.stderr);
    assert!(
        place
            .succeed(&["cache", "build", "--help"])
            .contains("mixtures")
    );
}

#[test]
fn boxes_have_a_recipe_of_detectors() {
    let place = Place::new();
    let new = [
        "new",
        "scenes:40",
        "--task",
        "detection",
        "--out",
        "boxes.toml",
    ];
    place.succeed(&new);
    let recipe = std::fs::read_to_string(place.path("boxes.toml")).unwrap();
    is_explained(&recipe);
    for line in [
        "boxes of 6 classes",
        "source = \"yolov5s\"",
        "model = \"yolov5n\"",
        "mosaic = 1.0",
        "batch = 16",
        "epochs = 300",
    ] {
        assert!(recipe.contains(line), "no `{line}` in\n{recipe}");
    }
    let planned = place.run(&["distill", "--recipe", "boxes.toml", "--dry-run"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    for setting in ["name = \"adamw\"", "average = 0.9999", "minimum = 0.0002"] {
        assert!(planned.stdout.contains(setting), "{}", planned.stdout);
    }
    let wrong = [
        "new",
        "scenes:40",
        "--task",
        "detection",
        "--student",
        "resnet8",
        "--out",
        "-",
    ];
    place.fail(&wrong, USAGE, &["resnet8", "detection"]);
}
