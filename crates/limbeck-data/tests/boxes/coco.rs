//! COCO's JSON.

use limbeck_data::{BoxProblem, find_boxes};
use serde_json::{Value, json};

use crate::made::{Made, boxes, image, notes, parts, problems};

fn file(images: &[Value], annotations: &[Value], categories: &[(i64, &str)]) -> String {
    let categories: Vec<Value> = categories
        .iter()
        .map(|(id, name)| json!({"id": id, "name": name}))
        .collect();
    json!({"images": images, "annotations": annotations, "categories": categories}).to_string()
}

fn listed(id: i64, name: &str) -> Value {
    json!({"id": id, "file_name": name, "width": 40, "height": 20})
}

fn object(id: i64, image: i64, category: i64, bbox: [f64; 4]) -> Value {
    json!({"id": id, "image_id": image, "category_id": category, "bbox": bbox, "area": 12.5})
}

#[test]
fn categories_are_sorted_by_number_and_numbers_are_kept() {
    let made = Made::new();
    made.images("train2017", 2).images("val2017", 1);
    let boxed = [
        object(5, 70, 90, [1.0, 2.0, 30.0, 10.5]),
        object(6, 70, 3, [4.0, 4.0, 8.0, 8.0]),
    ];
    let images = [listed(70, "0.png"), listed(4, "1.png")];
    made.text(
        "annotations/instances_train2017.json",
        &file(&images, &boxed, &[(90, "z"), (3, "a")]),
    );
    // The same categories in another order and with other numbers.
    let boxed = [object(1, 1, 3, [1.0, 2.0, 3.0, 4.0])];
    let text = file(
        &[listed(1, "0.png")],
        &boxed,
        &[(3, "z"), (5, "a"), (6, "unused")],
    );
    made.text("annotations/instances_val2017.json", &text);
    // A file of another task.
    made.text(
        "annotations/person_keypoints_train2017.json",
        &file(&images, &[], &[(1, "person")]),
    );
    let found = made.found();
    assert_eq!(found.classes, ["a", "z"]);
    assert_eq!(found.category_ids, Some(vec![3, 90]));
    assert_eq!(parts(&found), [("train", 2), ("test", 1)]);
    assert_eq!(
        boxes(&found, "0.png"),
        [(1, [1.0, 2.0, 31.0, 12.5]), (0, [4.0, 4.0, 12.0, 12.0])]
    );
    assert_eq!(image(&found, "0.png").boxes[0].area, 12.5);
    assert_eq!(
        (image(&found, "0.png").id, image(&found, "1.png").id),
        (Some(70), Some(4))
    );
    assert!(boxes(&found, "1.png").is_empty());
    assert_eq!(found.test.as_ref().unwrap().boxed(0).boxes[0].class, 1);
    assert!(
        notes(&found).contains("numbers 2 categories otherwise"),
        "{}",
        notes(&found)
    );
    let (_, check) = &found.check()[0];
    assert_eq!((check.boxes, check.without_boxes), (2, 1));
    assert_eq!(check.sizes.small, 2);
}

