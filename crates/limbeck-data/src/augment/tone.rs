//! Changes of single values: posterise, solarise, automatic contrast, equalise. Definitions are
//! those of Pillow's `ImageOps`.

use super::colour::map;
use crate::Image;

/// Keeps this many of the 8 bits of every value, the highest.
pub(super) fn posterise(image: &mut Image, bits: u32) {
    let mask = !(0xffu32 >> bits.min(8)) as u8;
    map(image, &std::array::from_fn(|value| value as u8 & mask));
}

/// Inverts all values from the threshold on.
pub(super) fn solarise(image: &mut Image, threshold: f64) {
    let table = std::array::from_fn(|value| {
        if (value as f64) < threshold {
            value as u8
        } else {
            255 - value as u8
        }
    });
    map(image, &table);
}

/// Stretches each channel so that its least value becomes 0 and its greatest 255.
pub(super) fn auto_contrast(image: &mut Image) {
    by_channel(image, |histogram| {
        let least = histogram.iter().position(|&count| count > 0).unwrap_or(0);
        let greatest = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
        if least >= greatest {
            return None;
        }
        let range = greatest - least;
        Some(std::array::from_fn(|value| {
            let above = value.clamp(least, greatest) - least;
            ((above * 255 + range / 2) / range) as u8
        }))
    });
}

/// Spreads the values of each channel so that all are about equally frequent.
pub(super) fn equalise(image: &mut Image) {
    by_channel(image, |histogram| {
        let last = histogram.iter().rposition(|&count| count > 0)?;
        let total: usize = histogram.iter().sum();
        let step = (total - histogram[last]) / 255;
        if step == 0 {
            return None;
        }
        let mut below = step / 2;
        Some(std::array::from_fn(|value| {
            let level = (below / step).min(255) as u8;
            below += histogram[value];
            level
        }))
    });
}

/// Changes each channel by a table made from its histogram; `None` leaves it.
fn by_channel(image: &mut Image, table: impl Fn(&[usize; 256]) -> Option<[u8; 256]>) {
    let channels = image.channels;
    for channel in 0..channels {
        let mut histogram = [0; 256];
        for &value in image.pixels[channel..].iter().step_by(channels) {
            histogram[usize::from(value)] += 1;
        }
        let Some(table) = table(&histogram) else {
            continue;
        };
        for value in image.pixels[channel..].iter_mut().step_by(channels) {
            *value = table[usize::from(*value)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(pixels: &[u8]) -> Image {
        Image {
            width: pixels.len(),
            height: 1,
            channels: 1,
            pixels: pixels.to_vec(),
        }
    }

    fn changed(pixels: &[u8], change: impl Fn(&mut Image)) -> Vec<u8> {
        let mut image = grey(pixels);
        change(&mut image);
        image.pixels
    }

    #[test]
    fn posterising_clears_low_bits() {
        assert_eq!(changed(&[255, 100, 3], |i| posterise(i, 4)), [240, 96, 0]);
        assert_eq!(changed(&[255, 100, 3], |i| posterise(i, 8)), [255, 100, 3]);
    }

    #[test]
    fn solarising_inverts_bright_values() {
        assert_eq!(
            changed(&[0, 127, 128, 255], |i| solarise(i, 128.0)),
            [0, 127, 127, 0]
        );
        assert_eq!(changed(&[0, 255], |i| solarise(i, 256.0)), [0, 255]);
    }

    #[test]
    fn automatic_contrast_reaches_from_black_to_white_in_each_channel() {
        assert_eq!(changed(&[50, 100, 150], auto_contrast), [0, 128, 255]);
        assert_eq!(changed(&[70, 70], auto_contrast), [70, 70]);
        let mut image = Image {
            width: 2,
            height: 1,
            channels: 3,
            pixels: vec![10, 9, 0, 20, 9, 255],
        };
        auto_contrast(&mut image);
        assert_eq!(image.pixels, [0, 9, 0, 255, 9, 255]);
    }

    #[test]
    fn equalising_spreads_values_over_the_whole_range() {
        // 255 values of 10, 255 of 20 and 255 of 30: steps of (765 - 255) / 255 = 2, so the three
        // become (1, 256, 511) / 2.
        let pixels: Vec<u8> = [10, 20, 30].iter().flat_map(|&v| [v; 255]).collect();
        let equal = changed(&pixels, equalise);
        assert_eq!([equal[0], equal[300], equal[764]], [0, 128, 255]);
        assert_eq!(changed(&[7, 9], equalise), [7, 9]);
    }
}
