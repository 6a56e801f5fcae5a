//! What masks may hold, and what files say of it.

use limbeck_data::{Measured, OpenOptions};

use crate::made::{Made, SIZE, classes, first_ids, ids, notes, parts};

/// Four pairs whose masks hold `ids`, with a file that names classes.
fn named(ids: &[u8], file: &str, text: &str) -> Made {
    let made = Made::new();
    made.pairs("images", "masks", 4, ids).text(file, text);
    made
}

#[test]
fn masks_of_0_and_255_are_binary_and_that_is_said() {
    let made = Made::new();
    made.pairs("images", "masks", 4, &[0, 255]);
    let found = made.found();
    assert_eq!(classes(&found), ["background", "foreground"]);
    assert_eq!(first_ids(&found, 4), [0, 1, 0, 1]);
    assert!(
        notes(&found).contains("255 is taken for class 1"),
        "{}",
        notes(&found)
    );
    let made = named(&[0, 255], "classes.txt", "crack\n");
    assert_eq!(classes(&made.found()), ["background", "crack"]);
    assert_eq!(first_ids(&made.found(), 2), [0, 1]);
    // Where a third value is there, 255 is void as everywhere.
    let made = named(&[0, 1, 255], "classes.txt", "sky\nroad\n");
    assert_eq!(first_ids(&made.found(), 3), [0, 1, 255]);
}

#[test]
fn ids_are_merged_and_ignored_as_a_file_says() {
    let text = "classes:\n  1: {name: road, labels: [1, 2]}\n  2: {name: sky, labels: [7]}\n\
                ignore: [0, 11]\n";
    let made = named(&[0, 1, 2, 7, 11, 255], "masks/classes.yaml", text);
    let found = made.found();
    assert_eq!(classes(&found), ["road", "sky"]);
    assert_eq!(first_ids(&found, 6), [255, 0, 0, 1, 255, 255]);
}

#[test]
fn a_list_that_is_one_short_says_what_was_taken_for_void() {
    let made = named(&[0, 1, 2], "classes.txt", "sky\nroad\n");
    assert_eq!(first_ids(&made.found(), 3), [0, 1, 255]);
    assert!(notes(&made.found()).contains("2 is taken for void"));
    let made = named(&[1, 2], "classes.txt", "sky\nroad\n");
    assert_eq!(first_ids(&made.found(), 2), [0, 1]);
    assert!(notes(&made.found()).contains("count from 1"));
    let made = named(&[0, 1, 2], "classes.txt", "sky\nroad\nvoid\n");
    assert_eq!(classes(&made.found()), ["sky", "road"]);
    assert_eq!(first_ids(&made.found(), 3), [0, 1, 255]);
    assert!(notes(&made.found()).contains("void is void by its name"));
}

#[test]
fn ids_beyond_the_classes_are_named_with_their_file_and_number() {
    let made = named(&[0, 1], "classes.txt", "sky\nroad\n");
    made.image("images/9.jpg")
        .mask("masks/9.png", &[0, 1, 7, 9]);
    let error = made.error();
    assert!(
        error.contains("9.png has ids that belong to no class: 7 (6 pixels), 9 (6 pixels)")
            && error.contains("ignore"),
        "{error}"
    );
}

#[test]
fn colours_need_a_table() {
    let colours = [[255, 0, 0], [0, 0, 255], [0, 0, 0]];
    let made = Made::new();
    made.image("images/0.jpg").colours("masks/0.png", &colours);
    let error = made.error();
    assert!(
        error.contains("it is in colours") && error.contains("classes.csv"),
        "{error}"
    );
    made.text(
        "class_dict.csv",
        "name, r, g, b\nroad, 255, 0, 0\nsky, 0, 0, 255\nVoid, 0, 0, 0\n",
    );
    let found = made.found();
    assert_eq!(classes(&found), ["road", "sky"]);
    assert_eq!(first_ids(&found, 3), [0, 1, 255]);
}

#[test]
fn masks_of_another_size_are_refused_where_they_are_used() {
    let made = Made::new();
    made.pairs("images", "masks", 4, &[0, 1]);
    let small = image::GrayImage::from_pixel(SIZE[0], SIZE[1] - 1, image::Luma([1]));
    small.save(made.place("masks/2.png")).unwrap();
    let source = made.found().train.unwrap();
    assert_eq!(ids(&*source, 1, 2), [0, 1]);
    let error = source.annotation(2).unwrap_err().to_string();
    assert!(
        error.contains("2.png has 6x3 pixels") && error.contains("2.jpg, has 6x4"),
        "{error}"
    );
}

