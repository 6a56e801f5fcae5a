//! LabelMe's JSON.

use limbeck_data::BoxProblem;
use serde_json::{Value, json};

use crate::made::{Made, boxes, image, parts, problems};

fn shape(label: &str, kind: Value, points: &[[f64; 2]]) -> Value {
    json!({"label": label, "shape_type": kind, "points": points, "group_id": null, "flags": {}})
}

fn file(image: &str, shapes: &[Value]) -> String {
    json!({"imagePath": image, "imageWidth": 40, "imageHeight": 20, "imageData": null, "shapes": shapes})
        .to_string()
}

fn rectangle(label: &str) -> Value {
    shape(label, json!("rectangle"), &[[10.0, 12.0], [4.0, 2.0]])
}

#[test]
fn boxes_are_drawn_around_shapes() {
    let made = Made::new();
    let mut hard = shape("b", json!("polygon"), &[[1.0, 1.0], [5.0, 2.0], [3.0, 7.0]]);
    hard["flags"]["difficult"] = json!(true);
    let grouped = |left: f64| {
        let mut part = shape("b", json!("rectangle"), &[[left, 3.0], [left + 2.0, 8.0]]);
        part["group_id"] = json!(4);
        part
    };
    let shapes = [
        rectangle("a"),
        hard,
        shape("a", Value::Null, &[[8.0, 8.0], [12.0, 8.0], [12.0, 12.0]]),
        shape("a", json!("circle"), &[[20.0, 10.0], [23.0, 14.0]]),
        grouped(2.0),
        shape("a", json!("mask"), &[[1.0, 1.0], [4.0, 3.0]]),
        grouped(30.0),
    ];
    made.image("a.jpg").text("a.json", &file("a.jpg", &shapes));
    let found = made.found();
    assert_eq!(found.classes, ["a", "b"]);
    assert_eq!(
        boxes(&found, "a.jpg"),
        [
            (0, [4.0, 2.0, 10.0, 12.0]),
            (1, [1.0, 1.0, 5.0, 7.0]),
            (0, [8.0, 8.0, 12.0, 12.0]),
            (0, [15.0, 5.0, 25.0, 15.0]),
            (1, [2.0, 3.0, 32.0, 8.0]),
            (0, [1.0, 1.0, 5.0, 4.0]),
        ]
    );
    assert!(image(&found, "a.jpg").boxes[1].difficult);
    assert!(problems(&found, "train").is_empty());
}

#[test]
fn what_is_no_object_is_told_by_its_place() {
    let made = Made::new();
    let shapes = [
        rectangle("a"),
        shape("a", json!("point"), &[[1.0, 2.0]]),
        shape("a", json!("rectangle"), &[[1.0, 2.0], [1.0, 9.0]]),
        rectangle("__ignore__"),
        rectangle("A "),
        shape(
            "a",
            json!("polygon"),
            &[[-30.0, 1.0], [5.0, 2.0], [3.0, 7.0]],
        ),
    ];
    made.image("a.jpg")
        .text("a.json", &file("other.jpg", &shapes));
    made.image("bare.jpg")
        .text("lost.json", &file("lost.jpg", &[]));
    let found = made.found();
    assert_eq!(found.classes, ["a"]);
    let of = |problem, number| (problem, 1, format!("a.json, object {number}"));
    assert_eq!(
        problems(&found, "train"),
        [
            of(BoxProblem::ZeroSize, 3),
            of(BoxProblem::Duplicate, 5),
            of(BoxProblem::NoBox, 2),
            of(BoxProblem::Ignored, 4),
            (BoxProblem::MissingImage, 1, "lost.json".to_owned()),
            (BoxProblem::NotAnnotated, 1, "bare.jpg".to_owned()),
            of(BoxProblem::Clipped, 6),
            of(BoxProblem::Spelling, 5),
            (BoxProblem::OtherName, 1, "a.json".to_owned()),
        ]
    );
}

#[test]
fn images_are_found_by_name_or_by_a_path_of_any_machine_and_folders_are_parts() {
    let made = Made::new();
    made.text("labels.txt", "__ignore__\n_background_\nb\na\n");
    made.image("train/a.jpg")
        .text("train/a.json", &file("a.jpg", &[rectangle("a")]));
    made.image("images/c.jpg");
    made.text("val/x.json", &file("..\\images\\c.jpg", &[rectangle("a")]));
    let found = made.found();
    assert_eq!(found.classes, ["b", "a"]);
    assert_eq!(parts(&found), [("train", 1), ("test", 1)]);
    assert_eq!(boxes(&found, "a.jpg"), [(1, [4.0, 2.0, 10.0, 12.0])]);
}

#[test]
fn two_files_for_one_image_are_refused() {
    let made = Made::new();
    made.image("a.jpg")
        .text("a.json", &file("a.jpg", &[rectangle("a")]));
    made.text("b.json", &file("a.jpg", &[rectangle("a")]));
    assert!(
        made.error().contains("a.jpg: its boxes are given twice"),
        "{}",
        made.error()
    );
}

#[test]
fn a_letter_across_the_first_block_of_a_file_hides_nothing() {
    let made = Made::new();
    made.image("a.jpg");
    for pad in ["", "x"] {
        let text = file("a.jpg", &[rectangle("a")]);
        let text = text.replacen(
            '{',
            &format!("{{\"author\": \"{pad}{}\",", "\u{e9}".repeat(5000)),
            1,
        );
        // What says that it is LabelMe's comes before.
        let text = text.replacen('{', "{\"imagePath\": \"a.jpg\",", 1);
        made.text("a.json", &text);
        assert_eq!(parts(&made.found()), [("train", 1)]);
    }
}