#[test]
fn every_object_that_is_no_box_is_told_by_its_place_in_the_list() {
    let made = Made::new();
    made.images("images", 2)
        .text("images/broken.png", "no image");
    let mut crowd = object(20, 1, 1, [0.0, 0.0, 5.0, 5.0]);
    crowd["iscrowd"] = json!(1);
    let boxed = [
        object(1, 1, 1, [1.0, 2.0, 3.0, 4.0]),
        object(2, 1, 1, [1.0, 2.0, 0.0, 4.0]),
        object(3, 1, 1, [1.0, 2.0, 3.0, -4.0]),
        object(4, 1, 1, [1.0, 2.0, 300.0, 4.0]),
        object(5, 1, 1, [100.0, 2.0, 3.0, 4.0]),
        object(6, 1, 1, [1.0, 2.0, 3.0, 4.0]),
        object(7, 9, 1, [1.0, 2.0, 3.0, 4.0]),
        object(8, 1, 99, [1.0, 2.0, 3.0, 4.0]),
        object(1, 1, 1, [5.0, 2.0, 3.0, 4.0]),
        json!({"id": 10, "image_id": 1, "category_id": 1, "bbox": [], "iscrowd": null}),
        object(11, 3, 1, [1.0, 2.0, 3.0, 4.0]),
        crowd,
    ];
    let mut other = listed(2, "1.png");
    other["width"] = json!(80);
    let images = [
        listed(1, "0.png"),
        other,
        listed(3, "lost.png"),
        listed(4, "broken.png"),
    ];
    made.text("train.json", &file(&images, &boxed, &[(1, "a")]));
    let found = made.found();
    assert_eq!(
        boxes(&found, "0.png"),
        [
            (0, [1.0, 2.0, 4.0, 6.0]),
            (0, [1.0, 2.0, 40.0, 6.0]),
            (0, [5.0, 2.0, 8.0, 6.0]),
            (0, [0.0, 0.0, 5.0, 5.0]),
        ]
    );
    let kept = &image(&found, "0.png").boxes;
    assert!(kept[3].crowd && !kept[0].crowd);
    assert!((kept[1].area - 12.5 * 39.0 / 300.0).abs() < 1e-5);
    let of = |problem, number| (problem, 1, format!("train.json, object {number}"));
    assert_eq!(
        problems(&found, "train"),
        [
            of(BoxProblem::ZeroSize, 2),
            of(BoxProblem::NegativeSize, 3),
            of(BoxProblem::Outside, 5),
            of(BoxProblem::Duplicate, 6),
            of(BoxProblem::NoBox, 10),
            of(BoxProblem::UnknownClass, 8),
            of(BoxProblem::UnlistedImage, 7),
            of(BoxProblem::MissingImage, 3),
            (BoxProblem::UnreadableImage, 1, "broken.png".to_owned()),
            of(BoxProblem::Clipped, 4),
            of(BoxProblem::RepeatedId, 9),
            of(BoxProblem::SizeDiffers, 2),
        ]
    );
}

#[test]
fn images_lie_beside_the_file_or_at_the_end_of_a_path_of_another_machine() {
    let made = Made::new();
    for part in ["train", "valid", "test"] {
        made.images(part, 2);
        let images = [listed(1, "D:\\data\\0.png"), listed(2, "1.png")];
        made.text(
            &format!("{part}/_annotations.coco.json"),
            &file(&images, &[], &[(0, "a")]),
        );
    }
    let found = made.found();
    assert_eq!(
        parts(&found),
        [("train", 2), ("validation", 2), ("test", 2)]
    );
    let place = "_annotations.coco.json, object 1".to_owned();
    assert_eq!(
        problems(&found, "test"),
        [(BoxProblem::OtherPlace, 1, place)]
    );
    // One of the files itself.
    let one = find_boxes(&made.path().join("valid/_annotations.coco.json")).unwrap();
    assert_eq!(parts(&one), [("train", 2)]);
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let made = Made::new();
    made.images("images", 2);
    let error = |images: &[Value], annotations: &[Value], categories: &[(i64, &str)]| {
        made.text("all.json", &file(images, annotations, categories))
            .error()
    };
    let one = [listed(1, "0.png")];
    let twice = [listed(1, "0.png"), listed(1, "1.png")];
    assert!(error(&twice, &[], &[(1, "a")]).contains("two images have the id 1: 0.png and 1.png"));
    let same = [listed(1, "0.png"), listed(2, "0.png")];
    assert!(error(&same, &[], &[(1, "a")]).contains("all.json, object 1 and by"));
    assert!(error(&one, &[], &[(1, "a"), (1, "b")]).contains("the id 1: `a` and `b`"));
    assert!(error(&one, &[], &[(1, "a"), (2, "a")]).contains("called `a`, with the ids 1 and 2"));
    assert!(error(&[listed(1, "lost.png")], &[], &[(1, "a")]).contains("they were looked for in"));
    assert!(error(&one, &[], &[]).contains("name no class"));
    made.text("other.json", &file(&one, &[], &[(1, "a")]));
    assert!(
        made.error()
            .contains("two files of boxes are for the same part")
    );
}

#[test]
fn a_category_that_training_does_not_have_is_refused() {
    let made = Made::new();
    made.images("images", 2);
    made.text("train.json", &file(&[listed(1, "0.png")], &[], &[(1, "a")]));
    let boxed = [object(1, 1, 2, [1.0, 2.0, 3.0, 4.0])];
    made.text(
        "val.json",
        &file(&[listed(1, "1.png")], &boxed, &[(1, "a"), (2, "b")]),
    );
    assert!(made.error().contains("category `b`"), "{}", made.error());
}
