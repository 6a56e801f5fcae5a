//! Light, contrast and colour of images by a factor.
//!
//! Definitions are those of Pillow's `ImageEnhance` and torchvision's `adjust_*`; results are
//! rounded to the nearest value where these cut off, so that a factor of 1 changes nothing and no
//! chain of changes darkens the image.

use crate::{Image, luma};

/// Between `other` (factor 0) and `value` (factor 1), or beyond.
fn blend(other: f32, value: u8, factor: f32) -> u8 {
    (other + factor * (f32::from(value) - other) + 0.5).clamp(0.0, 255.0) as u8
}

/// Every value by a table.
pub(super) fn map(image: &mut Image, table: &[u8; 256]) {
    for value in &mut image.pixels {
        *value = table[usize::from(*value)];
    }
}

/// Multiplies every value.
pub(super) fn brightness(image: &mut Image, factor: f64) {
    let table = std::array::from_fn(|value| blend(0.0, value as u8, factor as f32));
    map(image, &table);
}

/// Scales the distance of every value from the mean luma of the image, a whole number.
pub(super) fn contrast(image: &mut Image, factor: f64) {
    let sum: u64 = match image.channels {
        1 => image.pixels.iter().map(|&value| u64::from(value)).sum(),
        _ => image
            .pixels
            .chunks_exact(3)
            .map(|rgb| u64::from(luma(rgb[0], rgb[1], rgb[2])))
            .sum(),
    };
    let mean = (sum as f64 / (image.width * image.height) as f64).round() as f32;
    let table = std::array::from_fn(|value| blend(mean, value as u8, factor as f32));
    map(image, &table);
}

/// Scales the distance of every pixel from its own luma. Grey images stay as they are.
pub(super) fn saturation(image: &mut Image, factor: f64) {
    if image.channels == 1 {
        return;
    }
    for rgb in image.pixels.chunks_exact_mut(3) {
        let grey = f32::from(luma(rgb[0], rgb[1], rgb[2]));
        for value in rgb {
            *value = blend(grey, *value, factor as f32);
        }
    }
}

/// Turns the hue of every pixel; 1 is a full turn. Grey images stay as they are.
pub(super) fn hue(image: &mut Image, turn: f64) {
    if image.channels == 1 {
        return;
    }
    for rgb in image.pixels.chunks_exact_mut(3) {
        let [red, green, blue] = [rgb[0], rgb[1], rgb[2]].map(f32::from);
        let greatest = red.max(green).max(blue);
        let chroma = greatest - red.min(green).min(blue);
        if chroma == 0.0 {
            continue;
        }
        // In sixths of a turn, from red over green and blue.
        let sector = if greatest == red {
            (green - blue) / chroma
        } else if greatest == green {
            2.0 + (blue - red) / chroma
        } else {
            4.0 + (red - green) / chroma
        };
        let sector = (sector + 6.0 * turn as f32).rem_euclid(6.0);
        for (value, offset) in rgb.iter_mut().zip([5.0, 3.0, 1.0]) {
            let place = (sector + offset) % 6.0;
            let share = place.min(4.0 - place).clamp(0.0, 1.0);
            *value = (greatest - chroma * share + 0.5) as u8;
        }
    }
}

/// Scales the distance of every pixel from a smoothed image: the mean of the 3x3 pixels around,
/// the middle counted 5 times. Pixels of the border stay as they are.
pub(super) fn sharpness(image: &mut Image, factor: f64) {
    let (width, height, channels) = (image.width, image.height, image.channels);
    if width < 3 || height < 3 {
        return;
    }
    let before = image.pixels.clone();
    let row = width * channels;
    for y in 1..height - 1 {
        for at in y * row + channels..(y + 1) * row - channels {
            let sum: u32 = [at - row, at, at + row]
                .iter()
                .flat_map(|&middle| [middle - channels, middle, middle + channels])
                .map(|neighbour| u32::from(before[neighbour]))
                .sum();
            let smooth = (sum + 4 * u32::from(before[at])) as f32 / 13.0;
            image.pixels[at] = blend(smooth.round(), before[at], factor as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(pixels: &[[u8; 3]]) -> Image {
        Image {
            width: pixels.len(),
            height: 1,
            channels: 3,
            pixels: pixels.concat(),
        }
    }

    fn changed(image: &Image, change: impl Fn(&mut Image)) -> Vec<u8> {
        let mut image = image.clone();
        change(&mut image);
        image.pixels
    }

    #[test]
    fn a_neutral_factor_changes_nothing() {
        let pixels: Vec<[u8; 3]> = (0..=255u8)
            .map(|v| [v, v.wrapping_mul(7), 255 - v])
            .collect();
        let image = Image {
            width: 16,
            height: 16,
            ..colours(&pixels)
        };
        let neutral: [fn(&mut Image); 5] = [
            |i| brightness(i, 1.0),
            |i| contrast(i, 1.0),
            |i| saturation(i, 1.0),
            |i| sharpness(i, 1.0),
            |i| hue(i, 0.0),
        ];
        for change in neutral {
            assert_eq!(changed(&image, change), image.pixels);
        }
    }

    #[test]
    fn brightness_multiplies_and_stops_at_white() {
        let image = colours(&[[10, 100, 200]]);
        assert_eq!(changed(&image, |i| brightness(i, 1.5)), [15, 150, 255]);
        assert_eq!(changed(&image, |i| brightness(i, 0.0)), [0, 0, 0]);
    }

    #[test]
    fn contrast_scales_around_the_mean_luma() {
        let image = colours(&[[50; 3], [150; 3]]);
        assert_eq!(
            changed(&image, |i| contrast(i, 0.5)),
            [75, 75, 75, 125, 125, 125]
        );
        assert_eq!(changed(&image, |i| contrast(i, 0.0)), [100; 6]);
    }

    #[test]
    fn saturation_scales_around_each_pixels_luma() {
        // Luma of pure red is 76.
        let image = colours(&[[255, 0, 0]]);
        assert_eq!(changed(&image, |i| saturation(i, 0.0)), [76; 3]);
        assert_eq!(changed(&image, |i| saturation(i, 0.5)), [166, 38, 38]);
    }

    #[test]
    fn a_third_of_a_turn_moves_red_to_green_to_blue() {
        let image = colours(&[[255, 0, 0], [10, 200, 30], [90, 90, 90]]);
        assert_eq!(
            changed(&image, |i| hue(i, 1.0 / 3.0)),
            [0, 255, 0, 30, 10, 200, 90, 90, 90]
        );
        assert_eq!(
            changed(&image, |i| hue(i, -1.0 / 3.0)),
            [0, 0, 255, 200, 30, 10, 90, 90, 90]
        );
        assert_eq!(changed(&image, |i| hue(i, 0.5))[..3], [0, 255, 255]);
    }

    #[test]
    fn sharpness_of_zero_smooths_the_inside_alone() {
        let mut image = Image::filled(3, 3, 1, 0);
        image.pixels[4] = 130;
        let smooth = changed(&image, |i| sharpness(i, 0.0));
        assert_eq!(smooth, [0, 0, 0, 0, 50, 0, 0, 0, 0]);
        assert_eq!(changed(&image, |i| sharpness(i, 2.0))[4], 210);
    }
}
