//! `limbeck embed` and `limbeck fewshot`, through the binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use support::{Place, bytes, text, tiny};
use zip::{ZipWriter, write::SimpleFileOptions};

const CLASSES: usize = 4;
const WIDTH: usize = 32;
const EACH: usize = 30;

/// Normal numbers, always the same.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Features of made images, their labels, and text vectors that point roughly where the classes lie.
struct Made {
    features: Vec<f32>,
    labels: Vec<i64>,
    texts: Vec<f32>,
}

fn made() -> Made {
    let mut noise = Noise(7);
    let centres: Vec<f64> = (0..CLASSES * WIDTH).map(|_| noise.normal()).collect();
    let texts = centres.iter().map(|x| (x + 2.5 * noise.normal()) as f32);
    let texts = texts.collect();
    let labels: Vec<i64> = (0..CLASSES * EACH).map(|i| (i % CLASSES) as i64).collect();
    let mut features = Vec::new();
    for &label in &labels {
        let centre = &centres[label as usize * WIDTH..][..WIDTH];
        features.extend(centre.iter().map(|x| (x + 2.5 * noise.normal()) as f32));
    }
    Made {
        features,
        labels,
        texts,
    }
}

fn le<const N: usize, T: Copy>(numbers: &[T], bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    numbers.iter().flat_map(|&number| bytes(number)).collect()
}

/// A safetensors file of these tensors: name, type, shape, numbers.
fn safetensors(tensors: &[(&str, &str, Vec<usize>, Vec<u8>)], metadata: Value) -> Vec<u8> {
    let mut header = json!({ "__metadata__": metadata });
    let mut data: Vec<u8> = Vec::new();
    for (name, dtype, shape, numbers) in tensors {
        let end = data.len() + numbers.len();
        header[*name] =
            json!({ "dtype": dtype, "shape": shape, "data_offsets": [data.len(), end] });
        data.extend(numbers);
    }
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(data);
    file
}

/// A file as numpy.save writes it.
fn npy(descr: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(numbers);
    file
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    le(numbers, f32::to_le_bytes)
}

fn features_file(made: &Made, metadata: Value) -> Vec<u8> {
    let (count, width) = (made.labels.len(), WIDTH);
    safetensors(
        &[
            (
                "labels",
                "I64",
                vec![count],
                le(&made.labels, i64::to_le_bytes),
            ),
            (
                "features",
                "F32",
                vec![count, width],
                floats(&made.features),
            ),
        ],
        metadata,
    )
}

fn texts_file(texts: &[f32], width: usize) -> Vec<u8> {
    let shape = vec![texts.len() / width, width];
    safetensors(&[("texts", "F32", shape, floats(texts))], json!({}))
}

/// A place with `features.safetensors` and `texts.safetensors`.
fn place() -> Place {
    let (place, made) = (Place::new(), made());
    place.write("features.safetensors", features_file(&made, json!({})));
    place.write("texts.safetensors", texts_file(&made.texts, WIDTH));
    place
}

const FILES: [&str; 4] = [
    "--features",
    "features.safetensors",
    "--texts",
    "texts.safetensors",
];

fn fewshot<'a>(files: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&["fewshot", "--quiet"], files, more].concat()
}

fn report(place: &Place, files: &[&str], more: &[&str]) -> Value {
    let arguments = [&fewshot(files, more)[..], &["--json"]].concat();
    serde_json::from_str(&place.succeed(&arguments)).unwrap()
}

const FEW: [&str; 4] = ["--shots", "1,4", "--draws", "3"];

fn mean(report: &Value, row: usize, what: &str) -> f64 {
    report["rows"][row][what]["mean"].as_f64().unwrap()
}

