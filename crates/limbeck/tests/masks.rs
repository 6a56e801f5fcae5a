//! Segmentation through the binary: training, masks of one's own pictures, figures for machines, and
//! what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use serde_json::Value;
use support::{Place, bytes};

const USAGE: i32 = 2;

/// A distilled run of small scenes in the folder `run`; what `--json` says of it.
fn distilled(place: &Place) -> Value {
    let told = place.succeed(&[
        "distill",
        "scenes:40",
        "--teacher",
        "pspnet_resnet18_x0.125",
        "--student",
        "pspnet_resnet18_x0.0625",
        "--method",
        "kd",
        "--baseline",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--out",
        "run",
        "--json",
        "--quiet",
    ]);
    serde_json::from_str(&told).unwrap()
}

/// Writes a picture of `height` rows that gets darker to the right.
fn picture(place: &Place, name: &str, [height, width]: [usize; 2]) {
    let mut file = format!("P6\n{width} {height}\n255\n").into_bytes();
    for pixel in 0..height * width {
        let shade = (255 - 255 * (pixel % width) / width) as u8;
        file.extend([shade, 90, 255 - shade]);
    }
    place.write(name, file);
}

/// Width, height, depth and colour type of a PNG file: type 3 has a palette, 2 colours.
fn header(file: &[u8]) -> (u32, u32, u8, u8) {
    assert_eq!(&file[1..4], b"PNG");
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    (number(16), number(20), file[24], file[25])
}

#[test]
fn a_run_is_told_in_iou_and_its_model_segments_pictures_of_any_size() {
    let place = Place::new();
    let told = distilled(&place);
    for who in ["student", "baseline"] {
        let miou = told[who]["miou"].as_array().unwrap();
        assert_eq!(miou.len(), 1);
        assert!((0.0..=100.0).contains(&miou[0].as_f64().unwrap()));
    }
    assert!(told["teacher"]["miou"].is_f64() && told["gain"]["mean"].is_f64());
    let page = String::from_utf8(bytes(&place.path("run/report.html"))).unwrap();
    for part in [
        "mean IoU on the test images",
        "id=\"pictures\"",
        "id=\"classes\"",
        "test pixels of each class",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }

    let measured = place.succeed(&["eval", "scenes:40", "--model", "run", "--json"]);
    let measured: Value = serde_json::from_str(&measured).unwrap();
    assert_eq!(measured["miou"], told["student"]["miou"][0]);
    assert_eq!(
        measured["classes"].as_array().unwrap().len(),
        measured["per_class"].as_array().unwrap().len()
    );
    let text = place.succeed(&["eval", "scenes:40", "--model", "run"]);
    assert!(
        text.contains("IoU of each class") && text.contains("triangle"),
        "{text}"
    );

    picture(&place, "pictures/a.ppm", [30, 50]);
    picture(&place, "pictures/sub/a.ppm", [64, 40]);
    place.succeed(&["predict", "pictures", "--model", "run", "--out", "out"]);
    for (name, size) in [("a.png", (50, 30)), ("sub/a.png", (40, 64))] {
        let mask = bytes(&place.path(&format!("out/masks/{name}")));
        let overlay = bytes(&place.path(&format!("out/overlays/{name}")));
        assert_eq!(header(&mask), (size.0, size.1, 8, 3));
        assert_eq!(header(&overlay), (size.0, size.1, 8, 2));
    }
    let shares = String::from_utf8(bytes(&place.path("out/shares.json"))).unwrap();
    let shares: Value = serde_json::from_str(&shares).unwrap();
    for image in shares.as_array().unwrap() {
        let classes = image["classes"].as_array().unwrap();
        let sum: f64 = classes
            .iter()
            .map(|class| class["share"].as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-9, "{image}");
        let pixels: u64 = classes
            .iter()
            .map(|class| class["pixels"].as_u64().unwrap())
            .sum();
        let sides = ["height", "width"].map(|side| image[side].as_u64().unwrap());
        assert_eq!(pixels, sides[0] * sides[1]);
        assert!(
            place
                .path("out")
                .join(image["mask"].as_str().unwrap())
                .is_file()
        );
    }
    let rows = place.succeed(&["predict", "pictures/a.ppm", "--model", "run", "--top", "1"]);
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!((rows[0], rows.len()), ("image,rank,label,share", 2));

    let again = ["predict", "pictures", "--model", "run", "--out", "out"];
    place.fail(&again, USAGE, &["`out` exists"]);
    let logits = ["predict", "pictures", "--model", "run", "--logits"];
    place.fail(&logits, USAGE, &["--logits"]);
    let other = ["eval", "shapes:40", "--model", "run"];
    place.fail(
        &other,
        USAGE,
        &["`run` is for segmentation", "classification"],
    );
    place.write("broken.ppm", b"P6\n9 9\n255\nxx");
    let damaged = [
        "predict",
        "pictures/a.ppm",
        "broken.ppm",
        "--model",
        "run",
        "--out",
        "half",
    ];
    place.fail(
        &damaged,
        1,
        &["broken.ppm", "1 of 2 images could not be read"],
    );
    assert!(place.path("half/masks/a.png").is_file());
}

