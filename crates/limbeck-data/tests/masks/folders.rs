//! How images and masks may lie.

use limbeck_data::{Labelling, Measured, OpenOptions};

use crate::made::{Made, classes, first_ids, notes, parts};

#[test]
fn images_and_masks_without_parts_are_split() {
    for (images, masks) in [
        ("images", "masks"),
        ("Images", "Labels"),
        ("JPEGImages", "SegmentationClass"),
        ("img", "ground-truth"),
        ("archive/set/images", "archive/set/annotations"),
        ("images/town/north", "masks/town/north"),
    ] {
        let made = Made::new();
        made.pairs(images, masks, 20, &[0, 1, 2, 255]);
        let found = made.found();
        assert_eq!(parts(&found), [("train", 20)], "{images}");
        assert_eq!(found.train.as_ref().unwrap().labelling(), Labelling::Masks);
        assert_eq!(classes(&found), ["0", "1", "2"]);
        assert_eq!(first_ids(&found, 4), [0, 1, 2, 255]);
        let data = found.clone().split(&OpenOptions::default()).unwrap();
        let sizes = [data.train.len(), data.validation.len(), data.test.len()];
        assert_eq!(sizes, [14, 2, 4]);
        assert_eq!(data.labelling, Labelling::Masks);
        assert_eq!(data.shape, Some([3, 4, 6]));
        let limited = OpenOptions {
            limit: Some(5),
            ..OpenOptions::default()
        };
        assert_eq!(found.clone().split(&limited).unwrap().train.len(), 5);
        let all = found.measured(Measured::All, &OpenOptions::default());
        assert_eq!(all.unwrap().len(), 20);
    }
}

#[test]
fn parts_lie_in_both_folders_or_around_them_or_side_by_side() {
    for (images, masks) in [
        ("images/PART", "masks/PART"),
        ("PART/images", "PART/masks"),
        ("PART", "PARTannot"),
        ("PART", "PART_labels"),
    ] {
        let made = Made::new();
        for (part, count) in [("train", 4), ("val", 2), ("test", 3)] {
            let place = |path: &str| path.replace("PART", part);
            made.pairs(&place(images), &place(masks), count, &[0, 1]);
        }
        let found = made.found();
        let expected = [("train", 4), ("validation", 2), ("test", 3)];
        assert_eq!(parts(&found), expected, "{images}");
    }
    // What is called otherwise in the two folders is the same part.
    let made = Made::new();
    made.pairs("images/training", "annotations/train", 4, &[0, 1]);
    made.pairs("images/validation", "annotations/val", 2, &[0, 1]);
    assert_eq!(parts(&made.found()), [("train", 4), ("test", 2)]);
}

#[test]
fn images_and_masks_may_lie_in_one_folder() {
    for (images, masks) in [
        ("", "NAME_mask.png"),
        ("", "NAME.png"),
        ("train/", "NAME-seg.png"),
    ] {
        let made = Made::new();
        for number in 0..5 {
            let name = format!("{images}{number}");
            made.image(&format!("{name}.jpg"))
                .mask(&masks.replace("NAME", &name), &[0, 1]);
        }
        let found = made.found();
        assert_eq!(parts(&found), [("train", 5)], "{masks}");
        assert_eq!(found.train.unwrap().labelling(), Labelling::Masks);
    }
}

#[test]
fn a_part_without_masks_is_left_out_and_said() {
    let made = Made::new();
    made.pairs("images/train", "masks/train", 4, &[0, 1]);
    made.image("images/test/0.jpg");
    let found = made.found();
    assert_eq!(parts(&found), [("train", 4)]);
    assert!(
        notes(&found).contains("parts without masks: images/test"),
        "{}",
        notes(&found)
    );
}

#[test]
fn one_folder_of_masks_serves_all_parts() {
    let made = Made::new();
    made.image("images/train/a.jpg").image("images/val/b.jpg");
    made.mask("masks/a.png", &[0, 1])
        .mask("masks/b.png", &[0, 1]);
    let found = made.found();
    assert_eq!(parts(&found), [("train", 1), ("test", 1)]);
    assert!(
        !notes(&found).contains("without an image"),
        "{}",
        notes(&found)
    );
    let made = Made::new();
    made.image("images/train/a.jpg")
        .mask("masks/val/a.png", &[0, 1]);
    let error = made.error();
    assert!(error.contains("none of the parts"), "{error}");
}

