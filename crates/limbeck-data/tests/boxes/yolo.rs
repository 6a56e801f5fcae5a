//! YOLO's text files.

use limbeck_data::{BoxProblem, OpenOptions, find_boxes, open};

use crate::made::{Made, boxes, notes, parts, problems};

const YAML: &str = "path: .\ntrain: images/train\nval: images/val\nnames: {0: a, 1: b}\nnc: 2\n";

#[test]
fn labels_lie_in_the_place_of_the_images() {
    let made = Made::new();
    made.text("data.yaml", YAML);
    made.images("images/train/day", 4).images("images/val", 1);
    made.text(
        "labels/train/day/0.txt",
        "1 0.5 0.5 0.5 0.5\n0 0.25 0.5 0.25 1\n",
    );
    made.text("labels/train/day/1.txt", "0 0.5 0.25 0.75 0.5 0.25 0.75\n");
    made.text("labels/train/day/2.txt", "");
    made.text("labels/val/0.txt", "0 0.5 0.5 0.5 0.5");
    let found = made.found();
    assert_eq!(found.classes, ["a", "b"]);
    assert_eq!(parts(&found), [("train", 4), ("test", 1)]);
    assert_eq!(
        boxes(&found, "day/0.png"),
        [(1, [10.0, 5.0, 30.0, 15.0]), (0, [5.0, 0.0, 15.0, 20.0])]
    );
    assert_eq!(boxes(&found, "day/1.png"), [(0, [10.0, 5.0, 30.0, 15.0])]);
    assert!(boxes(&found, "day/2.png").is_empty());
    assert_eq!(
        problems(&found, "train"),
        [(BoxProblem::NoLabels, 1, "3.png".to_owned())]
    );
    let by_file = find_boxes(&made.path().join("data.yaml")).unwrap();
    assert_eq!(parts(&by_file), parts(&found));
}

#[test]
fn every_line_that_is_no_box_is_told_by_its_number() {
    let made = Made::new();
    made.text("data.yaml", YAML)
        .images("images/train", 1)
        .images("images/val", 1);
    made.text("labels/val/0.txt", "");
    made.text(
        "labels/train/0.txt",
        "0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0 0.5\n0 0.5 0.5 0.5 -0.5\n\n0 -0.5 0.5 0.5 0.5\n\
         0 0.5 0.5 0.5 0.5\n0 0.9 0.5 0.5 0.5\n0 nan 0.5 0.5 0.5\n",
    );
    let found = made.found();
    assert_eq!(
        boxes(&found, "0.png"),
        [(0, [10.0, 5.0, 30.0, 15.0]), (0, [26.0, 5.0, 40.0, 15.0])]
    );
    let of = |problem, line| (problem, 1, format!("0.txt, line {line}"));
    assert_eq!(
        problems(&found, "train"),
        [
            of(BoxProblem::ZeroSize, 2),
            of(BoxProblem::NegativeSize, 3),
            of(BoxProblem::NotFinite, 8),
            of(BoxProblem::Outside, 5),
            of(BoxProblem::Duplicate, 6),
            of(BoxProblem::Clipped, 7),
        ]
    );
}

#[test]
fn pixels_and_unknown_classes_are_refused_by_file_and_line() {
    let made = Made::new();
    made.text("data.yaml", YAML)
        .images("images/train", 1)
        .images("images/val", 1);
    let error = |text: &str| made.text("labels/train/0.txt", text).error();
    let pixels = error("0 0.5 0.5 0.5 0.5\n0 20 10 8 8\n");
    assert!(
        pixels.contains("0.txt is damaged: line 2: `20` is greater than 1"),
        "{pixels}"
    );
    assert!(pixels.contains("if these are pixels, divide"), "{pixels}");
    let class = error("2 0.5 0.5 0.5 0.5\n");
    assert!(
        class.contains("line 1: its class is 2") && class.contains("0 to 1"),
        "{class}"
    );
    std::fs::remove_file(made.path().join("labels/train/0.txt")).unwrap();
    assert!(
        made.error()
            .contains("none of 1 images has a file of labels"),
        "{}",
        made.error()
    );
}

