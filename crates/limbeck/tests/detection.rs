//! Detectors are trained, distilled, adapted, measured, resumed and asked as all other networks are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by panicking")]

mod support;

use serde_json::Value;
use support::{Place, bytes, kill_and_resume, tiny};

/// The smallest detector: some seconds an epoch in a test's build.
const NET: &str = "yolov5n_x0.25";

/// Data and all that runs have in common.
const COMMON: [&str; 7] = [
    "scenes:40",
    "--task",
    "detection",
    "--threads",
    "1",
    "--batch",
    "8",
];

fn distill<'a>(teacher: &'a str, method: &'a str, out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let own = [
        "--teacher",
        teacher,
        "--student",
        NET,
        "--method",
        method,
        "--epochs",
        "2",
        "--quiet",
        "--out",
        out,
    ];
    [&["distill"][..], &COMMON, &own, extra].concat()
}

fn student(place: &Place, run: &str) -> Vec<u8> {
    bytes(&place.path(run).join("jobs/student-0/last.safetensors"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn results(place: &Place, run: &str) -> Value {
    serde_json::from_slice(&bytes(&place.path(&format!("{run}/results.json")))).unwrap()
}

fn text_of(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.path(file)).unwrap()
}

/// A place with a trained teacher in the folder `teacher`.
fn place_with_teacher() -> Place {
    let place = Place::new();
    let own = [
        "--model", NET, "--epochs", "2", "--quiet", "--out", "teacher",
    ];
    place.succeed(&[&["train"][..], &COMMON, &own].concat());
    place
}

/// An image file of red, green and blue, width and height.
fn ppm([width, height]: [usize; 2], pixels: &[u8]) -> Vec<u8> {
    [format!("P6 {width} {height} 255\n").as_bytes(), pixels].concat()
}

#[test]
fn a_student_learns_boxes_from_a_teacher_and_is_measured_by_their_overlap() {
    let place = place_with_teacher();
    let told = json(&place.succeed(&distill("teacher", "kd", "run", &["--baseline", "--json"])));
    for name in ["ap", "ap50", "ap75", "voc07", "voc", "yolov5_ap50", "ar100"] {
        for who in ["student", "baseline", "teacher"] {
            let value = &told[who][name];
            let value = value.as_f64().or_else(|| value[0].as_f64());
            assert!(
                value.is_some_and(|value| (0.0..=100.0).contains(&value)),
                "{who} {name}: {told}"
            );
        }
    }
    let found = results(&place, "run");
    let gain = &found["gain"]["resampled"];
    assert_eq!(gain["units"], 20, "{gain}");
    let details = json(&text_of(&place, "run/details.json"));
    let pictures = details["detected"].as_array().unwrap();
    assert_eq!(pictures.len(), 12);
    for who in ["truth", "teacher", "student", "baseline"] {
        assert!(pictures.iter().all(|case| case[who].is_array()), "{who}");
    }
    let page = text_of(&place, "run/report.html");
    for part in ["id=\"pictures\"", "id=\"precision-recall\"", "background"] {
        assert!(page.contains(part), "{part}");
    }
    let anchors = text_of(&place, "run/recipe.toml");
    assert!(anchors.contains("anchors = ["), "{anchors}");
    // Measured again it is the same.
    let again = json(&place.succeed(&[
        "eval",
        "scenes:40",
        "--model",
        "run",
        "--part",
        "test",
        "--threads",
        "1",
        "--json",
    ]));
    let student = &found["students"][0]["test"]["measures"][0];
    assert_eq!(student["name"], "ap");
    assert_eq!(again["ap"], student["value"]);
}

#[test]
fn methods_read_cells_and_levels() {
    let place = place_with_teacher();
    for method in ["kd", "cwd", "at", "fitnet", "reviewkd", "mgram", "dpk"] {
        let told = json(&place.succeed(&distill("teacher", method, method, &["--json"])));
        assert!(told["student"]["ap"][0].is_number(), "{method}: {told}");
        assert!(
            student(&place, method) != student(&place, "teacher"),
            "{method}"
        );
    }
    place.fail(
        &distill("teacher", "crd", "no", &[]),
        2,
        &["detection", "kd"],
    );
}

#[test]
fn workers_and_threads_change_no_bit() {
    let place = Place::new();
    let train = |out: &str, extra: &[&str]| {
        let own = ["--model", NET, "--epochs", "1", "--quiet", "--out", out];
        let mut arguments = [&["train"][..], &COMMON[..3], &COMMON[5..], &own].concat();
        arguments.extend(extra);
        place.succeed(&arguments);
        student(&place, out)
    };
    let one = train("one", &["--workers", "0", "--threads", "1"]);
    assert!(one == train("three", &["--workers", "3", "--threads", "1"]));
    assert!(one == train("threads", &["--workers", "1", "--threads", "2"]));
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bits() {
    let place = Place::new();
    let arguments = |out: &str| {
        let arguments = distill(NET, "kd", out, &["--baseline"]);
        arguments.into_iter().map(str::to_owned).collect()
    };
    kill_and_resume(&place, arguments, 3);
    for file in [
        "jobs/student-0/last.safetensors",
        "student/model.safetensors",
    ] {
        let of = |run: &str| bytes(&place.path(run).join(file));
        assert!(of("undisturbed") == of("killed"), "{file} differs");
    }
}

#[test]
fn a_detector_learns_from_pictures_that_are_searched_and_resumes_inside_all_turns() {
    let place = place_with_teacher();
    let arguments = |out: &str| {
        let arguments = distill("teacher", "tst", out, &[]);
        arguments.into_iter().map(str::to_owned).collect()
    };
    kill_and_resume(&place, arguments, 3);
    for file in [
        "last.safetensors",
        "stage-prior.safetensors",
        "stage-search-1.safetensors",
        "stage-search-2.safetensors",
    ] {
        let of = |run: &str| bytes(&place.path(run).join("jobs/student-0").join(file));
        assert!(of("undisturbed") == of("killed"), "{file} differs");
    }
    let found = results(&place, "undisturbed");
    let terms = |epoch: usize| {
        let terms = &found["students"][0]["epochs"][epoch]["terms"];
        terms.as_object().unwrap().clone()
    };
    let search = terms(1);
    for term in ["search.teacher", "search.student"] {
        assert!(search.contains_key(term), "{search:?}");
    }
    let last = found["students"][0]["epochs"].as_array().unwrap().len() - 1;
    let learnt = terms(last);
    for term in [
        "box",
        "box.augmented",
        "class.augmented",
        "kd",
        "kd.augmented",
    ] {
        assert!(learnt.contains_key(term), "{learnt:?}");
    }
    let recipe = text_of(&place, "undisturbed/recipe.toml");
    let method = recipe.split("[method.tst]").nth(1).unwrap();
    assert!(method.contains("temperature = 1.0"), "{recipe}");
}

#[test]
fn a_detector_starts_with_the_backbone_of_a_classifier_that_was_distilled() {
    let place = Place::new();
    let net = ["--student", "yolov5n_cls_x0.25", "--method", "hssakd"];
    let online = ["--set", "method.hssakd.form=online", "--out", "classifier"];
    let classifier = tiny("distill", &[net, online].concat());
    place.succeed(&classifier.iter().map(String::as_str).collect::<Vec<_>>());
    let told = |arguments: &[&str]| {
        let finished = place.run(arguments);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        finished.stderr + &finished.stdout
    };
    let own = ["--model", NET, "--epochs", "1", "--out", "detector"];
    let start = ["--backbone", "classifier"];
    let text = told(&[&["train"][..], &COMMON, &own, &start].concat());
    let line = text.lines().find(|line| line.contains("starts with"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    for part in ["186 tensors of `classifier/", "8 of the file are not used"] {
        assert!(line.contains(part), "{line}");
    }
    let student = distill("detector", "kd", "student", &start);
    let student: Vec<&str> = student.into_iter().filter(|it| *it != "--quiet").collect();
    assert!(told(&student).contains("186 tensors of `classifier/"));
    place.fail(
        &[
            &["train"][..],
            &COMMON,
            &["--model", "yolov5n", "--out", "no"],
            &start,
        ]
        .concat(),
        1,
        &["backbone", "another width"],
    );
}

#[test]
fn stored_cells_give_the_bits_that_the_teacher_itself_gives() {
    let place = place_with_teacher();
    let own = [
        "--teacher",
        "teacher",
        "--views",
        "2",
        "--dtype",
        "f32",
        "--quiet",
        "--out",
        "cache",
    ];
    place.succeed(&[&["cache", "build"][..], &COMMON[..1], &COMMON[3..5], &own].concat());
    place.succeed(&distill(
        "teacher",
        "kd",
        "live",
        &["--set", "data.views=2"],
    ));
    std::fs::rename(place.path("teacher"), place.path("away")).unwrap();
    place.succeed(&distill("cache:cache", "kd", "stored", &[]));
    assert!(student(&place, "live") == student(&place, "stored"));
    let [live, stored] = ["live", "stored"].map(|run| results(&place, run));
    assert_eq!(live["teacher"]["test"], stored["teacher"]["test"]);
    assert_eq!(live["students"][0]["test"], stored["students"][0]["test"]);
}

#[test]
fn a_detector_is_adapted_to_another_domain_and_tested_there() {
    let place = Place::new();
    let run = |out: &str, extra: &[&str]| {
        let own = [
            "--target",
            "scenes:60",
            "--student",
            NET,
            "--method",
            "ssdayolo",
            "--epochs",
            "2",
            "--quiet",
            "--out",
            out,
        ];
        let mut arguments = [&["distill"][..], &COMMON, &own].concat();
        arguments.extend(extra);
        arguments
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<String>>()
    };
    kill_and_resume(&place, |out| run(out, &["--baseline"]), 3);
    let last = |run: &str, job: &str| {
        let file = format!("{run}/jobs/{job}/last.safetensors");
        bytes(&place.path(&file))
    };
    for job in ["student-0", "baseline-0", "bound-0"] {
        assert!(last("undisturbed", job) == last("killed", job), "{job}");
    }
    assert!(last("killed", "bound-0") != last("killed", "baseline-0"));
    let found = results(&place, "undisturbed");
    let bound = &found["bounds"][0];
    assert_eq!(bound["seed"], 0);
    assert_eq!(bound["test"]["measures"][0]["name"], "ap");
    // 4 steps an epoch over 36 images of the source, 6 over the target's 54: both have 8 in all.
    assert_eq!(bound["epochs"].as_array().unwrap().len(), 2);
    let page = text_of(&place, "undisturbed/report.html");
    for part in [">Upper bound<", "trained on the target's labels, reaches"] {
        assert!(page.contains(part), "{part}");
    }
    let finished = place.run(&["resume", "undisturbed"]);
    assert!(finished.stderr.contains("\nbound "), "{}", finished.stderr);
    // Half of the 60 images to train on are those that the target tests on.
    assert_eq!(found["data"]["test"], 30);
    let terms = found["students"][0]["epochs"][1]["terms"]
        .as_object()
        .unwrap();
    for term in [
        "source",
        "source_styled",
        "pseudo",
        "consistency",
        "pseudo_precision",
        "pseudo_boxes",
    ] {
        assert!(terms.contains_key(term), "{terms:?}");
    }
    let other = run("statistics", &["--set", "data.target.style=statistics"]);
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    let told = json(&place.succeed(&[&other[..], &["--json"]].concat()));
    assert!(told["bound"].is_null(), "{told}");
    assert!(student(&place, "statistics") != student(&place, "killed"));
    let mut without = other;
    let target = without.iter().position(|it| *it == "--target").unwrap();
    without.drain(target..target + 2);
    let out = without.iter().position(|it| *it == "statistics").unwrap();
    without[out] = "without";
    let style = without.len() - 2;
    without.truncate(style);
    place.fail(&without, 2, &["--target"]);
}

#[test]
fn an_upper_bound_wants_the_targets_labels_and_can_be_left_out() {
    let place = Place::new();
    for (part, images) in [("train", 16_u8), ("test", 4)] {
        for number in 0..images {
            let pixels = [number * 9, 80, 20].repeat(40 * 30);
            let file = format!("bare/{part}/{number}.ppm");
            place.write(&file, ppm([40, 30], &pixels));
        }
    }
    let run = |target: &str, extra: &[&str]| {
        let own = ["--target", target, "--student", NET, "--method", "ssdayolo"];
        let rest = ["--epochs", "1", "--quiet", "--json"];
        let all = [&["distill"][..], &COMMON, &own, &rest, extra].concat();
        json(&place.succeed(&all))
    };
    let note = |target: &str, extra: &[&str]| {
        let told = run(target, &[extra, &["--dry-run"]].concat());
        let notes = told["notes"].as_array().unwrap();
        let note = |note: &Value| {
            note.as_str()
                .unwrap()
                .strip_prefix("upper bound: ")
                .map(str::to_owned)
        };
        let found: Vec<String> = notes.iter().filter_map(note).collect();
        assert_eq!(found.len(), 1, "{told}");
        found[0].clone()
    };
    let planned = note("scenes:20", &["--baseline", "--seeds", "2"]);
    for part in [
        "bound-SEED",
        "18 images",
        "4 steps",
        "2 epochs",
        "6 trainings in all",
    ] {
        assert!(planned.contains(part), "{part}: {planned}");
    }
    assert!(note("scenes:20", &[]).contains("none, since it is trained beside a baseline"));
    let off = ["--baseline", "--set", "data.target.upper_bound=false"];
    assert!(note("scenes:20", &off).contains("none, as data.target.upper_bound says"));
    assert!(note("bare", &["--baseline"]).contains("none, since the target's images"));

    let told = run("scenes:20", &["--baseline", "--out", "with"]);
    assert!(told["bound"]["ap"][0].is_number(), "{told}");
    for (out, told) in [
        (
            "off",
            run("scenes:20", &[&off[..], &["--out", "off"]].concat()),
        ),
        (
            "bare-run",
            run("bare", &["--baseline", "--out", "bare-run"]),
        ),
    ] {
        assert!(
            told["baseline"].is_object() && told["bound"].is_null(),
            "{told}"
        );
        assert!(results(&place, out)["bounds"].is_null(), "{out}");
        assert!(!place.path(out).join("jobs/bound-0").exists(), "{out}");
        let page = text_of(&place, &format!("{out}/report.html"));
        assert!(!page.contains("Upper bound"), "{out}");
    }
    // What the bound learns changes nothing of the others.
    for job in ["student-0", "baseline-0"] {
        let of = |run: &str| bytes(&place.path(&format!("{run}/jobs/{job}/last.safetensors")));
        assert!(of("with") == of("off"), "{job}");
    }
}

#[test]
fn boxes_are_written_in_every_form_and_nothing_is_overwritten() {
    let place = place_with_teacher();
    let picture = place.path("000007.ppm");
    let scene = limbeck::data::open(
        std::path::Path::new("scenes:20"),
        &limbeck::data::OpenOptions::default(),
    )
    .unwrap();
    let image = scene.test.image(0).unwrap();
    std::fs::write(&picture, ppm([64, 64], &image.pixels)).unwrap();
    let predict = |extra: &[&str]| {
        let own = [
            "predict",
            "000007.ppm",
            "--model",
            "teacher",
            "--confidence",
            "0",
            "--quiet",
        ];
        [&own[..], extra]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let succeed = |extra: &[&str]| {
        let arguments = predict(extra);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.succeed(&arguments)
    };
    let csv = succeed(&[]);
    assert!(
        csv.starts_with("image,label,score,left,top,right,bottom\n"),
        "{csv}"
    );
    assert!(csv.lines().count() > 1, "{csv}");
    let rows = json(&succeed(&["--json"]));
    assert_eq!(
        rows[0]["boxes"].as_array().unwrap().len(),
        csv.lines().count() - 1
    );
    let coco = json(&succeed(&["--format", "coco"]));
    assert_eq!(coco[0]["image_id"], 7);
    assert_eq!(coco[0]["bbox"].as_array().unwrap().len(), 4);
    succeed(&["--format", "yolo", "--out", "out"]);
    let labels = std::fs::read_to_string(place.path("out/labels/000007.txt")).unwrap();
    assert_eq!(labels.lines().count(), csv.lines().count() - 1);
    for row in labels.lines() {
        let numbers: Vec<f64> = row.split(' ').map(|it| it.parse().unwrap()).collect();
        assert_eq!(numbers.len(), 6);
        assert!(
            numbers[1..].iter().all(|it| (0.0..=1.0).contains(it)),
            "{row}"
        );
    }
    assert!(place.path("out/pictures/000007.png").is_file());
    assert!(place.path("out/boxes.json").is_file());
    let fail = |extra: &[&str], code: i32, words: &[&str]| {
        let arguments = predict(extra);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.fail(&arguments, code, words);
    };
    fail(&["--out", "out"], 2, &["exists"]);
    fail(&["--format", "yolo"], 2, &["--out"]);
    fail(&["--overlap", "1.5"], 2, &["--overlap", "0 to 1"]);
    fail(&["--logits"], 2, &["classify"]);
}

#[test]
fn what_cannot_be_learnt_is_said_before_the_first_step() {
    let place = Place::new();
    let train = |extra: &[&str]| {
        [&["train"][..], &COMMON, extra]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let fail = |arguments: Vec<String>, code: i32, words: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.fail(&arguments, code, words);
    };
    fail(
        train(&["--model", "resnet8"]),
        2,
        &["resnet8", "detection", "yolov5"],
    );
    fail(
        train(&["--model", NET, "--set", "augment.size=[60,60]"]),
        2,
        &["32"],
    );
    fail(
        train(&["--model", NET, "--set", "augment.rotation=10"]),
        2,
        &["rotation", "boxes"],
    );
    fail(
        train(&["--model", NET, "--set", "evaluate.overlap=1.2"]),
        2,
        &["evaluate.overlap"],
    );
    fail(
        train(&["--model", NET, "--set", "task.detection.anchors=[[[1,1]]]"]),
        2,
        &["anchors"],
    );
    // Nothing but background.
    let folder = place.path("empty/images");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(place.path("empty/labels")).unwrap();
    for number in 0..12 {
        let pixels = [number * 9, 80, 20].repeat(40 * 30);
        std::fs::write(folder.join(format!("{number}.ppm")), ppm([40, 30], &pixels)).unwrap();
        place.write(&format!("empty/labels/{number}.txt"), "");
    }
    place.write("empty/classes.txt", "cat\n");
    place.fail(
        &["train", "empty", "--model", NET, "--epochs", "1", "--quiet"],
        2,
        &["has a box"],
    );
}

#[test]
fn the_optimiser_follows_the_steps_of_the_run() {
    let place = Place::new();
    let plans = |extra: &[&str], name: &str, rate: f64| {
        let own = ["--model", NET, "--dry-run"];
        let planned = place.succeed(&[&["train"][..], &COMMON, &own, extra].concat());
        let wanted = format!("[optimizer]\nname = \"{name}\"\nlearning_rate = {rate}\n");
        assert!(planned.contains(&wanted), "no {wanted} in {planned}");
    };
    // Six classes: 0.01 / 10.
    plans(&["--epochs", "10"], "adamw", 0.001);
    plans(&["--epochs", "9000"], "sgd", 0.01);
    let rate = ["--epochs", "10", "--set", "optimizer.learning_rate=0.004"];
    plans(&rate, "adamw", 0.004);
    let named = ["--epochs", "10", "--set", "optimizer.name=sgd"];
    plans(&named, "sgd", 0.01);
    let named = ["--epochs", "10", "--set", "optimizer.name=adamw"];
    plans(&named, "adamw", 0.001);
    let other = [
        "train",
        "shapes:60",
        "--model",
        "resnet8",
        "--set",
        "optimizer.name=auto",
    ];
    place.fail(&other, 2, &["auto", "detectors"]);
}
