//! Well-known data sets, by small files of their layouts.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::made::{Made, classes, first_ids, ids, notes, parts};

/// Cityscapes' files for a part.
fn cityscapes(made: &Made, part: &str, end: &str, ids: &[u8]) {
    for frame in 0..3 {
        let name = format!("{part}/ulm/ulm_00000{frame}_000019");
        made.image(&format!("leftImg8bit/{name}_leftImg8bit.png"));
        made.mask(&format!("gtFine/{name}_gtFine_{end}.png"), ids);
        made.mask(&format!("gtFine/{name}_gtFine_instanceIds.png"), &[9]);
        made.colours(&format!("gtFine/{name}_gtFine_color.png"), &[[9, 8, 7]]);
        made.text(&format!("gtFine/{name}_gtFine_polygons.json"), "{}");
    }
}

#[test]
fn cityscapes_tells_label_ids_from_train_ids_by_what_is_there() {
    let made = Made::new();
    cityscapes(&made, "train", "labelIds", &[0, 7, 26, 33, 255]);
    cityscapes(&made, "val", "labelIds", &[7, 8]);
    cityscapes(&made, "test", "labelIds", &[0, 1, 3]);
    let found = made.found();
    assert_eq!(parts(&found), [("train", 3), ("test", 3)]);
    assert_eq!(classes(&found).len(), 19);
    assert_eq!(first_ids(&found, 5), [255, 0, 13, 18, 255]);
    let told = notes(&found);
    assert!(
        told.contains("label ids") && told.contains("left out: test, whose masks are dummies"),
        "{told}"
    );

    // Named as train ids, or not: what is in them counts.
    let made = Made::new();
    cityscapes(&made, "train", "labelIds", &[0, 13, 18, 255]);
    assert_eq!(first_ids(&made.found(), 4), [0, 13, 18, 255]);
    // Train ids that lie beside label ids are taken.
    cityscapes(&made, "train", "labelTrainIds", &[1, 14, 255]);
    assert_eq!(first_ids(&made.found(), 3), [1, 14, 255]);

    let made = Made::new();
    cityscapes(&made, "test", "labelIds", &[0, 1, 3]);
    assert!(made.error().contains("dummies of Cityscapes' test part"));
}

#[test]
fn ade20k_is_reduced_once() {
    let pairs = |ids: &[u8]| {
        let made = Made::new();
        for (part, short) in [("training", "train"), ("validation", "val")] {
            let name = format!("{part}/ADE_{short}_00000001");
            made.image(&format!("ADEChallengeData2016/images/{name}.jpg"));
            made.mask(&format!("ADEChallengeData2016/annotations/{name}.png"), ids);
        }
        made
    };
    let made = pairs(&[0, 1, 150]);
    let found = made.found();
    assert_eq!(parts(&found), [("train", 1), ("test", 1)]);
    assert_eq!(
        (classes(&found).len(), classes(&found)[149].as_str()),
        (150, "flag")
    );
    assert_eq!(first_ids(&found, 3), [255, 0, 149]);
    let made = pairs(&[0, 255, 149]);
    assert_eq!(first_ids(&made.found(), 3), [0, 255, 149]);
    let made = Made::new();
    made.image("a/ADE_train_00000001.jpg")
        .image("a/ADE_train_00000001_seg.png");
    assert!(made.error().contains("full release of ADE20K"));
}

#[test]
fn coco_stuff_leaves_unused_numbers_out() {
    let made = Made::new();
    for part in ["train2017", "val2017"] {
        made.image(&format!("images/{part}/000000000009.jpg"));
        made.mask(
            &format!("stuffthingmaps/{part}/000000000009.png"),
            &[0, 10, 12, 181, 255],
        );
    }
    let found = made.found();
    assert_eq!(parts(&found), [("train", 1), ("test", 1)]);
    assert_eq!(classes(&found).len(), 171);
    assert_eq!(first_ids(&found, 5), [0, 10, 11, 170, 255]);
    // Its own list counts from 1 what the masks count from 0.
    let names = (0..183).map(|id| match id {
        0 => "0: unlabeled".to_owned(),
        1 => "1: person".to_owned(),
        182 => "182: wood".to_owned(),
        id => format!("{id}: thing {id}"),
    });
    made.text("labels.txt", &names.collect::<Vec<_>>().join("\n"));
    assert_eq!(first_ids(&made.found(), 5), [0, 10, 11, 170, 255]);
}

#[test]
fn camvid_in_its_own_colours_has_eleven_classes() {
    let made = Made::new();
    for frame in 0..3 {
        made.image(&format!("701_StillsRaw_full/0001TP_00{frame}.png"));
        let colours = [[0, 0, 0], [128, 128, 128], [128, 0, 192], [192, 0, 192]];
        made.colours(
            &format!("LabeledApproved_full/0001TP_00{frame}_L.png"),
            &colours,
        );
    }
    let found = made.found();
    assert_eq!(classes(&found).len(), 11);
    assert_eq!(first_ids(&found, 4), [255, 0, 3, 10]);
}

