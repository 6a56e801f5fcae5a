use std::io::Cursor;

use image::{DynamicImage, Luma, Rgb};
use proptest::prelude::*;

use super::*;

const DEPTHS: [png::BitDepth; 5] = [
    png::BitDepth::One,
    png::BitDepth::Two,
    png::BitDepth::Four,
    png::BitDepth::Eight,
    png::BitDepth::Sixteen,
];

/// A PNG file of rows that are already packed.
fn png_file(
    [width, height]: [u32; 2],
    colour: png::ColorType,
    depth: png::BitDepth,
    palette: Option<&[u8]>,
    packed: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette.to_vec());
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(packed).unwrap();
    writer.finish().unwrap();
    bytes
}

/// Ids as a grey PNG of a depth, in which they must fit.
fn grey_file(width: usize, ids: &[u16], depth: png::BitDepth) -> Vec<u8> {
    let bits = depth as usize;
    let height = ids.len() / width;
    let mut packed = Vec::new();
    for row in ids.chunks_exact(width) {
        if bits == 16 {
            packed.extend(row.iter().flat_map(|id| id.to_be_bytes()));
            continue;
        }
        let mut bytes = vec![0; (width * bits).div_ceil(8)];
        for (x, &id) in row.iter().enumerate() {
            bytes[x * bits / 8] |= (id as u8) << (8 - bits - x * bits % 8);
        }
        packed.extend(bytes);
    }
    let size = [width as u32, height as u32];
    png_file(size, png::ColorType::Grayscale, depth, None, &packed)
}

fn read(bytes: &[u8]) -> RawMask {
    decode_mask(bytes, Path::new("mask.png")).unwrap()
}

