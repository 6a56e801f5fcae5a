//! Parts that data sets bring, and those that are made.

use limbeck_data::{FoundBoxes, Labelling, OpenOptions, Source};

use crate::made::{Made, notes, parts};
use crate::voc::xml;

fn folder(counts: &[(&str, usize)]) -> Made {
    let made = Made::new();
    for (part, count) in counts {
        made.images(&format!("{part}/images"), *count);
        for number in 0..*count {
            let text = xml(&format!("{number}.png"), &[("a", ["2", "2", "9", "9"])]);
            made.text(&format!("{part}/Annotations/{number}.xml"), &text);
        }
    }
    made
}

fn open(made: &Made, options: &OpenOptions) -> [Vec<String>; 3] {
    let data = limbeck_data::open(made.path(), options).unwrap();
    [data.train, data.validation, data.test].map(|part| {
        let names = (0..part.len()).map(|position| {
            let (image, boxes) = part.boxed(position).unwrap();
            assert!(boxes[0].corners[2] <= image.width as f32);
            part.name(position)
        });
        names.collect()
    })
}

#[test]
fn what_is_lacking_is_taken_from_training_as_the_seed_says() {
    let made = folder(&[("all", 50)]);
    let options = OpenOptions::default();
    let [train, validation, test] = open(&made, &options);
    assert_eq!([train.len(), validation.len(), test.len()], [36, 4, 10]);
    let mut all = [train.clone(), validation, test].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 50);
    assert_eq!(open(&made, &options)[0], train);
    assert_ne!(open(&made, &OpenOptions { seed: 1, ..options })[0], train);
    let limit = Some(5);
    assert_eq!(open(&made, &OpenOptions { limit, ..options })[0].len(), 5);
}

#[test]
fn parts_of_the_data_stay_and_a_lone_validation_part_is_the_test_part() {
    let made = folder(&[("train", 20), ("valid", 5), ("test", 4)]);
    let [train, validation, test] = open(&made, &OpenOptions::default());
    assert_eq!([train.len(), validation.len(), test.len()], [20, 5, 4]);
    let lone = folder(&[("train", 20), ("valid", 5)]);
    assert_eq!(parts(&lone.found()), [("train", 20), ("test", 5)]);
    let [train, validation, test] = open(&lone, &OpenOptions::default());
    assert_eq!([train.len(), validation.len(), test.len()], [18, 2, 5]);
    let test_alone = folder(&[("test", 4)]);
    let error = limbeck_data::open(test_alone.path(), &OpenOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("the train part would be empty"),
        "{error}"
    );
}

#[test]
fn images_that_are_measured_on_are_not_trained_on() {
    let made = Made::new();
    made.images("images", 6);
    for number in 0..6 {
        made.text(&format!("labels/{number}.txt"), "0 0.5 0.5 0.5 0.5");
    }
    made.text(
        "train.txt",
        "images/0.png\nimages/1.png\nimages/2.png\nimages/3.png\n",
    );
    made.text("val.txt", "images/3.png\nimages/4.png\n");
    made.text("test.txt", "images/4.png\nimages/5.png\n");
    made.text(
        "data.yaml",
        "train: train.txt\nval: val.txt\ntest: test.txt\nnames: [a]\n",
    );
    let found = made.found();
    // The image that validation keeps is not trained on, that which the test has is in no other part.
    assert_eq!(
        parts(&found),
        [("train", 3), ("validation", 1), ("test", 2)]
    );
    let text = "1 images are in the validation part and in the test part";
    assert!(notes(&found).contains(text), "{}", notes(&found));
}

#[test]
fn where_there_are_masks_too_one_kind_has_to_be_named() {
    let made = folder(&[("all", 20)]);
    made.images("images", 6);
    for number in 0..6 {
        made.text(&format!("labels/{number}.txt"), "0 0.5 0.5 0.5 0.5");
        let mask = image::GrayImage::from_fn(40, 30, |x, _| image::Luma([u8::from(x > 20)]));
        std::fs::create_dir_all(made.path().join("masks")).unwrap();
        mask.save(made.path().join(format!("masks/{number}.png")))
            .unwrap();
    }
    made.text("classes.txt", "ground\na\n");
    let of = |labels| {
        let options = OpenOptions {
            labels,
            ..OpenOptions::default()
        };
        limbeck_data::open(made.path(), &options).map(|data| data.labelling)
    };
    let error = of(None).unwrap_err().to_string();
    assert!(error.contains("--task detection"), "{error}");
    for labels in [Labelling::Boxes, Labelling::Masks] {
        assert_eq!(of(Some(labels)).unwrap(), labels);
    }
}

#[test]
fn the_hash_follows_boxes_and_classes() {
    let hash = |found: FoundBoxes| found.train.unwrap().digest();
    let made = folder(&[("all", 3)]);
    let first = hash(made.found());
    assert_eq!(hash(made.found()), first);
    let other = xml("0.png", &[("a", ["2", "2", "9", "10"])]);
    made.text("all/Annotations/0.xml", &other);
    assert_ne!(hash(made.found()), first);
}
