//! Pictures with boxes drawn on them, as PNG files.

use crate::mask_png::{MaskPngError, rgb_png};
use crate::palette::Palette;

/// Thickness of a box's border: a pixel for each so many of the longer side, at least one.
const PIXELS_PER_LINE: usize = 240;

/// A picture with the border of each box in its class's colour, and a thin dark line around it. `rgb` is red,
/// green, blue of each pixel, row after row; `boxes` are a class and left, top, right and lower border in
/// pixels, the first drawn last.
///
/// # Errors
/// Sizes that do not fit together.
pub fn boxes_png(
    rgb: &[u8],
    [height, width]: [usize; 2],
    boxes: &[(usize, [f64; 4])],
    palette: &Palette,
) -> Result<Vec<u8>, MaskPngError> {
    let mut drawn = rgb.to_vec();
    let line = (height.max(width) / PIXELS_PER_LINE).max(1) as isize;
    let mut frame = |corners: [isize; 4], out: isize, thick: isize, colour: [u8; 3]| {
        let [left, top, right, bottom] = corners;
        let (left, top) = (left - out, top - out);
        let (right, bottom) = (right + out, bottom + out);
        for y in top.max(0)..bottom.min(height as isize) {
            for x in left.max(0)..right.min(width as isize) {
                let depth = (x - left)
                    .min(right - 1 - x)
                    .min((y - top).min(bottom - 1 - y));
                if depth < thick {
                    let place = (y as usize * width + x as usize) * 3;
                    if let Some(pixel) = drawn.get_mut(place..place + 3) {
                        pixel.copy_from_slice(&colour);
                    }
                }
            }
        }
    };
    for (class, bounds) in boxes.iter().rev() {
        let corners = bounds.map(|at| at.round() as isize);
        frame(corners, 1, line + 2, [0; 3]);
        frame(corners, 0, line, palette.colour(*class));
    }
    rgb_png(&drawn, [height, width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_have_the_colour_of_their_class_and_the_inside_stays() {
        let palette = Palette::of(&["cat", "dog"]);
        let rgb = [200; 20 * 30 * 3];
        let boxes = [(1, [4.0, 5.0, 14.0, 15.0]), (0, [25.0, 10.0, 99.0, 18.0])];
        let file = boxes_png(&rgb, [20, 30], &boxes, &palette).unwrap();
        let seen = image::load_from_memory(&file).unwrap().to_rgb8();
        assert_eq!(seen[(4, 5)].0, palette.colour(1));
        assert_eq!(seen[(13, 10)].0, palette.colour(1));
        assert_eq!(seen[(3, 10)].0, [0; 3]);
        assert_eq!(seen[(9, 10)].0, [200; 3]);
        assert_eq!(seen[(27, 10)].0, palette.colour(0));
        assert!(boxes_png(&rgb[1..], [20, 30], &boxes, &palette).is_err());
    }
}