/// A file of SBD with a matrix of 4 rows and 6 columns of `id`, but for its second row, which has 9.
fn sbd(id: u8) -> Vec<u8> {
    fn element(kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_le_bytes(), (content.len() as u32).to_le_bytes()].concat();
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }
    let numbers =
        |numbers: &[u32]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_le_bytes()).collect() };
    let array = |class: u32, sizes: &[u32], name: &[u8], content: Vec<u8>| {
        let head = [
            element(6, &numbers(&[class, 0])),
            element(5, &numbers(sizes)),
            element(1, name),
        ];
        element(14, &[head.concat(), content].concat())
    };
    let pixels: Vec<u8> = (0..24).map(|at| if at % 4 == 1 { 9 } else { id }).collect();
    let fields = [
        // The length of a name in a small element.
        numbers(&[5 | 4 << 16, 16]),
        element(1, b"Boundaries\0\0\0\0\0\0Segmentation\0\0\0\0"),
        array(9, &[1, 1], b"", element(2, &[0])),
        array(9, &[4, 6], b"", element(2, &pixels)),
    ];
    let content = array(2, &[1, 1], b"GTcls", fields.concat());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&content).unwrap();
    let packed = zlib.finish().unwrap();
    let mut file = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".to_vec();
    file.resize(124, b' ');
    file.extend(b"\0\x01IM");
    file.extend(15u32.to_le_bytes());
    file.extend((packed.len() as u32).to_le_bytes());
    file.extend(packed);
    file
}

#[test]
fn voc_reads_palettes_by_lists_and_masks_of_sbd() {
    let made = Made::new();
    let place = |path: &str| format!("VOCdevkit/VOC2012/{path}");
    for name in ["2007_1", "2007_2", "2008_3", "2008_4"] {
        made.image(&place(&format!("JPEGImages/{name}.jpg")));
    }
    for name in ["2007_1", "2007_2"] {
        made.mask(
            &place(&format!("SegmentationClass/{name}.png")),
            &[0, 20, 255],
        );
    }
    made.text(&place("ImageSets/Segmentation/train.txt"), "2007_1\nnone\n");
    made.text(&place("ImageSets/Segmentation/val.txt"), "2007_2\n");
    let found = made.found();
    assert_eq!(parts(&found), [("train", 1), ("test", 1)]);
    assert_eq!(classes(&found)[20], "tvmonitor");
    assert_eq!(first_ids(&found, 3), [0, 20, 255]);
    assert!(
        notes(&found).contains("1 images without a mask"),
        "{}",
        notes(&found)
    );

    // SBD's list has an image of VOC's validation part too.
    let list = "/JPEGImages/2007_1.jpg /SegmentationClass/2007_1.png\n2008_3\n2007_2\n";
    made.text(&place("ImageSets/Segmentation/train_aug.txt"), list);
    std::fs::write(made.place("SBD/dataset/cls/2008_3.mat"), sbd(15)).unwrap();
    let found = made.found();
    assert_eq!(parts(&found), [("train", 2), ("test", 1)]);
    let train = found.train.as_ref().unwrap();
    assert_eq!(ids(&**train, 1, 8), [15, 15, 15, 15, 15, 15, 9, 9]);
    assert!(notes(&found).contains("1 images of the list to train on are in val.txt too"));
}

#[test]
fn damaged_files_of_sbd_are_refused() {
    let whole = sbd(1);
    let path = std::path::Path::new("a.mat");
    assert!(limbeck_data::decode_mask(&whole, path).is_ok());
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let _ = limbeck_data::decode_mask(&bytes, path);
        let cut = limbeck_data::decode_mask(&whole[..at], path);
        assert!(cut.is_err());
    }
}

#[test]
fn labelme_shapes_are_drawn_by_their_labels() {
    let made = Made::new();
    let file = |label: &str| {
        format!(
            r#"{{"imageWidth": 6, "imageHeight": 4, "shapes": [{{"label": "{label}",
            "points": [[0, 0], [1, 3]], "shape_type": "rectangle"}}]}}"#
        )
    };
    for number in 0..4 {
        made.image(&format!("{number}.jpg"));
        made.text(&format!("{number}.json"), &file("cat"));
    }
    made.image("lone.jpg");
    let found = made.found();
    assert_eq!(parts(&found), [("train", 4)]);
    assert_eq!(classes(&found), ["_background_", "cat"]);
    assert_eq!(first_ids(&found, 3), [1, 1, 0]);
    assert!(
        notes(&found).contains("1 images without a mask"),
        "{}",
        notes(&found)
    );
    made.text("labels.txt", "__ignore__\n_background_\ndog\ncat\n");
    assert_eq!(classes(&made.found()), ["_background_", "dog", "cat"]);
    assert_eq!(first_ids(&made.found(), 3), [2, 2, 0]);
    made.text("0.json", &file("Cat"));
    let error = made.error();
    assert!(
        error.contains("0.json: the label `Cat` is not in labels.txt (`cat` is)"),
        "{error}"
    );
}
