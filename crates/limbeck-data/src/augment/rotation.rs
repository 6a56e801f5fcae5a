//! Rotation by a small random angle around the middle.

use crate::{Image, Mask};

/// For each pixel, from left to right and from top to bottom, where it lies in the unturned image:
/// distances from the upper left corner, pixel centres at halves. Turns against the clock.
fn places(width: usize, height: usize, degrees: f64) -> impl Iterator<Item = (f64, f64)> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (middle_x, middle_y) = (width as f64 / 2.0, height as f64 / 2.0);
    (0..height).flat_map(move |y| {
        (0..width).map(move |x| {
            let (x, y) = (x as f64 + 0.5 - middle_x, y as f64 + 0.5 - middle_y);
            (cos * x - sin * y + middle_x, sin * x + cos * y + middle_y)
        })
    })
}

/// Whether a place lies on the image.
fn is_inside((x, y): (f64, f64), width: usize, height: usize) -> bool {
    (0.0..width as f64).contains(&x) && (0.0..height as f64).contains(&y)
}

/// The turned image, bilinear; `fill` is one pixel of what comes in from beyond the border.
pub(super) fn rotate_image(image: &Image, degrees: f64, fill: &[u8]) -> Image {
    let (width, height) = (image.width, image.height);
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for place in places(width, height, degrees) {
        if !is_inside(place, width, height) {
            pixels.extend_from_slice(fill);
            continue;
        }
        let ((left, right, x), (top, bottom, y)) =
            (neighbours(place.0, width), neighbours(place.1, height));
        let corners = [(left, top), (right, top), (left, bottom), (right, bottom)]
            .map(|(x, y)| image.pixel(x, y));
        for channel in 0..image.channels {
            let [a, b, c, d] = corners.map(|pixel| f32::from(pixel[channel]));
            let (above, below) = (a + x * (b - a), c + x * (d - c));
            pixels.push((above + y * (below - above) + 0.5) as u8);
        }
    }
    Image { pixels, ..*image }
}

/// The two pixels on either side of a place along one axis, and how far it is from the first to the
/// second.
fn neighbours(place: f64, len: usize) -> (usize, usize, f32) {
    let from_centre = (place - 0.5).clamp(0.0, (len - 1) as f64);
    let first = from_centre as usize;
    (
        first,
        (first + 1).min(len - 1),
        (from_centre - first as f64) as f32,
    )
}

/// The turned mask, of each pixel the id at its centre; `fill` is the id of what comes in from beyond
/// the border.
pub(super) fn rotate_mask(mask: &Mask, degrees: f64, fill: u8) -> Mask {
    let (width, height) = (mask.width, mask.height);
    let ids = places(width, height, degrees).map(|place| {
        if is_inside(place, width, height) {
            mask.id(place.0 as usize, place.1 as usize)
        } else {
            fill
        }
    });
    Mask {
        width,
        height,
        ids: ids.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VOID;

    #[test]
    fn a_right_angle_turns_against_the_clock() {
        let image = Image {
            width: 3,
            height: 3,
            channels: 1,
            pixels: (1..=9).collect(),
        };
        let turned = [3, 6, 9, 2, 5, 8, 1, 4, 7];
        assert_eq!(rotate_image(&image, 90.0, &[0]).pixels, turned);
        let mask = Mask::from_image(image);
        assert_eq!(rotate_mask(&mask, 90.0, VOID).ids, turned);
        assert_eq!(rotate_mask(&mask, 0.0, VOID), mask);
    }

    #[test]
    fn what_comes_in_is_filled_and_what_is_between_is_mixed() {
        let mask = Mask::filled(8, 8, 3);
        let turned = rotate_mask(&mask, 45.0, VOID);
        assert_eq!(turned.id(0, 0), VOID);
        assert_eq!(turned.id(4, 4), 3);
        // Half of each neighbour where a turned centre lies between two.
        let columns = Image {
            width: 2,
            height: 1,
            channels: 1,
            pixels: vec![0, 100],
        };
        let turned = rotate_image(&columns, 60.0, &[9]);
        assert_eq!(turned.pixels, [25, 75]);
    }
}