#[test]
fn what_does_not_serve_masks_is_refused_with_what_does() {
    let place = Place::new();
    let run = |student: &'static str, method: &'static str| {
        let mut all = vec![
            "distill",
            "scenes:40",
            "--teacher",
            "pspnet_resnet18_x0.125",
        ];
        all.extend(["--student", student, "--method", method, "--dry-run"]);
        all
    };
    place.fail(
        &run("resnet8", "kd"),
        USAGE,
        &[
            "`resnet8` is for classification",
            "models that fit: `pspnet_…`",
            "`segformer_b0` to `segformer_b5`",
        ],
    );
    place.fail(
        &run("pspnet_resnet18_x0.0625", "crd"),
        USAGE,
        &["crd", "kd"],
    );
    place.fail(
        &[
            "distill",
            "shapes:40",
            "--teacher",
            "resnet8",
            "--student",
            "pspnet_resnet18",
            "--dry-run",
        ],
        USAGE,
        &["`pspnet_resnet18` is for segmentation"],
    );
    let cached = [
        "distill",
        "scenes:40",
        "--teacher",
        "cache:somewhere",
        "--teacher-backbone",
        "weights.pth",
        "--student",
        "pspnet_resnet18_x0.0625",
        "--dry-run",
    ];
    place.fail(
        &cached,
        USAGE,
        &["teacher.backbone", "`weights.pth`", "cache"],
    );
    let new = ["new", "scenes:40", "--student", "resnet8", "--out", "-"];
    place.fail(
        &new,
        USAGE,
        &["`resnet8` is for classification", "limbeck models"],
    );
}

#[test]
fn lists_say_which_task_is_served() {
    let place = Place::new();
    let models = place.succeed(&["models"]);
    let (classifiers, segmenters) = models.split_once("segmentation:").unwrap();
    assert!(classifiers.contains("resnet8x4") && !classifiers.contains("pspnet_resnet18"));
    assert!(segmenters.contains("pspnet_resnet18") && segmenters.contains("segformer_b0"));
    let listed: Value = serde_json::from_str(&place.succeed(&["models", "--json"])).unwrap();
    let task = |name: &str| {
        let mut all = listed.as_array().unwrap().iter();
        all.find(|model| model["name"] == name).unwrap()["task"].clone()
    };
    assert_eq!(
        (task("resnet8"), task("segformer_b0"), task("yolov5n")),
        (
            "classification".into(),
            "segmentation".into(),
            "detection".into()
        )
    );
    let methods = place.succeed(&["methods"]);
    let line = |id: &str| {
        let mut lines = methods
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines
            .find(|words| words.first() == Some(&id) || words.get(1) == Some(&id))
            .unwrap()
    };
    assert!(line("kd").contains(&"csd-") && line("crd").contains(&"c---"));
    assert!(
        place
            .succeed(&["methods", "kd"])
            .contains("Tasks: classification, segmentation, detection.")
    );
}

#[test]
fn a_resumed_run_tells_what_an_undisturbed_one_tells() {
    let place = Place::new();
    for part in ["train", "val", "test"] {
        for number in 0..4 {
            picture(
                &place,
                &format!("data/images/{part}/{number}.ppm"),
                [32, 40],
            );
            let mut mask = b"P5 40 32 255\n".to_vec();
            mask.extend((0..32 * 40).map(|pixel| u8::from(pixel % 40 > 16 + number)));
            place.write(&format!("data/masks/{part}/{number}.pgm"), mask);
        }
    }
    place.write("data/classes.txt", "left\nright\n");
    let run = ["train", "data", "--model", "pspnet_resnet18_x0.04"];
    let short = ["--epochs", "1", "--batch", "4", "--threads", "1", "--quiet"];
    let told = |folder: &str| -> [String; 2] {
        let results = bytes(&place.path(folder).join("results.json"));
        let results: Value = serde_json::from_slice(&results).unwrap();
        let pictures = results["segmented"].as_array().unwrap();
        let names: Vec<&str> = pictures
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        [names.join(" "), results["recipe"].to_string()]
    };
    place.succeed(&[&run[..], &short, &["--out", "run"]].concat());
    let undisturbed = told("run");
    assert_eq!(
        undisturbed[0],
        [0, 1, 2, 3]
            .map(|number| format!("images/test/{number}.ppm"))
            .join(" ")
    );
    // What is left of a run that was killed before it had told anything, resumed from elsewhere.
    std::fs::remove_file(place.path("run/results.json")).unwrap();
    place.write("elsewhere/empty", "");
    let mut resume = place.command(&["resume", "../run", "--quiet"]);
    let resumed = resume
        .current_dir(place.path("elsewhere"))
        .output()
        .unwrap();
    assert!(resumed.status.success(), "{resumed:?}");
    assert_eq!(told("run"), undisturbed);
}