#[test]
fn everything_is_measured_on_the_same_draws_and_written() {
    let place = place();
    let found = report(
        &place,
        &FILES,
        &["--shots", "1,4,16", "--draws", "6", "--out", "few"],
    );
    let written: Value = serde_json::from_slice(&bytes(&place.path("few/fewshot.json"))).unwrap();
    assert_eq!(found, written);
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    // 16 shots of 30 images of each class leave 14, whatever the number of shots.
    assert_eq!(found["test_images"], 14 * CLASSES);
    for (row, shots) in rows.iter().zip([1, 4, 16]) {
        assert_eq!(row["shots"], shots);
        for what in ["zero_shot", "prototypes", "linear_probe", "sgva"] {
            let values = row[what]["values"].as_array().unwrap();
            assert_eq!(values.len(), 6);
            let [low, high] = [0, 1].map(|end| row[what]["ci95"][end].as_f64().unwrap());
            let mean = row[what]["mean"].as_f64().unwrap();
            assert!(low <= mean && mean <= high && (0.0..=100.0).contains(&mean));
        }
        let difference = mean(&found, 0, "sgva") - mean(&found, 0, "linear_probe");
        assert!((mean(&found, 0, "sgva_minus_linear_probe") - difference).abs() < 1e-9);
        assert_eq!(row["zero_shot"]["values"], rows[0]["zero_shot"]["values"]);
    }
    // Texts that point roughly right and a few images know more together than each alone.
    assert!(mean(&found, 0, "sgva") > mean(&found, 0, "linear_probe"));
    assert!(mean(&found, 1, "sgva") > mean(&found, 1, "zero_shot"));
    assert!(mean(&found, 2, "prototypes") > mean(&found, 0, "prototypes"));
    let alpha = rows[2]["alpha"][0].as_f64().unwrap();
    assert!(alpha != 0.5 && alpha.is_finite(), "{alpha}");

    let table = place.succeed(&fewshot(
        &FILES,
        &["--shots", "2", "--draws", "2", "--out", "b"],
    ));
    assert!(
        table.contains("linear probe") && table.contains("sgva − zero-shot"),
        "{table}"
    );
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let place = place();
    for (threads, out) in [("1", "one"), ("3", "three")] {
        let more = [&FEW[..], &["--threads", threads, "--out", out]].concat();
        report(&place, &FILES, &more);
    }
    let of = |out: &str| bytes(&place.path(out).join("fewshot.json"));
    assert!(of("one") == of("three"));
    let more = [&FEW[..], &["--seed", "1", "--out", "other"]].concat();
    report(&place, &FILES, &more);
    assert!(of("one") != of("other"));
}

#[test]
fn numpy_files_say_the_same() {
    let (place, made) = (place(), made());
    let count = made.labels.len();
    let features = npy(
        "<f4",
        &format!("({count}, {WIDTH})"),
        &floats(&made.features),
    );
    let labels: Vec<i32> = made.labels.iter().map(|&label| label as i32).collect();
    let labels = npy(
        "<i4",
        &format!("({count},)"),
        &le(&labels, i32::to_le_bytes),
    );
    let texts = npy(
        "<f4",
        &format!("({CLASSES}, {WIDTH})"),
        &floats(&made.texts),
    );
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in [("features.npy", &features), ("labels.npy", &labels)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(array).unwrap();
    }
    place.write("both.npz", zip.finish().unwrap().into_inner());
    place.write("f.npy", features);
    place.write("l.npy", labels);
    place.write("t.npy", texts);
    let rows = |files: &[&str], out: &str| {
        let more = [&FEW[..], &["--out", out]].concat();
        report(&place, files, &more)["rows"].clone()
    };
    let expected = rows(&FILES, "a");
    let packed = ["--features", "both.npz", "--texts", "t.npy"];
    assert_eq!(rows(&packed, "b"), expected);
    let alone = [
        "--features",
        "f.npy",
        "--labels",
        "l.npy",
        "--texts",
        "t.npy",
    ];
    assert_eq!(rows(&alone, "c"), expected);
    place.fail(
        &fewshot(
            &["--features", "f.npy", "--texts", "t.npy"],
            &["--out", "d"],
        ),
        2,
        &["f.npy", "--labels"],
    );
}

#[test]
fn images_to_test_on_can_come_from_a_file_of_their_own() {
    let (place, mut other) = (place(), made());
    other.features.truncate(40 * WIDTH);
    other.labels.truncate(40);
    place.write("test.safetensors", features_file(&other, json!({})));
    let more = [&FEW[..], &["--test", "test.safetensors", "--out", "few"]].concat();
    assert_eq!(report(&place, &FILES, &more)["test_images"], 40);
    // All 30 images of a class can be shots then.
    let more = [
        "--shots",
        "30",
        "--draws",
        "1",
        "--test",
        "test.safetensors",
        "--out",
        "all",
    ];
    let all = report(&place, &FILES, &more);
    assert!(all["rows"][0]["sgva"]["ci95"].is_null());
}