#[test]
fn parts_are_folders_lists_or_several_of_both() {
    let made = Made::new();
    made.images("images/a", 2).images("images/b", 3);
    for (place, count) in [("a", 2), ("b", 3)] {
        for number in 0..count {
            made.text(&format!("labels/{place}/{number}.txt"), "0 0.5 0.5 0.5 0.5");
        }
    }
    made.text(
        "lists/b.txt",
        "./images/b/0.png\n/root/elsewhere/images/b/1.png\nimages/b/9.png\n\n",
    );
    made.text("lists/val.txt", "images\\b\\2.png\r\nimages/b/./2.png\r\n");
    made.text(
        "set.yaml",
        "train: [images/a, lists/b.txt]\nval: lists/val.txt\nnames: [x]\n",
    );
    let found = made.found();
    assert_eq!(parts(&found), [("train", 4), ("test", 1)]);
    assert_eq!(
        problems(&found, "train"),
        [
            (BoxProblem::MissingImage, 1, "b.txt, line 3".to_owned()),
            (BoxProblem::OtherPlace, 1, "b.txt, line 2".to_owned()),
        ]
    );
    assert_eq!(
        problems(&found, "test"),
        [(BoxProblem::RepeatedImage, 1, "2.png".to_owned())]
    );
}

#[test]
fn the_same_images_to_train_and_to_choose_by_are_one_part() {
    let made = Made::new();
    made.images("images/train2017", 20);
    for number in 0..20 {
        made.text(
            &format!("labels/train2017/{number}.txt"),
            "0 0.5 0.5 0.5 0.5",
        );
    }
    made.text(
        "data.yaml",
        "train: images/train2017\nval: images/train2017\nnames: [a]\n",
    );
    let found = made.found();
    assert_eq!(parts(&found), [("train", 20)]);
    assert!(
        notes(&found).contains("no validation part of the data's own"),
        "{}",
        notes(&found)
    );
    let data = open(made.path(), &OpenOptions::default()).unwrap();
    assert_eq!(
        [data.train.len(), data.validation.len(), data.test.len()],
        [14, 2, 4]
    );
}

#[test]
fn without_a_description_a_list_of_classes_is_enough_and_nothing_is_not() {
    let made = Made::new();
    made.images("images", 2)
        .text("labels/0.txt", "1 0.5 0.5 0.5 0.5");
    assert!(
        made.error()
            .contains("nothing says how the classes are called"),
        "{}",
        made.error()
    );
    made.text("labels/classes.txt", "x\ny\n");
    let found = made.found();
    assert_eq!(
        (parts(&found), found.classes.len()),
        (vec![("train", 2)], 2)
    );
    let beside = Made::new();
    beside
        .images("train", 1)
        .text("train/0.txt", "0 0.5 0.5 0.5 0.5");
    beside.text("data.yml", "train: train\nnames: [x]\n");
    assert_eq!(boxes(&beside.found(), "0.png").len(), 1);
}

#[test]
fn labels_without_an_image_are_told_and_lists_are_none() {
    let made = Made::new();
    made.images("images", 2)
        .text("classes.txt", "cat\ndog\n")
        .text("labels/classes.txt", "cat\ndog\n")
        .text("labels/0.txt", "1 0.5 0.5 0.5 0.5")
        .text("labels/1.txt", "")
        .text("labels/gone.txt", "1 0.5 0.5 0.5 0.5\n0 0.2 0.2 0.1 0.1");
    let found = made.found();
    let expected = (BoxProblem::LabelsWithoutImage, 1, "gone.txt".to_owned());
    assert_eq!(problems(&found, "train"), [expected]);
    assert!(notes(&found).contains("files of labels without an image"));
}
