//! Files that are cut or damaged: whatever is in them, reading ends with a result.

use limbeck_data::{BoxedImages, FoundBoxes, Source, find_boxes};
use proptest::prelude::*;

use crate::made::Made;
use crate::voc::xml;

/// One data set of each format: what to write, and the file to damage.
fn sets() -> Vec<(Made, &'static str, Vec<u8>)> {
    let voc = Made::new();
    let text = xml(
        "a.png",
        &[
            ("dog", ["1", "2", "10", "12"]),
            ("cat", ["1", "2", "3", "4"]),
        ],
    );
    voc.image("a.png")
        .image("b.png")
        .text("b.xml", &text)
        .text("a.xml", &text);
    let coco = Made::new();
    let json = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 20}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "dog"}]}"#;
    coco.image("a.png").text("train.json", json);
    let yolo = Made::new();
    let rows = "0 0.5 0.5 0.25 0.25\n1 0.25 0.25 0.125 0.125\n";
    let yaml = "train: images\nnames: [a, b]\n";
    yolo.image("images/a.png")
        .text("labels/a.txt", rows)
        .text("data.yaml", yaml);
    let described = Made::new();
    described
        .image("images/a.png")
        .text("labels/a.txt", rows)
        .text("data.yaml", yaml);
    let labelme = Made::new();
    let shapes = r#"{"imagePath": "a.png", "imageWidth": 40, "imageHeight": 20, "shapes": [
        {"label": "dog", "shape_type": "rectangle", "points": [[1, 2], [8, 9]], "group_id": 1}]}"#;
    labelme.image("a.png").text("a.json", shapes);
    let files = ["a.xml", "train.json", "labels/a.txt", "data.yaml", "a.json"];
    let made = [voc, coco, yolo, described, labelme];
    made.into_iter()
        .zip(files)
        .map(|(made, file)| {
            let bytes = std::fs::read(made.path().join(file)).unwrap();
            (made, file, bytes)
        })
        .collect()
}

/// All boxes lie in their images and have classes.
fn assert_sound(found: &FoundBoxes) {
    let sound = |part: &BoxedImages| {
        part.all().iter().all(|image| {
            image.boxes.iter().all(|label| {
                let [left, top, right, bottom] = label.corners;
                let [width, height] = image.size.map(|side| side as f32);
                (0.0..right).contains(&left)
                    && (0.0..bottom).contains(&top)
                    && right <= width
                    && bottom <= height
                    && label.class < part.classes().len()
                    && label.area > 0.0
            })
        })
    };
    assert!(
        found.parts().iter().all(|(_, part)| sound(part)),
        "{found:?}"
    );
}

#[test]
fn files_that_are_cut_anywhere_give_an_error_or_boxes() {
    for (made, file, bytes) in sets() {
        assert_sound(&made.found());
        for length in 0..bytes.len() {
            std::fs::write(made.path().join(file), &bytes[..length]).unwrap();
            if let Ok(found) = find_boxes(made.path()) {
                assert_sound(&found);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_bytes_give_an_error_or_boxes(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        digits in proptest::collection::vec((any::<usize>(), 0usize..14), 0..6),
    ) {
        for (made, file, mut bytes) in sets() {
            for (place, value) in &changes {
                let len = bytes.len();
                bytes[place % len] = *value;
            }
            // Numbers that stay numbers reach further than bytes that break the file.
            let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            for (place, digit) in &digits {
                if !places.is_empty() {
                    bytes[places[place % places.len()]] = b"0123456789-.e "[*digit];
                }
            }
            std::fs::write(made.path().join(file), &bytes).unwrap();
            if let Ok(found) = find_boxes(made.path()) {
                assert_sound(&found);
            }
        }
    }
}
