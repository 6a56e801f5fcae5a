//! Mean and deviation of colours.

use crate::Image;

/// Least deviation that is divided by, in levels of 255: an image of one colour has none to stretch.
const LEAST: f64 = 1.0;

/// Mean and standard deviation of each channel, in levels of 255.
fn statistics(image: &Image) -> Vec<[f64; 2]> {
    let count = (image.width * image.height) as f64;
    (0..image.channels)
        .map(|channel| {
            let levels = || {
                let own = image.pixels[channel..].iter().step_by(image.channels);
                own.map(|&level| f64::from(level))
            };
            let mean = levels().sum::<f64>() / count;
            let squares = levels().map(|level| (level - mean).powi(2)).sum::<f64>();
            [mean, (squares / count).sqrt()]
        })
        .collect()
}

/// `image` with the mean and the standard deviation that each channel of `other` has.
#[must_use]
pub fn take_statistics(image: &Image, other: &Image) -> Image {
    let other = statistics(&other.clone().with_channels(image.channels));
    let own = statistics(image);
    let mut styled = image.clone();
    for (place, level) in styled.pixels.iter_mut().enumerate() {
        let [mean, deviation] = own[place % image.channels];
        let [wanted_mean, wanted_deviation] = other[place % image.channels];
        let centred = (f64::from(*level) - mean) / deviation.max(LEAST);
        *level = (wanted_mean + centred * wanted_deviation)
            .round()
            .clamp(0.0, 255.0) as u8;
    }
    styled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from: usize, step: usize) -> Image {
        Image {
            width: 8,
            height: 4,
            channels: 1,
            pixels: (0..32).map(|i| (from + step * i) as u8).collect(),
        }
    }

    #[test]
    fn the_other_images_statistics_are_taken_and_its_own_change_nothing() {
        let (image, other) = (ramp(20, 2), ramp(60, 4));
        let [[mean, deviation]] = statistics(&take_statistics(&image, &other))[..] else {
            panic!()
        };
        let [[wanted_mean, wanted_deviation]] = statistics(&other)[..] else {
            panic!()
        };
        assert!((mean - wanted_mean).abs() < 0.5 && (deviation - wanted_deviation).abs() < 0.5);
        assert_eq!(take_statistics(&image, &image), image);
    }

    #[test]
    fn an_image_of_one_colour_takes_the_mean_alone() {
        let flat = Image::filled(3, 3, 3, 90);
        let styled = take_statistics(&flat, &Image::filled(2, 2, 3, 40));
        assert!(styled.pixels.iter().all(|&level| level == 40));
    }
}
