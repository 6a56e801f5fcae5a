//! Shear, shift and rotation, nearest pixel, black beyond the border: what torchvision's
//! RandAugment does by default.

use crate::Image;

/// Takes each pixel from where `from` says it lies in the old image, both measured from the upper
/// left corner, pixel centres at halves.
fn warp(image: &Image, from: impl Fn(f64, f64) -> (f64, f64)) -> Image {
    let mut out = Image::filled(image.width, image.height, image.channels, 0);
    for y in 0..image.height {
        for x in 0..image.width {
            let (from_x, from_y) = from(x as f64 + 0.5, y as f64 + 0.5);
            let inside = |place: f64, len: usize| place >= 0.0 && place < len as f64;
            if inside(from_x, image.width) && inside(from_y, image.height) {
                out.pixel_mut(x, y)
                    .copy_from_slice(image.pixel(from_x as usize, from_y as usize));
            }
        }
    }
    out
}

/// Moves each row left by its distance from the upper border times `factor`.
pub(super) fn shear_x(image: &Image, factor: f64) -> Image {
    warp(image, |x, y| (x + factor * y, y))
}

/// Moves each column up by its distance from the left border times `factor`.
pub(super) fn shear_y(image: &Image, factor: f64) -> Image {
    warp(image, |x, y| (x, y + factor * x))
}

/// Moves the image right and down by whole pixels.
pub(super) fn shift(image: &Image, right: f64, down: f64) -> Image {
    let (right, down) = (right.trunc(), down.trunc());
    warp(image, |x, y| (x - right, y - down))
}

/// Turns the image around its middle, against the clock, by this many degrees.
pub(super) fn rotate(image: &Image, degrees: f64) -> Image {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (middle_x, middle_y) = (image.width as f64 / 2.0, image.height as f64 / 2.0);
    warp(image, |x, y| {
        let (x, y) = (x - middle_x, y - middle_y);
        (cos * x - sin * y + middle_x, sin * x + cos * y + middle_y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            width: 3,
            height: 3,
            channels: 1,
            pixels: (1..=9).collect(),
        }
    }

    #[test]
    fn nothing_moves_without_strength() {
        for moved in [
            shear_x(&image(), 0.0),
            shear_y(&image(), 0.0),
            shift(&image(), 0.9, -0.9),
            rotate(&image(), 0.0),
        ] {
            assert_eq!(moved, image());
        }
    }

    #[test]
    fn shifts_move_whole_pixels_and_leave_black() {
        assert_eq!(
            shift(&image(), 1.0, 0.0).pixels,
            [0, 1, 2, 0, 4, 5, 0, 7, 8]
        );
        assert_eq!(
            shift(&image(), 0.0, -1.0).pixels,
            [4, 5, 6, 7, 8, 9, 0, 0, 0]
        );
    }

    #[test]
    fn shears_move_rows_or_columns_by_their_distance() {
        // Rows at 0.5, 1.5 and 2.5 move by as many pixels, rounded down at pixel centres.
        assert_eq!(shear_x(&image(), 1.0).pixels, [2, 3, 0, 6, 0, 0, 0, 0, 0]);
        assert_eq!(shear_y(&image(), 1.0).pixels, [4, 8, 0, 7, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_right_angle_turns_against_the_clock() {
        assert_eq!(rotate(&image(), 90.0).pixels, [3, 6, 9, 2, 5, 8, 1, 4, 7]);
    }
}