fn error(bytes: &[u8]) -> String {
    let error = decode_mask(bytes, Path::new("mask.png")).unwrap_err();
    error.to_string()
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn grey_files_keep_their_ids_at_every_depth() {
    for depth in DEPTHS {
        let most = ((1u32 << (depth as u32)) - 1) as u16;
        let ids: Vec<u16> = (0..35u16).map(|i| i.wrapping_mul(4099) & most).collect();
        let mask = read(&grey_file(7, &ids, depth));
        assert_eq!((mask.width, mask.height), (7, 5));
        assert_eq!(mask.ids().unwrap(), ids, "{depth:?}");
    }
}

#[test]
fn palettes_are_not_resolved() {
    // Ids 0, 6 and 7 under the colours of VOC, which grey conversion would make 0, 89 and 128.
    let palette: Vec<u8> = (0..8u8).flat_map(|i| [i * 16, 255 - i, 7]).collect();
    for (depth, packed) in [
        (png::BitDepth::Four, [0x06, 0x70].as_slice()),
        (png::BitDepth::Eight, &[0, 6, 7]),
    ] {
        let file = png_file(
            [3, 1],
            png::ColorType::Indexed,
            depth,
            Some(&palette),
            packed,
        );
        let mask = read(&file);
        assert_eq!(mask.ids().unwrap(), [0, 6, 7]);
        let RawPixels::Ids {
            palette: Some(colours),
            ..
        } = mask.pixels
        else {
            panic!("no palette");
        };
        assert_eq!((colours.len(), colours[7]), (8, [112, 248, 7]));
    }
}

#[test]
fn colours_are_ids_only_where_they_are_grey() {
    let grey = png_file(
        [2, 1],
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        None,
        &[3, 3, 3, 9, 9, 9],
    );
    assert_eq!(read(&grey).ids().unwrap(), [3, 9]);
    let colour = png_file(
        [2, 1],
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        None,
        &[3, 3, 3, 9, 9, 0],
    );
    assert_eq!(read(&colour).ids().unwrap_err(), [1, 0]);
}

#[test]
fn alpha_is_dropped_where_it_says_nothing_and_refused_elsewhere() {
    let file = |alpha: u8| {
        let samples = [4, 255, 5, alpha];
        png_file(
            [2, 1],
            png::ColorType::GrayscaleAlpha,
            png::BitDepth::Eight,
            None,
            &samples,
        )
    };
    assert_eq!(read(&file(255)).ids().unwrap(), [4, 5]);
    assert!(error(&file(0)).contains("alpha channel"));
}

#[test]
fn other_formats_keep_their_ids() {
    let levels = [0, 3, 200, 7, 1, 255];
    let image = DynamicImage::ImageLuma8(image::GrayImage::from_fn(3, 2, |x, y| {
        Luma([levels[(y * 3 + x) as usize]])
    }));
    for format in [ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Tiff] {
        let mask = read(&encode(&image, format));
        assert_eq!((mask.width, mask.height), (3, 2));
        assert_eq!(mask.ids().unwrap(), levels.map(u16::from), "{format:?}");
    }
    let deep = image::ImageBuffer::from_fn(2, 1, |x, _| Luma([300u16 * x as u16]));
    for format in [ImageFormat::Pnm, ImageFormat::Tiff] {
        let mask = read(&encode(&deep.clone().into(), format));
        assert_eq!(mask.ids().unwrap(), [0, 300], "{format:?}");
    }
    // Levels of 21 classes are not scaled to 255.
    assert_eq!(read(b"P5 2 1 20\n\x05\x14").ids().unwrap(), [5, 20]);
    assert_eq!(
        read(b"P2\n# ids\n3 1\n20\n5 20 0").ids().unwrap(),
        [5, 20, 0]
    );
    assert_eq!(read(b"P1 3 1\n101").ids().unwrap(), [1, 0, 1]);
    assert_eq!(read(b"P4 3 1\n\xa0").ids().unwrap(), [1, 0, 1]);
}

#[test]
fn bmp_of_a_few_bits_has_positions_in_its_palette() {
    let mut file = b"BM".to_vec();
    file.extend([0; 8]);
    file.extend(118u32.to_le_bytes());
    for number in [40u32, 3, 2, 1 | 4 << 16, 0, 0, 0, 0, 0, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend((0..16u8).flat_map(|i| [i, 2 * i, 3 * i, 0]));
    // From the lowest row to the highest.
    file.extend([0x12, 0x30, 0, 0, 0x45, 0x60, 0, 0]);
    let mask = read(&file);
    assert_eq!(mask.ids().unwrap(), [4, 5, 6, 1, 2, 3]);
    assert!(error(&file[..file.len() - 1]).contains("cut short"));
}

#[test]
fn lossy_and_unusual_files_are_refused_with_what_to_do() {
    let image = DynamicImage::ImageRgb8(image::RgbImage::from_pixel(4, 4, Rgb([1, 1, 1])));
    assert!(error(&encode(&image, ImageFormat::Jpeg)).contains("JPEG"));
    assert!(error(&encode(&image, ImageFormat::Gif)).contains("GIF"));
    assert!(error(&encode(&image, ImageFormat::WebP)).contains("WebP"));
    assert!(error(b"").contains("empty"));
    assert!(error(b"<html>").contains("damaged"));
}

#[test]
fn headers_that_announce_huge_masks_are_refused_before_memory_is_taken() {
    assert!(error(b"P5 60000 60000 255\n").contains("60000x60000"));
    assert!(error(b"P2 4000000000 1 255\n").contains("4000000000x1"));
    let mut file = grey_file(2, &[0, 1], png::BitDepth::Eight);
    file[16..20].copy_from_slice(&70_000u32.to_be_bytes());
    assert!(error(&file).contains("damaged"));
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(
        depth in 0usize..5,
        width in 1usize..40,
        levels in proptest::collection::vec(any::<u16>(), 40..200),
    ) {
        let depth = DEPTHS[depth];
        let most = ((1u32 << (depth as u32)) - 1) as u16;
        let whole = levels.len() / width * width;
        let ids: Vec<u16> = levels[..whole].iter().map(|level| level & most).collect();
        prop_assert_eq!(read(&grey_file(width, &ids, depth)).ids().unwrap(), ids);
    }

    #[test]
    fn changed_bytes_never_panic(
        kind in 0usize..5,
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
        keep in any::<usize>(),
    ) {
        let image = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(20, 12, Luma([3])));
        let mut bytes = match kind {
            0 => grey_file(20, &[1; 240], png::BitDepth::Four),
            1 => encode(&image, ImageFormat::Bmp),
            2 => encode(&image, ImageFormat::Pnm),
            3 => encode(&image, ImageFormat::Tiff),
            _ => b"P2 4 2 20\n1 2 3 4 5 6 7 8\n".to_vec(),
        };
        for (place, value) in changes {
            let len = bytes.len();
            bytes[place % len] = value;
        }
        bytes.truncate(keep % bytes.len() * 8);
        if let Ok(mask) = decode_mask(&bytes, Path::new("x"))
            && let Ok(ids) = mask.ids()
        {
            prop_assert_eq!(ids.len(), mask.width * mask.height);
        }
    }
}