#[test]
fn episodes_have_some_of_the_classes() {
    let place = place();
    let more = [
        "--shots",
        "1,5",
        "--way",
        "3",
        "--episodes",
        "5",
        "--queries",
        "4",
        "--out",
        "few",
    ];
    let found = report(&place, &FILES, &more);
    assert_eq!(found["way"], 3);
    assert_eq!(found["test_images"], 12);
    assert_eq!(
        found["rows"][1]["sgva"]["values"].as_array().unwrap().len(),
        5
    );
}

#[test]
fn a_projection_is_undone() {
    let place = place();
    let mut noise = Noise(3);
    let lifted = 40;
    let mut matrix: Vec<f32> = (0..lifted * WIDTH).map(|_| noise.normal() as f32).collect();
    let projection = |name: &str, matrix: &[f32]| {
        let shape = vec![lifted, WIDTH];
        place.write(
            name,
            safetensors(&[("proj", "F32", shape, floats(matrix))], json!({})),
        );
    };
    projection("vit.safetensors", &matrix);
    for row in matrix.chunks_mut(WIDTH) {
        row[1] = row[0];
    }
    projection("deficient.safetensors", &matrix);
    let weight = (0..lifted * WIDTH).map(|_| noise.normal() as f32);
    let linear = [
        (
            "weight",
            "F32",
            vec![WIDTH, lifted],
            floats(&weight.collect::<Vec<_>>()),
        ),
        ("bias", "F32", vec![WIDTH], floats(&[0.1; WIDTH])),
    ];
    place.write("rn.safetensors", safetensors(&linear, json!({})));
    for kind in ["vit", "rn"] {
        let file = format!("{kind}.safetensors");
        let more = [&FEW[..], &["--projection", &file, "--out", kind]].concat();
        let found = report(&place, &FILES, &more);
        assert!(found["warnings"].as_array().unwrap().is_empty());
        assert!(mean(&found, 1, "sgva") > mean(&found, 1, "zero_shot"));
    }
    let more = [
        &FEW[..],
        &["--projection", "deficient.safetensors", "--out", "d"],
    ]
    .concat();
    let finished = place.run(&fewshot(&FILES, &more));
    assert_eq!(finished.code, 0);
    assert!(
        finished.stderr.contains("rank 31 of 32"),
        "{}",
        finished.stderr
    );
    place.write("odd.safetensors", texts_file(&[1.0; 15], 5));
    let more = ["--projection", "odd.safetensors", "--out", "e"];
    place.fail(
        &fewshot(&FILES, &more),
        2,
        &["odd.safetensors", "holds no projection"],
    );
    let narrow = [("proj", "F32", vec![12, 5], floats(&[1.0; 60]))];
    place.write("narrow.safetensors", safetensors(&narrow, json!({})));
    let more = ["--projection", "narrow.safetensors", "--out", "f"];
    place.fail(
        &fewshot(&FILES, &more),
        2,
        &["[12, 5]", "leads to 5 numbers", "have 32"],
    );
}

#[test]
fn the_blend_is_set_or_chosen() {
    let place = place();
    let with = |set: &str, out: &str| {
        let more = ["--shots", "1,8", "--draws", "2", "--set", set, "--out", out];
        report(&place, &FILES, &more)["rows"].clone()
    };
    assert_eq!(with("lambda=0.25", "a")[1]["lambda"], json!([0.25, 0.25]));
    let chosen = with("choose_lambda=true", "b");
    assert_eq!(chosen[0]["lambda"], json!([0.5, 0.5]));
    let lambda = chosen[1]["lambda"][0].as_f64().unwrap();
    assert!((0.0..1.0).contains(&lambda) && lambda != 0.5);
    // Texts that do not learn, without a share of the adapted features, are zero-shot.
    let more = [
        "--shots",
        "1",
        "--draws",
        "2",
        "--set",
        "i2t_weight=0",
        "--set",
        "lambda=0",
    ];
    let fixed = report(&place, &FILES, &[&more[..], &["--out", "d"]].concat());
    assert_eq!(
        fixed["rows"][0]["sgva"]["mean"],
        fixed["rows"][0]["zero_shot"]["mean"]
    );
}