#[test]
fn missing_and_extra_files_are_told() {
    let made = Made::new();
    made.pairs("images", "masks", 4, &[0, 1]);
    made.image("images/lone.jpg").mask("masks/other.png", &[0]);
    made.text("images/Thumbs.db", "x")
        .text("masks/notes.txt", "x");
    let found = made.found();
    assert_eq!(parts(&found), [("train", 4)]);
    let told = notes(&found);
    assert!(
        told.contains("1 images without a mask, left out, such as lone.jpg"),
        "{told}"
    );
    assert!(
        told.contains("1 masks without an image, left out, such as other.png"),
        "{told}"
    );
    assert!(
        told.contains("masks/notes.txt") && !told.contains("Thumbs"),
        "{told}"
    );
    let pairing = found.train.as_ref().unwrap().pairing().unwrap();
    assert_eq!(pairing.images_without_mask.len(), 1);
}

#[test]
fn names_that_do_not_match_or_collide_are_refused() {
    let made = Made::new();
    made.image("images/a.jpg").mask("masks/b.png", &[0]);
    let error = made.error();
    assert!(
        error.contains("no mask has the name of an image (an image: a.jpg, a mask: b.png)"),
        "{error}"
    );
    let made = Made::new();
    made.pairs("images", "masks", 2, &[0, 1])
        .image("images/1.png");
    let error = made.error();
    assert!(error.contains("two images belong to 1.png"), "{error}");
}

#[test]
fn folders_of_classes_are_not_taken_for_masks() {
    let made = Made::new();
    for class in ["labels", "cats"] {
        made.image(&format!("{class}/0.jpg"))
            .image(&format!("{class}/1.jpg"));
    }
    let found = made.found();
    assert_eq!(
        found.train.as_ref().unwrap().labelling(),
        Labelling::Classes
    );
}

#[test]
fn what_tells_a_data_set_from_others_knows_masks_and_classes() {
    let fingerprint = |made: &Made| {
        let data = made.found().split(&OpenOptions::default()).unwrap();
        (data.fingerprint, data.train.fingerprint())
    };
    let made = Made::new();
    made.pairs("images", "masks", 20, &[0, 1]);
    let first = fingerprint(&made);
    assert_eq!(first, fingerprint(&made));
    made.text("classes.txt", "one\ntwo\n");
    let named = fingerprint(&made);
    assert_ne!(first, named);
    made.text(
        "classes.yaml",
        "- {name: one, labels: [1]}\n- {name: two, labels: [0]}\n",
    );
    assert_ne!(named.0, fingerprint(&made).0);
}

#[test]
fn boxes_beside_masks_are_told_in_one_line() {
    let boxes = |made: &Made| {
        let found = made.found();
        assert_eq!(found.train.unwrap().labelling(), Labelling::Masks);
        let lines = found.notes.into_iter();
        let lines: Vec<String> = lines.filter(|line| line.contains("boxes")).collect();
        lines.join("\n")
    };
    let made = Made::new();
    made.pairs("images", "masks", 3, &[0, 1]);
    assert_eq!(boxes(&made), "");
    // Notes and lists of classes are no boxes.
    made.text("labels/classes.txt", "0\nroad\n");
    made.text("masks/meta.json", "{\"made\": 2024}");
    made.text("masks/plan.xml", "<plan/>");
    assert_eq!(boxes(&made), "");
    made.text("labels/0.txt", "");
    made.text("labels/1.txt", "3 0.5 0.5 0.25 1\n0 0.1 0.1 0.1 0.1\n");
    assert!(
        boxes(&made).contains("YOLO's labels, such as labels/1.txt"),
        "{}",
        boxes(&made)
    );
    made.text(
        "boxes/1.xml",
        "<annotation><bndbox><xmin>1</xmin></bndbox></annotation>",
    );
    let coco = "{\"images\": [{\"id\": 1, \"file_name\": \"0.jpg\"}], \"annotations\": []}";
    made.text("annotations/instances.json", coco);
    let told = boxes(&made);
    for kind in [
        "COCO's JSON, such as annotations/instances.json",
        "YOLO's labels, such as labels/1.txt",
        "VOC's XML, such as boxes/1.xml",
        "the masks are read, boxes are not",
    ] {
        assert!(told.contains(kind), "no `{kind}` in {told}");
    }
    assert_eq!(told.lines().count(), 1);
}
