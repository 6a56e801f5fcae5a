//! Amplitudes of low frequencies.

use std::sync::Arc;

use rustfft::{Fft, FftPlanner, num_complex::Complex};

use crate::{Image, resize};

/// Rows of complex numbers.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<Complex<f32>>,
}

/// Transforms of rows and of columns.
struct Transforms {
    rows: Arc<dyn Fft<f32>>,
    columns: Arc<dyn Fft<f32>>,
}

impl Plane {
    fn of(image: &Image, channel: usize) -> Self {
        let levels = image.pixels[channel..].iter().step_by(image.channels);
        Self {
            width: image.width,
            height: image.height,
            values: levels
                .map(|&level| Complex::new(f32::from(level), 0.0))
                .collect(),
        }
    }

    fn transform(&mut self, by: &Transforms) {
        by.rows.process(&mut self.values);
        let mut column = vec![Complex::default(); self.height];
        for x in 0..self.width {
            for (y, value) in column.iter_mut().enumerate() {
                *value = self.values[y * self.width + x];
            }
            by.columns.process(&mut column);
            for (y, value) in column.iter().enumerate() {
                self.values[y * self.width + x] = *value;
            }
        }
    }
}

/// `image` with the amplitudes that `other`, brought to its size, has at frequencies of at most `share` of a
/// side of the image from 0, along both axes; phases, which say what is where, stay (Yang and Soatto,
/// equations 1 to 3, where `share` is β: 0.01 to 0.09).
#[must_use]
pub fn swap_amplitudes(image: &Image, other: &Image, share: f64) -> Image {
    let (width, height) = (image.width, image.height);
    let other = resize(&other.clone().with_channels(image.channels), height, width);
    let mut planner = FftPlanner::new();
    let forward = Transforms {
        rows: planner.plan_fft_forward(width),
        columns: planner.plan_fft_forward(height),
    };
    let inverse = Transforms {
        rows: planner.plan_fft_inverse(width),
        columns: planner.plan_fft_inverse(height),
    };
    let reach = (share * width.min(height) as f64).floor() as usize;
    // The negative frequencies are at the end of each axis.
    let is_low = |place: usize, side: usize| place.min(side - place) <= reach;
    let mut styled = image.clone();
    for channel in 0..image.channels {
        let mut own = Plane::of(image, channel);
        let mut theirs = Plane::of(&other, channel);
        own.transform(&forward);
        theirs.transform(&forward);
        for y in (0..height).filter(|&y| is_low(y, height)) {
            for x in (0..width).filter(|&x| is_low(x, width)) {
                let (value, amplitude) = (
                    &mut own.values[y * width + x],
                    theirs.values[y * width + x].norm(),
                );
                let norm = value.norm();
                *value = match norm > 0.0 {
                    true => *value * (amplitude / norm),
                    false => Complex::new(amplitude, 0.0),
                };
            }
        }
        own.transform(&inverse);
        let scale = 1.0 / (width * height) as f32;
        let levels = styled.pixels[channel..].iter_mut().step_by(image.channels);
        for (level, value) in levels.zip(&own.values) {
            *level = (value.re * scale).round().clamp(0.0, 255.0) as u8;
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