#[test]
fn bad_settings_are_refused_with_a_sentence() {
    let place = place();
    for (more, words) in [
        (
            &["--shots", "30"][..],
            &["class", "30 images", "--test"][..],
        ),
        (&["--shots", "0"], &["--shots", "at least 1"]),
        (&["--draws", "0"], &["--draws", "at least 1"]),
        (&["--way", "5"], &["--way", "2 to the number of classes, 4"]),
        (&["--set", "temperature=0"], &["`temperature`", "above 0"]),
        (&["--set", "lambda=1.5"], &["`lambda`", "from 0 to 1"]),
        (&["--set", "lamda=0.5"], &["lamda", "limbeck methods sgva"]),
        (&["--set", "lambda"], &["KEY=VALUE"]),
        (&["--set", "way=9"], &["`way`", "number of classes, 4"]),
        (
            &["--texts-key", "fc.weight"],
            &["texts.safetensors", "fc.weight"],
        ),
    ] {
        place.fail(
            &fewshot(&FILES, &[more, &["--out", "few"]].concat()),
            2,
            words,
        );
        assert!(!place.path("few").exists());
    }
    place.write("taken/mine.txt", "mine");
    place.fail(
        &fewshot(&FILES, &["--out", "taken"]),
        2,
        &["taken", "exists"],
    );
}

#[test]
fn bad_files_are_refused_by_name_and_count() {
    let place = place();
    let mut number = 0;
    let mut features = |file: Vec<u8>, words: &[&str]| {
        number += 1;
        let name = format!("bad{number}.safetensors");
        place.write(&name, file);
        let files = ["--features", &name, "--texts", "texts.safetensors"];
        let words = [&[name.as_str()], words].concat();
        place.fail(&fewshot(&files, &["--out", "few"]), 2, &words);
    };
    let changed = |change: fn(&mut Made)| {
        let mut made = made();
        change(&mut made);
        features_file(&made, json!({}))
    };
    let good = features_file(&made(), json!({}));
    features(
        changed(|made| made.features[3 * WIDTH + 2] = f32::NAN),
        &["row 3", "NaN"],
    );
    features(
        changed(|made| made.features[..WIDTH].fill(0.0)),
        &["row 0", "all zeros"],
    );
    features(
        changed(|made| made.labels[5] = 4),
        &["row 5 is of class 4", "0 to 3"],
    );
    features(changed(|made| made.labels[5] = -1), &["row 5", "-1"]);
    features(good[..good.len() - 9].to_vec(), &["damaged or not whole"]);
    features(b"a,b\n1,2\n".to_vec(), &["NumPy"]);
    features(Vec::new(), &["empty"]);
    let names = json!({ "names": json!(["a.png"]).to_string() });
    features(
        features_file(&made(), names),
        &["1 names of images for 120 features"],
    );
    let names: Vec<String> = (0..120).map(|i| format!("{i}.png")).collect();
    let names = json!({ "names": json!(names).to_string() });
    let mut odd = made();
    odd.features[WIDTH] = f32::INFINITY;
    features(features_file(&odd, names), &["row 1 (`1.png`)", "inf"]);
    let made = made();
    let few = [
        (
            "labels",
            "I64",
            vec![119],
            le(&made.labels[..119], i64::to_le_bytes),
        ),
        ("features", "F32", vec![120, WIDTH], floats(&made.features)),
    ];
    features(
        safetensors(&few, json!({})),
        &["119 labels for 120 features"],
    );
    features(
        safetensors(&few[..1], json!({})),
        &["no array is called `features`", "`labels`"],
    );
    features(
        safetensors(&few[1..], json!({})),
        &["no array is called `labels`"],
    );
    let flat = [("features", "F32", vec![120 * WIDTH], floats(&made.features))];
    features(safetensors(&flat, json!({})), &["[images, numbers]"]);

    let texts = |file: Vec<u8>, words: &[&str]| {
        place.write("bad.safetensors", file);
        let files = [
            "--features",
            "features.safetensors",
            "--texts",
            "bad.safetensors",
        ];
        place.fail(&fewshot(&files, &["--out", "few"]), 2, words);
    };
    texts(
        texts_file(&made.texts[..120], 10),
        &["32 numbers", "`bad.safetensors` 10"],
    );
    texts(
        texts_file(&made.texts[..3 * WIDTH], WIDTH),
        &["class 3", "classes 0 to 2"],
    );
    texts(
        texts_file(&[0.0; 2 * WIDTH], WIDTH),
        &["class 0", "all zeros"],
    );
    texts(
        texts_file(&[f32::NAN; 2 * WIDTH], WIDTH),
        &["class 0", "NaN"],
    );
    let more: Vec<f32> = made
        .texts
        .iter()
        .chain(&made.texts[..WIDTH])
        .copied()
        .collect();
    texts(texts_file(&more, WIDTH), &["class 4 has 0 images"]);
    place.fail(
        &fewshot(
            &[
                "--features",
                "no.safetensors",
                "--texts",
                "texts.safetensors",
            ],
            &["--out", "x"],
        ),
        2,
        &["no.safetensors"],
    );
}

