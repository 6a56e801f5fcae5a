//! Images as small files for pages.

use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use limbeck_data::{Augment, Image, Normalisation};

/// `image` as the bytes of a PNG file; empty if it cannot be encoded.
pub(crate) fn png(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let colour = match image.channels {
        1 => ExtendedColorType::L8,
        _ => ExtendedColorType::Rgb8,
    };
    let encoded = PngEncoder::new(Cursor::new(&mut bytes)).write_image(
        &image.pixels,
        image.width as u32,
        image.height as u32,
        colour,
    );
    match encoded {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// The same in letters.
pub(crate) fn base64_png(image: &Image) -> String {
    STANDARD.encode(png(image))
}

/// Height and width of what is shown of an image of `size`, neither above `largest`.
pub(crate) fn shown_size(size: [usize; 2], largest: usize) -> [usize; 2] {
    let longest = size[0].max(size[1]);
    match longest <= largest {
        true => size,
        false => size.map(|side| (side * largest / longest).max(1)),
    }
}

/// `image` with no side above `largest`.
pub(crate) fn shrunk(image: Image, largest: usize) -> Image {
    let plain = Augment {
        size: shown_size([image.height, image.width], largest),
        channels: image.channels,
        ..Augment::default()
    };
    plain.plain(image)
}

/// The image whose normalised `numbers` are `[C, H, W]`; what is beyond black or white is cut off.
pub(crate) fn of_numbers(
    numbers: &[f32],
    [channels, height, width]: [usize; 3],
    normalisation: Option<&Normalisation>,
) -> Image {
    let mut image = Image::filled(width, height, channels, 0);
    let places = height * width;
    for (channel, plane) in numbers.chunks(places.max(1)).enumerate().take(channels) {
        let of = |values: &[f64], other: f64| values.get(channel).copied().unwrap_or(other);
        let (mean, std) = normalisation.map_or((0.0, 1.0), |normalisation| {
            (of(&normalisation.mean, 0.0), of(&normalisation.std, 1.0))
        });
        for (place, &value) in plane.iter().enumerate() {
            let value = (f64::from(value) * std + mean) * 255.0;
            if let Some(byte) = image.pixels.get_mut(place * channels + channel) {
                *byte = value.round().clamp(0.0, 255.0) as u8;
            }
        }
    }
    image
}

/// Images of one size in rows and columns, with white between them.
pub(crate) fn sheet(rows: &[Vec<Image>]) -> Option<Image> {
    /// Pixels between two images.
    const GAP: usize = 2;
    let first = rows.first()?.first()?;
    let (height, width, channels) = (first.height, first.width, first.channels);
    let columns = rows.iter().map(Vec::len).max()?;
    let mut sheet = Image::filled(
        columns * (width + GAP) - GAP,
        rows.len() * (height + GAP) - GAP,
        channels,
        255,
    );
    for (row, images) in rows.iter().enumerate() {
        for (column, image) in images.iter().enumerate() {
            if [image.height, image.width, image.channels] != [height, width, channels] {
                continue;
            }
            for y in 0..height {
                for x in 0..width {
                    let (left, top) = (column * (width + GAP) + x, row * (height + GAP) + y);
                    sheet
                        .pixel_mut(left, top)
                        .copy_from_slice(image.pixel(x, y));
                }
            }
        }
    }
    Some(sheet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_brought_back_to_the_bytes_they_were() {
        let normalisation = Normalisation::new(&[0.5, 0.25, 0.0], &[0.5, 0.25, 1.0]);
        // Planes of two pixels: red -1 and 1, green 0 and 9, blue 0.5 and 1.
        let numbers = [-1.0, 1.0, 0.0, 9.0, 0.5, 1.0];
        let image = of_numbers(&numbers, [3, 1, 2], Some(&normalisation));
        assert_eq!(image.pixels, [0, 64, 128, 255, 255, 255]);
        let grey = of_numbers(&[0.2], [1, 1, 1], None);
        assert_eq!(grey.pixels, [51]);
    }

    #[test]
    fn images_stand_side_by_side_with_white_between() {
        let of = |value| Image::filled(1, 1, 1, value);
        let sheet = sheet(&[vec![of(1), of(2)], vec![of(3)]]).unwrap();
        assert_eq!((sheet.width, sheet.height), (4, 4));
        assert_eq!(sheet.pixels[..4], [1, 255, 255, 2]);
        assert_eq!(sheet.pixels[12..], [3, 255, 255, 255]);
    }

    #[test]
    fn large_images_are_shrunk_and_small_ones_left() {
        assert_eq!(shown_size([720, 960], 384), [288, 384]);
        let small = Image::filled(8, 6, 3, 9);
        assert_eq!(shrunk(small.clone(), 64), small);
        let large = shrunk(Image::filled(100, 50, 3, 9), 64);
        assert_eq!((large.width, large.height), (64, 32));
    }
}
