//! What `limbeck check` says of a data set and of a teacher.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use serde_json::Value;
use support::{Place, bytes};

const FAILED: i32 = 1;

fn check(place: &Place, arguments: &[&str]) -> Value {
    let arguments = [&["check"], arguments, &["--threads", "2", "--json"]].concat();
    serde_json::from_str(&place.succeed(&arguments)).unwrap()
}

#[test]
fn what_a_data_set_holds_is_told_part_by_part() {
    let place = Place::new();
    place.class_folders("set", 3, 4);
    place.write("set/train/class0/notes.txt", "text");
    let told = place.succeed(&["check", "set"]);
    for line in [
        "set (images)",
        "1 .txt), such as train/class0/notes.txt",
        "train: 12 images",
        "test: 12 images",
        "size           8×8 pixels",
        "classes        3, 4 images each",
    ] {
        assert!(told.contains(line), "no `{line}` in\n{told}");
    }
    let data = &check(&place, &["set"])["data"];
    assert_eq!(data["labels"], true);
    assert_eq!(data["parts"][0]["classes"][2]["images"], 4);
    // Of `picture`: the third channel is 90 everywhere.
    let mean = data["parts"][0]["mean"][2].as_f64().unwrap();
    assert!((mean - 90.0 / 255.0).abs() < 1e-12, "{mean}");
    assert!(data["parts"][0]["deviation"][2].as_f64().unwrap() < 1e-7);
}

#[test]
fn images_that_are_in_two_parts_are_found_by_file_and_by_pixels() {
    let place = Place::new();
    let data = place.class_folders("set", 2, 3);
    // In the support's sets both parts are the same; these become different images.
    for class in 0..2 {
        for image in 0..3u8 {
            let file = format!("set/test/class{class}/{image}.ppm");
            place.write(&file, one_pixel(b"P6\n1 1\n255\n", [class, 77, image]));
        }
    }
    let told = place.succeed(&["check", "set"]);
    assert!(told.contains("duplicates: none"), "{told}");
    // The same file under another class, and the same pixels in another file.
    place.write(
        "set/test/class1/copy.ppm",
        bytes(&data.join("train/class0/0.ppm")),
    );
    place.write(
        "set/train/class0/p.ppm",
        one_pixel(b"P6\n1 1\n255\n", [1, 2, 3]),
    );
    place.write(
        "set/test/class0/q.ppm",
        one_pixel(b"P6\n# again\n1 1\n255\n", [1, 2, 3]),
    );
    let duplicates = &check(&place, &["set"])["data"]["duplicates"];
    assert_eq!(duplicates.as_array().unwrap().len(), 1, "{duplicates}");
    let found = &duplicates[0];
    assert_eq!([&found["of"], &found["again_in"]], ["train", "test"]);
    assert_eq!(found["same_file"]["count"], 1);
    assert_eq!(found["same_pixels"]["count"], 1);
    assert_eq!(found["other_class"], 1);
    let told = place.succeed(&["check", "set"]);
    assert!(
        told.contains("2 images of test ARE ALSO IN train"),
        "{told}"
    );
    assert!(told.contains("1 UNDER ANOTHER CLASS"), "{told}");
}

fn one_pixel(header: &[u8], colour: [u8; 3]) -> Vec<u8> {
    [header, &colour].concat()
}

#[test]
fn images_of_one_colour_and_images_that_cannot_be_used_are_named() {
    let place = Place::new();
    place.class_folders("set", 2, 3);
    place.write(
        "set/train/class0/grey.ppm",
        [b"P6\n2 1\n255\n".as_slice(), &[9; 6]].concat(),
    );
    let told = place.succeed(&["check", "set"]);
    assert!(
        told.contains("of one colour  1 images") && told.contains("grey.ppm"),
        "{told}"
    );
    place.write("set/train/class1/cut.ppm", b"P6\n9 9\n255\n");
    let told = place.fail(&["check", "set"], FAILED, &["one image cannot be used"]);
    assert!(!told.contains("panicked"));
    let finished = place.run(&["check", "set"]);
    assert!(finished.stdout.contains("NOT USABLE") && finished.stdout.contains("cut.ppm"));
}

#[test]
fn labels_out_of_range_are_named() {
    let place = Place::new();
    place.idx("digits", 40, |index| {
        if index == 7 { 200 } else { (index % 10) as u8 }
    });
    place.fail(&["check", "digits"], FAILED, &["image 7 has label 200"]);
}

#[test]
fn a_teacher_at_chance_is_told_loudly_and_before_training() {
    let place = Place::new();
    place.succeed(&[
        "train",
        "shapes:200",
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--set",
        "optimizer.learning_rate=1e-9",
        "--out",
        "teacher",
    ]);
    let told = check(&place, &["shapes:400", "--teacher", "teacher"]);
    let teacher = &told["teacher"];
    assert_eq!(teacher["images"], 200);
    let warning = teacher["warning"].as_str().unwrap();
    assert!(warning.contains("NO BETTER THAN GUESSING"), "{warning}");
    let finished = place.run(&[
        "distill",
        "shapes:200",
        "--teacher",
        "teacher",
        "--student",
        "resnet8",
        "--epochs",
        "1",
        "--threads",
        "1",
    ]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("NO BETTER THAN GUESSING"),
        "{}",
        finished.stderr
    );
}

