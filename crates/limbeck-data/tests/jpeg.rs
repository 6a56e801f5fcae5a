//! JPEG files of every kind that are met in the wild: pixels, or an error by name, and never a panic.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use limbeck_data::{Image, decode, decode_file, decode_file_upright};

/// 16x16 in grey in several scans, written by Pillow 13: 8 to the right, 7 down, quality 50.
const PROGRESSIVE_GREY: &str = "\
    ffd8ffe000104a46494600010100000100010000ffdb004300100b0c0e0c0a100e0d0e1211101318281a1816161831\
    23251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffc2000b08\
    0010001001011100ffc4001500010100000000000000000000000000000502ffda0008010100000001310943ffc400\
    1510010100000000000000000000000000000200ffda000801010001050206060606ffc40014100100000000000000\
    000000000000000020ffda0008010100063f021fffc40014100100000000000000000000000000000020ffda000801\
    0100013f210abfffda00080101000000100fffc400161000030000000000000000000000000000002131ffda000801\
    0100013f109a2689a268ffd9";

/// 16x16 in colour in several scans, colours at half the resolution, by the same.
const PROGRESSIVE_COLOUR: &str = "\
    ffd8ffe000104a46494600010100000100010000ffdb004300100b0c0e0c0a100e0d0e1211101318281a1816161831\
    23251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffdb004301\
    1112121815182f1a1a2f63423842636363636363636363636363636363636363636363636363636363636363636363\
    6363636363636363636363636363636363ffc20011080010001003012200021101031101ffc4001500010100000000\
    000000000000000000000405ffc4001501010100000000000000000000000000000102ffda000c0301000210031000\
    00013b66b68fffc400161000030000000000000000000000000000000102ffda0008010100010502964b2592cfffc4\
    00161100030000000000000000000000000000000103ffda0008010301013f01503fffc40016110003000000000000\
    0000000000000000000102ffda0008010201013f01b47fffc40014100100000000000000000000000000000020ffda\
    0008010100063f021fffc40014100100000000000000000000000000000020ffda0008010100013f21155fffda000c\
    03010002000300000010f7ffc4001511010100000000000000000000000000000061ffda0008010301013f1083ffc4\
    0014110100000000000000000000000000000000ffda0008010201013f107fffc40015100101000000000000000000\
    00000000000031ffda0008010100013f10924924ffd9";

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn jpeg(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .into()
        .write_to(&mut bytes, ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}

fn grey() -> Vec<u8> {
    jpeg(GrayImage::from_fn(31, 17, |x, y| {
        Luma([(7 * x + 2 * y) as u8])
    }))
}

fn colour() -> Vec<u8> {
    jpeg(RgbImage::from_fn(31, 17, |x, y| {
        Rgb([8 * x as u8, 13 * y as u8, 90])
    }))
}

fn all() -> [Vec<u8>; 4] {
    [
        grey(),
        colour(),
        from_hex(PROGRESSIVE_GREY),
        from_hex(PROGRESSIVE_COLOUR),
    ]
}

fn read(bytes: &[u8]) -> Result<Image, String> {
    decode(bytes, Path::new("cat.jpg")).map_err(|error| error.to_string())
}

/// Where the frame's header begins, behind its marker and length.
fn frame(bytes: &[u8]) -> usize {
    let is_frame = |pair: &[u8]| pair[0] == 0xff && [0xc0, 0xc2].contains(&pair[1]);
    bytes.windows(2).position(is_frame).unwrap() + 4
}

#[test]
fn several_scans_give_the_pixels_that_pillow_reads() {
    let near = |image: &Image, at: usize, expected: &[u8]| {
        let found = image.pixel(at % 16, at / 16);
        let close = found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 3);
        assert!(close && found.len() == expected.len(), "{at}: {found:?}");
    };
    let image = read(&from_hex(PROGRESSIVE_GREY)).unwrap();
    assert_eq!((image.width, image.height), (16, 16));
    for (at, expected) in [(0, 0), (100, 74), (255, 224)] {
        near(&image, at, &[expected]);
    }
    let image = read(&from_hex(PROGRESSIVE_COLOUR)).unwrap();
    let expected = [
        (0, [0, 118, 120]),
        (100, [76, 96, 129]),
        (255, [222, 107, 138]),
    ];
    for (at, expected) in expected {
        near(&image, at, &expected);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_by_name() {
    for bytes in all() {
        for cut in 0..bytes.len() {
            let error = read(&bytes[..cut]).unwrap_err();
            assert!(error.starts_with("cat.jpg is damaged"), "{cut}: {error}");
        }
    }
}

#[test]
fn any_changed_byte_gives_pixels_or_an_error() {
    for bytes in all() {
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                if let Ok(image) = read(&damaged) {
                    let numbers = image.width * image.height * image.channels;
                    assert_eq!(image.pixels.len(), numbers);
                }
            }
        }
    }
}

#[test]
fn twelve_bits_a_channel_are_refused_by_name() {
    for mut bytes in all() {
        let precision = frame(&bytes);
        bytes[precision] = 12;
        let error = read(&bytes).unwrap_err();
        assert!(error.starts_with("cat.jpg"), "{error}");
    }
}

#[test]
fn a_header_that_announces_a_huge_image_is_refused_before_memory_is_taken() {
    for mut bytes in all() {
        let sides = frame(&bytes) + 1;
        bytes[sides..sides + 4].fill(0xff);
        let error = read(&bytes).unwrap_err();
        assert!(error.starts_with("cat.jpg"), "{error}");
    }
}

#[test]
fn a_mark_of_orientation_turns_only_what_is_asked_to_be_upright() {
    // Orientation 6: to be turned clockwise by a quarter.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let plain = colour();
    let mut marked = vec![0xff, 0xd8, 0xff, 0xe1, 0, exif.len() as u8 + 2];
    marked.extend(exif);
    marked.extend(&plain[2..]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    std::fs::write(&path, &marked).unwrap();
    let stored = decode_file(&path).unwrap();
    assert_eq!(stored, read(&plain).unwrap());
    let upright = decode_file_upright(&path).unwrap();
    assert_eq!((upright.width, upright.height), (17, 31));
    assert_eq!(upright.pixel(16, 0), stored.pixel(0, 0));
    assert_eq!(upright.pixel(0, 30), stored.pixel(30, 16));
}
