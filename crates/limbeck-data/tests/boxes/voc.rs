//! PASCAL VOC's XML.

use std::fmt::Write;

use limbeck_data::{BoxProblem, OpenOptions, find_boxes, open};

use crate::made::{Made, boxes, image, notes, parts, problems, train};

/// A file of VOC with objects of a name and `xmin`, `ymin`, `xmax`, `ymax`.
pub fn xml(file_name: &str, objects: &[(&str, [&str; 4])]) -> String {
    let mut text = format!(
        "<annotation>\n<filename>{file_name}</filename>\n\
         <size><width>40</width><height>20</height><depth>3</depth></size>\n"
    );
    for (name, [left, top, right, bottom]) in objects {
        writeln!(
            text,
            "<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin>\
             <ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        )
        .unwrap();
    }
    text + "</annotation>\n"
}

const DOG: (&str, [&str; 4]) = ("dog", ["1", "2", "10", "12"]);

#[test]
fn pixels_are_counted_from_one_and_the_last_belongs_to_the_box() {
    let made = Made::new();
    let objects = [DOG, ("cat", ["3.5", "2", "40", "20"])];
    made.image("JPEGImages/a.png")
        .text("Annotations/a.xml", &xml("a.png", &objects));
    let found = made.found();
    assert_eq!(found.classes, ["cat", "dog"]);
    assert_eq!(
        boxes(&found, "a.png"),
        [(1, [0.0, 1.0, 10.0, 12.0]), (0, [2.5, 1.0, 40.0, 20.0])]
    );
    assert_eq!(image(&found, "a.png").size, [40, 20]);
    assert!(found.name.ends_with("(PASCAL VOC)") && problems(&found, "train").is_empty());
    // A box that begins at 0 says that pixels are counted from there.
    let objects = [DOG, ("cat", ["0", "2", "40", "20"])];
    made.text("Annotations/a.xml", &xml("a.png", &objects));
    let found = made.found();
    assert_eq!(boxes(&found, "a.png")[0], (1, [1.0, 2.0, 10.0, 12.0]));
    assert!(notes(&found).contains("counted from 0"));
}

#[test]
fn every_object_that_is_no_box_is_told_by_file_and_line() {
    let made = Made::new();
    let objects = [
        DOG,
        ("dog", ["5", "5", "5", "5"]),
        ("dog", ["30", "15", "20", "10"]),
        ("dog", ["-20", "3", "60", "12"]),
        ("dog", ["50", "3", "60", "12"]),
        ("dog", ["x", "3", "60", "12"]),
        ("dog", ["nan", "3", "60", "12"]),
        DOG,
        ("Dog ", ["2", "3", "6", "12"]),
    ];
    made.image("JPEGImages/a.png")
        .text("Annotations/a.xml", &xml("a.png", &objects));
    let found = made.found();
    assert_eq!(
        boxes(&found, "a.png"),
        [
            (0, [0.0, 1.0, 10.0, 12.0]),
            (0, [19.0, 9.0, 30.0, 15.0]),
            (0, [0.0, 2.0, 40.0, 12.0]),
            (0, [1.0, 2.0, 6.0, 12.0]),
        ]
    );
    let of = |problem, line| (problem, 1, format!("a.xml, line {line}"));
    assert_eq!(
        problems(&found, "train"),
        [
            of(BoxProblem::ZeroSize, 5),
            of(BoxProblem::NotFinite, 10),
            of(BoxProblem::Outside, 8),
            of(BoxProblem::Duplicate, 11),
            of(BoxProblem::NoBox, 9),
            of(BoxProblem::Clipped, 7),
            of(BoxProblem::SwappedCorners, 6),
            of(BoxProblem::Spelling, 12),
        ]
    );
    let line = "train: 1 boxes without width or height, left out: ";
    assert!(notes(&found).contains(line), "{}", notes(&found));
}

#[test]
fn lists_say_which_images_are_for_what() {
    let made = Made::new();
    for name in ["0", "1", "2", "3", "4", "with space"] {
        made.image(&format!("JPEGImages/{name}.jpg"));
        made.text(
            &format!("Annotations/{name}.xml"),
            &xml(&format!("{name}.jpg"), &[DOG]),
        );
    }
    made.image("JPEGImages/bare.jpg");
    made.text(
        "ImageSets/Main/train.txt",
        "0\nwith space\n0\nbare\nnone\n\n",
    );
    made.text("ImageSets/Main/val.txt", "2 1\r\n3.jpg  -1\r\n");
    made.text("ImageSets/Main/test.txt", "data/JPEGImages/4.jpg\n");
    made.text("ImageSets/Main/trainval.txt", "0\n1\n2\n3\n");
    let found = made.found();
    assert_eq!(
        parts(&found),
        [("train", 2), ("validation", 2), ("test", 1)]
    );
    let of = |problem, line| (problem, 1, format!("train.txt, line {line}"));
    assert_eq!(
        problems(&found, "train"),
        [
            of(BoxProblem::MissingImage, 5),
            of(BoxProblem::NotAnnotated, 4),
            of(BoxProblem::RepeatedImage, 3),
        ]
    );
    assert!(
        notes(&found).contains("1 images with boxes that no list"),
        "{}",
        notes(&found)
    );
    let data = open(made.path(), &OpenOptions::default()).unwrap();
    assert_eq!(
        [data.train.len(), data.validation.len(), data.test.len()],
        [2, 2, 1]
    );
    assert!(data.test.name(0).ends_with("4.jpg"));
    assert_eq!(data.test.image(0).unwrap().width, 40);
}

#[test]
fn several_years_lie_side_by_side() {
    let made = Made::new();
    for (year, list) in [("VOC2007", "trainval.txt"), ("VOC2012", "train.txt")] {
        let place = format!("VOCdevkit/{year}");
        made.image(&format!("{place}/JPEGImages/1.jpg"));
        made.image(&format!("{place}/SegmentationClass/1.png"));
        made.text(&format!("{place}/Annotations/1.xml"), &xml("1.jpg", &[DOG]));
        made.text(&format!("{place}/ImageSets/Main/{list}"), "1\n");
    }
    assert_eq!(parts(&made.found()), [("train", 2)]);
}

#[test]
fn parts_are_folders_and_masks_are_no_images() {
    let made = Made::new();
    made.text("classes.txt", "background\ndog\n");
    for part in ["train", "val", "test"] {
        for number in 0..2 {
            made.image(&format!("images/{part}/{number}.jpg"));
            made.image(&format!("masks/{part}/{number}.png"));
            let text = xml(&format!("{number}.jpg"), &[DOG]);
            made.text(&format!("Annotations/{part}/{number}.xml"), &text);
        }
    }
    made.image("images/val/bare.jpg");
    let found = made.found();
    assert_eq!(
        parts(&found),
        [("train", 2), ("validation", 2), ("test", 2)]
    );
    assert_eq!(found.classes, ["dog"]);
    assert!(train(&found).all()[1].file.ends_with("images/train/1.jpg"));
    let bare = (BoxProblem::NotAnnotated, 1, "bare.jpg".to_owned());
    assert_eq!(problems(&found, "validation"), [bare]);
}

#[test]
fn an_image_is_that_of_the_files_name_or_else_that_which_it_names() {
    let made = Made::new();
    made.image("images/a.png")
        .text("annotations/a.xml", &xml("C:\\x\\b", &[DOG]));
    made.image("images/c.png")
        .text("annotations/1.xml", &xml("D:\\x\\c.png", &[DOG]));
    made.image("images/d.e.png")
        .text("annotations/d.e.xml", &xml("d.e", &[]));
    made.text("annotations/lost.xml", &xml("lost.png", &[DOG]));
    let found = made.found();
    assert_eq!(parts(&found), [("train", 3)]);
    assert!(boxes(&found, "d.e.png").is_empty());
    assert_eq!(
        problems(&found, "train"),
        [
            (BoxProblem::MissingImage, 1, "lost.xml".to_owned()),
            (BoxProblem::OtherName, 2, "1.xml".to_owned()),
        ]
    );
    // The ending that the file names decides between images of one name.
    made.image("images/a.jpg")
        .text("annotations/a.xml", &xml("a.jpg", &[DOG]));
    assert_eq!(boxes(&made.found(), "a.jpg").len(), 1);
    made.text("annotations/a.xml", &xml("a", &[DOG]));
    assert!(
        made.error().contains("two images belong to it"),
        "{}",
        made.error()
    );
}

#[test]
fn difficult_objects_are_kept_as_such_and_lists_settle_the_classes() {
    let made = Made::new();
    let text = xml("a.png", &[DOG]).replace("<difficult>0", "<difficult>1");
    made.image("a.png")
        .text("a.xml", &text)
        .text("classes.txt", "cat\ndog\n");
    let found = made.found();
    assert_eq!(found.classes, ["cat", "dog"]);
    let label = image(&found, "a.png").boxes[0];
    assert!(label.difficult && !label.crowd && label.class == 1);
    let (_, check) = &found.check()[0];
    assert_eq!((check.difficult, check.by_class[1].boxes), (1, 1));
    made.text("classes.txt", "cat\n");
    assert!(
        made.error().contains("does not name the class `dog`"),
        "{}",
        made.error()
    );
}

#[test]
fn other_xml_is_no_annotation() {
    let made = Made::new();
    made.image("a.png").text("project.xml", "<project/>");
    assert!(
        made.error().contains("no boxes of objects"),
        "{}",
        made.error()
    );
    assert!(find_boxes(&made.path().join("none")).is_err());
    assert!(
        find_boxes(&made.path().join("a.png"))
            .unwrap_err()
            .to_string()
            .contains("data.yaml")
    );
}
