//! Amplitudes of low frequencies.
//!
//! Only those are transformed that change: with R frequencies along each axis an image takes
//! height · width · R multiplications, and no transform of the whole.

use std::f64::consts::TAU;

use crate::{Image, resize};

/// A complex number.
type Complex = [f64; 2];

/// Cosine and sine of 2π·f·x/side for each frequency f from −`reach` to `reach` and each place x.
fn waves(side: usize, reach: usize) -> Vec<Vec<Complex>> {
    let reach = reach as isize;
    (-reach..=reach)
        .map(|frequency| {
            let wave = |place: usize| {
                let angle = TAU * frequency as f64 * place as f64 / side as f64;
                [angle.cos(), angle.sin()]
            };
            (0..side).map(wave).collect()
        })
        .collect()
}

/// The coefficients of a channel at frequencies within reach along both axes, `[frequencies of y,
/// frequencies of x]`: Σ level · exp(−i·angle).
fn coefficients(
    image: &Image,
    channel: usize,
    across: &[Vec<Complex>],
    down: &[Vec<Complex>],
) -> Vec<Vec<Complex>> {
    let rows: Vec<Vec<Complex>> = image
        .pixels
        .chunks_exact(image.width * image.channels)
        .map(|row| {
            let levels = || row[channel..].iter().step_by(image.channels);
            let of = |wave: &Vec<Complex>| {
                levels()
                    .zip(wave)
                    .fold([0.0; 2], |sum, (&level, [cos, sin])| {
                        let level = f64::from(level);
                        [sum[0] + level * cos, sum[1] - level * sin]
                    })
            };
            across.iter().map(of).collect()
        })
        .collect();
    let of = |wave: &Vec<Complex>| -> Vec<Complex> {
        (0..across.len())
            .map(|x| {
                rows.iter()
                    .zip(wave)
                    .fold([0.0; 2], |sum, (row, [cos, sin])| {
                        let [re, im] = row[x];
                        [sum[0] + re * cos + im * sin, sum[1] + im * cos - re * sin]
                    })
            })
            .collect()
    };
    down.iter().map(of).collect()
}

/// `image` with the amplitudes that `other`, brought to its size, has at frequencies of at most `share` of a
/// side of the image from 0, along both axes; phases, which say what is where, stay (Yang and Soatto,
/// equations 1 to 3, where `share` is β: 0.01 to 0.09).
#[must_use]
pub fn swap_amplitudes(image: &Image, other: &Image, share: f64) -> Image {
    let (width, height) = (image.width, image.height);
    let other = resize(&other.clone().with_channels(image.channels), height, width);
    // Frequencies of more than half a side are the negative ones again.
    let reach = |side: usize| {
        let reach = (share * width.min(height) as f64).floor() as usize;
        reach.min((side - 1) / 2)
    };
    let (across, down) = (waves(width, reach(width)), waves(height, reach(height)));
    let mut styled = image.clone();
    for channel in 0..image.channels {
        let mut changes = coefficients(image, channel, &across, &down);
        let theirs = coefficients(&other, channel, &across, &down);
        for (own, theirs) in changes.iter_mut().flatten().zip(theirs.iter().flatten()) {
            let norm = own[0].hypot(own[1]);
            let wanted = theirs[0].hypot(theirs[1]);
            *own = match norm > 0.0 {
                true => own.map(|part| part * (wanted - norm) / norm),
                false => [wanted, 0.0],
            };
        }
        // The changes, transformed back: of each row of frequencies along x first.
        let count = (width * height) as f64;
        for (y, row) in styled
            .pixels
            .chunks_exact_mut(width * image.channels)
            .enumerate()
        {
            let along: Vec<Complex> = (0..across.len())
                .map(|x| {
                    changes
                        .iter()
                        .zip(&down)
                        .fold([0.0; 2], |sum, (row, wave)| {
                            let ([re, im], [cos, sin]) = (row[x], wave[y]);
                            [sum[0] + re * cos - im * sin, sum[1] + re * sin + im * cos]
                        })
                })
                .collect();
            let levels = row[channel..].iter_mut().step_by(image.channels);
            for (x, level) in levels.enumerate() {
                let waves = along.iter().zip(&across);
                let change: f64 = waves
                    .map(|([re, im], wave)| re * wave[x][0] - im * wave[x][1])
                    .sum();
                *level = (f64::from(*level) + change / count)
                    .round()
                    .clamp(0.0, 255.0) as u8;
            }
        }
    }
    styled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(seed: usize, width: usize, height: usize) -> Image {
        Image {
            width,
            height,
            channels: 3,
            pixels: (0..width * height * 3)
                .map(|i| ((i * 37 + seed * 91 + i * i % 17) % 256) as u8)
                .collect(),
        }
    }

    fn mean(image: &Image, channel: usize) -> f64 {
        let levels = image.pixels[channel..].iter().step_by(3);
        levels.map(|&level| f64::from(level)).sum::<f64>() / (image.width * image.height) as f64
    }

    #[test]
    fn its_own_amplitudes_change_nothing() {
        for size in [[20, 14], [7, 5], [1, 1], [16, 16]] {
            let image = image(1, size[0], size[1]);
            assert_eq!(swap_amplitudes(&image, &image, 0.1), image, "{size:?}");
        }
    }

    #[test]
    fn with_no_reach_the_mean_alone_is_taken() {
        let (dark, light) = (Image::filled(12, 10, 3, 60), Image::filled(5, 9, 3, 200));
        let styled = swap_amplitudes(&dark, &light, 0.0);
        assert!(styled.pixels.iter().all(|&level| level == 200));
        let textured = image(3, 12, 10);
        let mut grey = textured.clone();
        grey.pixels
            .iter_mut()
            .for_each(|level| *level = 64 + *level / 2);
        let styled = swap_amplitudes(&grey, &Image::filled(3, 3, 3, 120), 0.0);
        for channel in 0..3 {
            assert!((mean(&styled, channel) - 120.0).abs() < 0.6);
        }
    }

    #[test]
    fn edges_stay_where_they_are() {
        let mut image = Image::filled(32, 32, 1, 40);
        for y in 0..32 {
            for x in 16..32 {
                image.pixel_mut(x, y).fill(160);
            }
        }
        let mut slope = Image::filled(32, 32, 1, 0);
        for y in 0..32 {
            for x in 0..32 {
                slope.pixel_mut(x, y).fill((4 * y) as u8 + 60);
            }
        }
        let styled = swap_amplitudes(&image, &slope, 0.03);
        for y in [4, 16, 27] {
            let step = i32::from(styled.pixel(16, y)[0]) - i32::from(styled.pixel(15, y)[0]);
            assert!(step > 60, "{y}: {step}");
        }
    }
}