/// A folder of 24 pictures of 48×64 pixels and masks in which pixel `i` of picture `n` is `id(n, i)`.
fn folder(place: &Place, name: &str, id: impl Fn(usize, usize) -> u8) {
    for number in 0..24 {
        picture(place, &format!("{name}/images/{number}.ppm"), [48, 64]);
        let mut mask = b"P5 64 48 255\n".to_vec();
        mask.extend((0..48 * 64).map(|pixel| id(number, pixel)));
        place.write(&format!("{name}/masks/{number}.pgm"), mask);
    }
    place.write(&format!("{name}/classes.txt"), "left\nright\n");
}

fn halves(_: usize, pixel: usize) -> u8 {
    u8::from(pixel % 64 >= 32)
}

#[test]
fn masks_without_a_class_are_refused_and_crops_beyond_every_image_are_told() {
    let place = Place::new();
    let train = |data: &'static str| ["train", data, "--model", "pspnet_resnet18_x0.04"];
    folder(&place, "void", |_, _| 255);
    let refused = place.fail(&train("void"), USAGE, &["masks to learn from are void"]);
    assert!(!refused.contains("epoch"), "{refused}");
    // One pixel of one mask is enough to go on.
    folder(&place, "rare", |_, pixel| if pixel == 7 { 1 } else { 255 });
    let small = ["--dry-run", "--set", "augment.size=[48,64]"];
    let told = place.run(&[&train("rare")[..], &small].concat());
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(!told.stderr.contains("padded"), "{}", told.stderr);
    let large = ["--dry-run", "--set", "augment.size=[100,100]"];
    let told = place.run(&[&train("rare")[..], &large].concat());
    assert_eq!(told.code, 0, "{}", told.stderr);
    let sizes = "crops of 100×100 are larger than every image, of which the largest sides are 48×64 and \
                 at most 2 times that";
    assert!(told.stderr.contains(sizes), "{}", told.stderr);
    // Images may be twice as large: some crops are within.
    let within = ["--dry-run", "--set", "augment.size=[90,120]"];
    let told = place.run(&[&train("rare")[..], &within].concat());
    assert!(!told.stderr.contains("padded"), "{}", told.stderr);
}

#[test]
fn a_teacher_of_other_order_is_refused_and_one_of_other_sizes_told() {
    let place = Place::new();
    folder(&place, "data", halves);
    place.succeed(&[
        "train",
        "data",
        "--model",
        "pspnet_resnet18_x0.04",
        "--epochs",
        "1",
        "--batch",
        "4",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "run",
        "--set",
        "data.scale=0.5",
    ]);
    let distill = [
        "distill",
        "data",
        "--teacher",
        "run",
        "--student",
        "pspnet_resnet18_x0.04",
        "--dry-run",
    ];
    let told = place.run(&distill);
    assert_eq!(told.code, 0, "{}", told.stderr);
    for words in [
        "trained on images read at 0.5 of their size (data.scale), this run reads them at 1",
        "trained on crops of 24×32 pixels (augment.size), this run takes 48×64",
    ] {
        assert!(
            told.stderr.contains(words),
            "no `{words}` in\n{}",
            told.stderr
        );
    }
    let same = [&distill[..], &["--set", "data.scale=0.5"]].concat();
    let told = place.run(&same);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(!told.stderr.contains("was trained on"), "{}", told.stderr);
    place.write("data/classes.txt", "right\nleft\n");
    place.fail(
        &same,
        USAGE,
        &[
            "another order",
            "`left` is its class 0 and the data's 1",
            "`right` is its class 1 and the data's 0",
        ],
    );
}

#[test]
fn predict_takes_the_images_of_a_data_set_and_not_its_masks() {
    let place = Place::new();
    distilled(&place);
    for number in 0..3 {
        picture(&place, &format!("data/images/{number}.ppm"), [48, 64]);
        picture(&place, &format!("data/masks/{number}.ppm"), [48, 64]);
        picture(&place, &format!("data/instances/{number}.ppm"), [48, 64]);
    }
    let told = place.run(&["predict", "data", "--model", "run", "--out", "out"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    for words in ["left out: 3 masks of the images, such as", "instances"] {
        assert!(
            told.stderr.contains(words),
            "no `{words}` in\n{}",
            told.stderr
        );
    }
    let shares: Value = serde_json::from_slice(&bytes(&place.path("out/shares.json"))).unwrap();
    let names: Vec<&str> = (shares.as_array().unwrap().iter())
        .map(|image| image["image"].as_str().unwrap())
        .collect();
    let expected = [0, 1, 2].map(|number| format!("data/images/{number}.ppm"));
    assert_eq!(names, expected);
    // A folder of masks that is named itself is what was asked for.
    let rows = place.succeed(&["predict", "data/masks", "--model", "run", "--top", "1"]);
    assert_eq!(rows.lines().count(), 4);
}