#[test]
fn jpeg_masks_are_refused_when_a_part_is_used() {
    let made = Made::new();
    for number in 0..4 {
        made.image(&format!("images/{number}.jpg"));
        made.mask(&format!("masks/{number}.jpg"), &[0, 1]);
    }
    assert!(made.error().contains("is a JPEG file"));
    made.text("classes.txt", "sky\nroad\n");
    let found = made.found();
    assert_eq!(parts(&found), [("train", 4)]);
    assert!(
        notes(&found).contains("4 masks in JPEG files"),
        "{}",
        notes(&found)
    );
    let options = OpenOptions::default();
    let error = found.clone().measured(Measured::All, &options).unwrap_err();
    assert!(error.to_string().contains("is a JPEG file"));
    assert!(
        found
            .split(&options)
            .unwrap_err()
            .to_string()
            .contains("is a JPEG file")
    );
}

#[test]
fn blurred_masks_and_instances_are_no_classes() {
    let made = Made::new();
    let mut levels = vec![0; 100];
    levels.extend([255; 100]);
    made.image("images/0.jpg");
    let edge = image::GrayImage::from_fn(SIZE[0], SIZE[1], |_, _| image::Luma([0]));
    edge.save(made.place("masks/0.png")).unwrap();
    let blurred = image::GrayImage::from_fn(60, 60, |x, y| {
        image::Luma([if x != 30 {
            255 * u8::from(x > 30)
        } else {
            4 * y as u8
        }])
    });
    image::RgbImage::new(60, 60)
        .save(made.place("images/1.png"))
        .unwrap();
    blurred.save(made.place("masks/1.png")).unwrap();
    let error = made.error();
    assert!(
        error.contains("blurred") && error.contains("nearest"),
        "{error}"
    );

    let made = Made::new();
    made.image("images/0.jpg");
    let deep = image::ImageBuffer::from_fn(40, 40, |x, y| image::Luma([(x * 40 + y) as u16 * 9]));
    image::DynamicImage::ImageLuma16(deep)
        .save(made.place("masks/0.png"))
        .unwrap();
    let error = made.error();
    assert!(
        error.contains("instances or depths are no classes"),
        "{error}"
    );
}

#[test]
fn damaged_masks_are_named() {
    let made = Made::new();
    made.pairs("images", "masks", 4, &[0, 1]);
    let path = made.place("masks/3.png");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let source = made.found().train.unwrap();
    let error = source.annotation(3).unwrap_err().to_string();
    assert!(error.contains("3.png is damaged"), "{error}");
}

/// A JPEG file of an image that is red in its upper half, with a camera's mark that it was held upright.
fn turned_photo(width: u32, height: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(width, height, |_, y| {
        image::Rgb(if y < height / 2 {
            [250, 0, 0]
        } else {
            [0, 0, 250]
        })
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    // One entry: tag 0x112, a number of 16 bits, 6 (turn by a quarter to the right).
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut marked = vec![0xff, 0xd8, 0xff, 0xe1, 0, exif.len() as u8 + 2];
    marked.extend(exif);
    marked.extend(&bytes.into_inner()[2..]);
    marked
}

#[test]
fn photographs_are_turned_as_their_masks_were_drawn() {
    let made = Made::new();
    for (name, size) in [("upright", [16, 32]), ("stored", [32, 16])] {
        std::fs::write(
            made.place(&format!("images/{name}.jpg")),
            turned_photo(32, 16),
        )
        .unwrap();
        let mask = image::GrayImage::from_fn(size[0], size[1], |x, _| image::Luma([x as u8 % 2]));
        mask.save(made.place(&format!("masks/{name}.png"))).unwrap();
    }
    let source = made.found().train.unwrap();
    let (stored, upright) = (source.image(0).unwrap(), source.image(1).unwrap());
    assert_eq!((stored.width, stored.height), (32, 16));
    assert_eq!((upright.width, upright.height), (16, 32));
    // The upper half is the right one after a quarter turn to the right.
    assert!(stored.pixel(16, 2)[0] > 200 && upright.pixel(13, 16)[0] > 200);
    assert!(upright.pixel(2, 16)[2] > 200);
    assert!(source.annotation(0).is_ok() && source.annotation(1).is_ok());
    assert!(source.file(1).is_none());
}