#[test]
fn of_pictures_without_labels_a_teacher_says_how_sure_it_is() {
    let place = Place::new();
    place.succeed(&[
        "train",
        "shapes:100",
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "teacher",
    ]);
    let set = place.class_folders("set", 1, 6);
    std::fs::rename(set.join("train/class0"), place.path("pictures")).unwrap();
    let told = check(&place, &["pictures", "--teacher", "teacher"]);
    assert_eq!(told["data"]["labels"], false);
    assert!(told["teacher"]["right"].is_null());
    assert_eq!(told["teacher"]["classes"], 10);
    let sure = told["teacher"]["sure"].as_f64().unwrap();
    assert!((10.0..=100.0).contains(&sure), "{sure}");
}

#[test]
fn masks_are_told_by_class_and_drawn_over_their_images() {
    let place = Place::new();
    let told = place.succeed(&["check", "scenes:24", "--threads", "2", "--out", "page.html"]);
    for line in [
        "scenes (generated)",
        "train: 24 images",
        "test: 12 images",
        "masks          7 classes;",
        "0  ground ",
        "6  star ",
    ] {
        assert!(told.contains(line), "no `{line}` in\n{told}");
    }
    let page = String::from_utf8(bytes(&place.path("page.html"))).unwrap();
    // Twelve pictures, each with its mask.
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 24);
    assert_eq!(page.matches("class=\"mask\"").count(), 12);
    let twice = ["check", "scenes:24", "--out", "page.html"];
    place.fail(&twice, FAILED, &["`page.html` exists"]);
    let data = &check(&place, &["scenes:24"])["data"];
    let masks = &data["parts"][0]["masks"];
    let shares: f64 = masks["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["pixels"].as_f64().unwrap())
        .sum();
    assert!((shares + masks["void"].as_f64().unwrap() - 100.0).abs() < 1e-6);
    assert_eq!(data["labels"], true);
}

#[test]
fn pictures_of_classes_are_drawn_with_their_class() {
    let place = Place::new();
    place.class_folders("set", 3, 4);
    place.succeed(&["check", "set", "--threads", "2", "--out", "page.html"]);
    let page = String::from_utf8(bytes(&place.path("page.html"))).unwrap();
    assert!(page.contains("class2") && !page.contains("class=\"mask\""));
}

#[test]
fn the_page_shows_foregrounds_beside_the_pictures_where_they_are_asked_for() {
    let place = Place::new();
    place.class_folders("set", 2, 2);
    place.succeed(&["check", "set", "--out", "plain.html"]);
    place.succeed(&[
        "check",
        "set",
        "--out",
        "page.html",
        "--saliency",
        "estimated",
    ]);
    let pictures = |name: &str| {
        let page = String::from_utf8(bytes(&place.path(name))).unwrap();
        page.matches("data:image/png").count()
    };
    assert_eq!(pictures("page.html"), 2 * pictures("plain.html"));
    let words = ["class0/0.ppm", "saliency"];
    let arguments = ["check", "set", "--out", "files.html", "--saliency", "files"];
    place.fail(&arguments, FAILED, &words);
    assert!(!place.path("files.html").exists());
}

#[test]
fn boxes_are_told_by_class_and_size_and_drawn_over_their_images() {
    let place = Place::new();
    let arguments = ["scenes:24", "--task", "detection"];
    let command = [
        &["check"][..],
        &arguments,
        &["--threads", "2", "--out", "page.html"],
    ]
    .concat();
    let told = place.succeed(&command);
    for line in [
        "train: 24 images",
        "  boxes          ",
        "of 6 classes in ",
        "    star ",
        "small (below 32² pixels)",
        "from 1/2",
        "  anchors        YOLOv5's can learn ",
    ] {
        assert!(told.contains(line), "no `{line}` in\n{told}");
    }
    let page = String::from_utf8(bytes(&place.path("page.html"))).unwrap();
    assert_eq!(page.matches("class=\"boxes\"").count(), 12);
    assert!(page.contains("<title>star</title>") && page.contains("anchors: YOLOv5's"));
    let told = check(&place, &arguments);
    let boxes = &told["data"]["parts"][0]["boxes"];
    let sum = |key: &str| {
        let all = boxes["by_class"].as_array().unwrap().iter();
        all.map(|class| class[key].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(Some(sum("boxes")), boxes["boxes"].as_u64());
    let lengths = boxes["lengths"].as_array().unwrap().iter();
    let lengths: u64 = lengths.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(lengths, sum("boxes"));
    let learnt = &told["anchors"][0]["learnt"];
    assert_eq!(learnt[0]["side"], 640);
    assert!((0.0..=100.0).contains(&learnt[2]["percent"].as_f64().unwrap()));
}
