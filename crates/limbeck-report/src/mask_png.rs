//! Masks as PNG files: the ids themselves at 8 bits, with a palette in which they can be looked at.

use png::{BitDepth, ColorType, Compression, Encoder};

use crate::palette::{Palette, VOID};

/// Why a mask cannot be written as a PNG file.
#[derive(Debug, thiserror::Error)]
pub enum MaskPngError {
    /// Not as many ids as pixels, or no pixels, or more in a row than PNG knows.
    #[error("a mask of {width} by {height} pixels cannot have {ids} ids")]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Ids that there are.
        ids: usize,
    },
    /// What the encoder found.
    #[error("a mask could not be encoded: {0}")]
    Encoding(#[from] png::EncodingError),
}

/// A mask as a PNG file of one byte a pixel, the ids, and a palette; `ids` are `height · width`, row
/// after row. Readers that keep palettes read the ids; viewers show `palette`, and 255, which is no
/// class, as transparent.
///
/// # Errors
/// Sizes that do not fit together.
pub fn mask_png(
    ids: &[u8],
    [height, width]: [usize; 2],
    palette: &Palette,
) -> Result<Vec<u8>, MaskPngError> {
    let size = || MaskPngError::Size {
        width,
        height,
        ids: ids.len(),
    };
    if height.checked_mul(width) != Some(ids.len()) || ids.is_empty() {
        return Err(size());
    }
    let side = |side: usize| u32::try_from(side).map_err(|_| size());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(width)?, side(height)?);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    // No more colours than there are ids: a page has many small masks.
    let last = ids.iter().copied().max().map_or(0, usize::from);
    let colours: Vec<u8> = (0..=last).flat_map(|id| palette.colour(id)).collect();
    encoder.set_palette(colours);
    if last == VOID {
        let mut opacity = vec![255; VOID];
        opacity.push(0);
        encoder.set_trns(opacity);
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(ids)?;
    writer.finish()?;
    Ok(bytes)
}

/// A picture under its mask as a PNG file: of each pixel the mean of its own colour and its class's,
/// white where two classes meet. `rgb` is red, green, blue of each pixel, row after row; `ids` as for
/// [`mask_png`]. Void pixels stay as they are.
///
/// # Errors
/// Sizes that do not fit together.
pub fn overlay_png(
    rgb: &[u8],
    ids: &[u8],
    [height, width]: [usize; 2],
    palette: &Palette,
) -> Result<Vec<u8>, MaskPngError> {
    let size = || MaskPngError::Size {
        width,
        height,
        ids: ids.len(),
    };
    let fits = height.checked_mul(width) == Some(ids.len()) && rgb.len() / 3 == ids.len();
    if !fits || ids.is_empty() || !rgb.len().is_multiple_of(3) {
        return Err(size());
    }
    let mut mixed = Vec::with_capacity(rgb.len());
    for (place, (pixel, &id)) in rgb.chunks_exact(3).zip(ids).enumerate() {
        let right = (place % width + 1 < width).then_some(place + 1);
        let meets = [right, Some(place + width)]
            .into_iter()
            .flatten()
            .filter_map(|other| ids.get(other))
            .any(|other| *other != id);
        let colour = match usize::from(id) {
            VOID => None,
            class => Some(palette.colour(class)),
        };
        match (meets, colour) {
            (true, _) => mixed.extend([255; 3]),
            (false, None) => mixed.extend(pixel),
            (false, Some(colour)) => {
                let mean = |(own, class): (&u8, u8)| own.midpoint(class);
                mixed.extend(pixel.iter().zip(colour).map(mean));
            }
        }
    }
    rgb_png(&mixed, [height, width])
}

/// Pixels of red, green and blue, row after row, as a PNG file.
///
/// # Errors
/// Sizes that do not fit together.
pub(crate) fn rgb_png(rgb: &[u8], [height, width]: [usize; 2]) -> Result<Vec<u8>, MaskPngError> {
    let size = || MaskPngError::Size {
        width,
        height,
        ids: rgb.len() / 3,
    };
    if height
        .checked_mul(width)
        .and_then(|pixels| pixels.checked_mul(3))
        != Some(rgb.len())
        || rgb.is_empty()
    {
        return Err(size());
    }
    let side = |side: usize| u32::try_from(side).map_err(|_| size());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(width)?, side(height)?);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, Rgba};

    use super::*;

    #[test]
    fn viewers_see_the_palette_and_nothing_where_there_is_no_class() {
        let palette = Palette::of(&["background", "disc"]);
        let file = mask_png(&[0, 1, 1, 255, 0, 1], [2, 3], &palette).unwrap();
        let DynamicImage::ImageRgba8(seen) = image::load_from_memory(&file).unwrap() else {
            panic!("transparency is kept");
        };
        assert_eq!(seen.dimensions(), (3, 2));
        assert_eq!(seen[(0, 0)], Rgba([0, 0, 0, 255]));
        assert_eq!(seen[(1, 0)], Rgba([128, 0, 0, 255]));
        assert_eq!(seen[(0, 1)].0[3], 0);
    }

    #[test]
    fn the_ids_are_what_is_stored() {
        let palette = Palette::of(&["sky", "road", "car"]);
        let ids: Vec<u8> = (0..48).map(|pixel| pixel % 3).collect();
        let file = mask_png(&ids, [6, 8], &palette).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file))
            .read_info()
            .unwrap();
        let mut found = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut found).unwrap();
        assert_eq!(
            (info.color_type, info.bit_depth),
            (ColorType::Indexed, BitDepth::Eight)
        );
        assert_eq!(found, ids);
    }

    #[test]
    fn an_overlay_mixes_the_colours_and_marks_where_classes_meet() {
        let palette = Palette::of(&["background", "disc"]);
        let (grey, ids) = ([100; 18], [0, 0, 1, 1, 255, 255]);
        let file = overlay_png(&grey, &ids, [1, 6], &palette).unwrap();
        let seen = image::load_from_memory(&file).unwrap().into_rgb8();
        let row: Vec<[u8; 3]> = seen.pixels().map(|pixel| pixel.0).collect();
        let (white, own) = ([255; 3], [100; 3]);
        assert_eq!(row, [[50; 3], white, [114, 50, 50], white, own, own]);
        assert!(overlay_png(&grey[..17], &ids, [1, 6], &palette).is_err());
        assert!(overlay_png(&grey, &ids, [2, 6], &palette).is_err());
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let palette = Palette::of(&["sky"]);
        for (ids, size) in [(6, [2, 2]), (0, [0, 3]), (4, [usize::MAX, 2])] {
            let error = mask_png(&vec![0; ids], size, &palette).unwrap_err();
            assert!(matches!(error, MaskPngError::Size { .. }), "{error}");
        }
    }
}