#[test]
fn images_are_embedded_once_and_whole() {
    let place = Place::new();
    let train = tiny("train", &["--model", "resnet8", "--out", "run"]);
    let train: Vec<&str> = train.iter().map(String::as_str).collect();
    place.succeed(&train);
    let embed = |out: &str, threads: &str| {
        let arguments = [
            "embed",
            "run",
            "shapes:120",
            "--out",
            out,
            "--threads",
            threads,
            "--json",
        ];
        serde_json::from_str::<Value>(&place.succeed(&arguments)).unwrap()
    };
    let told = embed("a.safetensors", "1");
    let (images, width) = (
        told["images"].as_u64().unwrap(),
        told["width"].as_u64().unwrap(),
    );
    assert_eq!(width, 64);
    embed("b.safetensors", "2");
    let file = bytes(&place.path("a.safetensors"));
    assert!(file == bytes(&place.path("b.safetensors")));
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    assert_eq!(header["features"]["shape"], json!([images, width]));
    assert_eq!(header["labels"]["shape"], json!([images]));
    let list = |key: &str| -> Vec<String> {
        serde_json::from_str(header["__metadata__"][key].as_str().unwrap()).unwrap()
    };
    assert_eq!(list("names").len() as u64, images);
    assert_eq!(header["__metadata__"]["model"], "resnet8");
    let classes = list("classes").len();
    place.fail(
        &["embed", "run", "shapes:120", "--out", "a.safetensors"],
        2,
        &["a.safetensors", "never overwritten"],
    );
    place.fail(
        &["embed", "resnet8", "shapes:120", "--out", "c.safetensors"],
        2,
        &["resnet8", "without trained weights"],
    );
    assert!(file == bytes(&place.path("a.safetensors")));

    // The rows of its own classifier are texts that fit.
    let texts = "run/student/model.safetensors";
    let files = [
        "--features",
        "a.safetensors",
        "--texts",
        texts,
        "--texts-key",
        "fc.weight",
    ];
    let found = report(
        &place,
        &files,
        &["--shots", "2", "--draws", "2", "--out", "few"],
    );
    assert_eq!(found["classes"], classes);

    let folder = place.class_folders("data", 3, 4);
    let damaged = place.write("data/train/class1/2.ppm", "P6\n8 8\n255\n");
    let arguments = ["embed", "run", text(&folder), "--out", "d.safetensors"];
    let finished = place.run(&arguments);
    assert_ne!(finished.code, 0);
    assert!(finished.stderr.contains("2.ppm"), "{}", finished.stderr);
    let left: Vec<_> = std::fs::read_dir(place.path(".")).unwrap().collect();
    let left = left.into_iter().map(|entry| entry.unwrap().file_name());
    assert!(
        left.filter(|name| name.to_string_lossy().contains("d.safetensors"))
            .count()
            == 0
    );
    std::fs::remove_file(damaged).unwrap();
    place.succeed(&arguments);
}

#[test]
fn a_run_names_the_command_that_trains_it() {
    let place = Place::new();
    let distill = tiny("distill", &["--student", "resnet8", "--method", "sgva"]);
    let distill: Vec<&str> = distill.iter().map(String::as_str).collect();
    place.fail(&distill, 2, &["sgva", "limbeck fewshot"]);
    let page = place.succeed(&["methods", "sgva"]);
    assert!(page.contains("Trained by: limbeck fewshot."), "{page}");
    let listed = place.succeed(&["methods"]);
    assert!(listed.contains("Features in files"), "{listed}");
    let json: Value = serde_json::from_str(&place.succeed(&["methods", "sgva", "--json"])).unwrap();
    assert_eq!(json["command"], "limbeck fewshot");
}
