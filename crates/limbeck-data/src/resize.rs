//! Bilinear resizing with antialiasing, the way that Pillow and torchvision do it.
//!
//! Each output pixel is a weighted mean of input pixels under a triangle that reaches one output
//! pixel (but at least one input pixel) to either side, along rows first, then along columns,
//! rounded to 8 bits in between.

use crate::Image;

/// Weights are fixed-point numbers with this many bits after the point: results do not depend
/// on the order of summation, and 255 times a sum of weights near 1 fits 32 bits.
const FRACTION: u32 = 22;

/// Which inputs an output is made of.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The image at `height` by `width` pixels, both above 0.
#[must_use]
pub fn resize(image: &Image, height: usize, width: usize) -> Image {
    if (image.height, image.width) == (height, width) {
        return image.clone();
    }
    vertical(&horizontal(image, width), height)
}

/// Taps of every output along one axis.
fn taps(input: usize, output: usize) -> Vec<Taps> {
    let scale = input as f64 / output as f64;
    let support = scale.max(1.0);
    (0..output)
        .map(|out| {
            let centre = (out as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5).max(0.0)) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            let weights: Vec<f64> = (first..end)
                .map(|at| (1.0 - ((at as f64 + 0.5 - centre) / support).abs()).max(0.0))
                .collect();
            let sum: f64 = weights.iter().sum();
            let one = f64::from(1u32 << FRACTION);
            Taps {
                first,
                weights: weights
                    .iter()
                    .map(|weight| (weight / sum * one).round() as i32)
                    .collect(),
            }
        })
        .collect()
}

fn round(sum: i32) -> u8 {
    ((sum + (1 << (FRACTION - 1))) >> FRACTION).clamp(0, 255) as u8
}

fn horizontal(image: &Image, width: usize) -> Image {
    if image.width == width {
        return image.clone();
    }
    let channels = image.channels;
    let taps = taps(image.width, width);
    let mut pixels = Vec::with_capacity(width * image.height * channels);
    for row in image.pixels.chunks_exact(image.width * channels) {
        for Taps { first, weights } in &taps {
            let inputs = &row[first * channels..];
            for channel in 0..channels {
                let sum = weights
                    .iter()
                    .zip(inputs[channel..].iter().step_by(channels))
                    .map(|(&weight, &pixel)| weight * i32::from(pixel))
                    .sum();
                pixels.push(round(sum));
            }
        }
    }
    Image {
        width,
        height: image.height,
        channels,
        pixels,
    }
}

fn vertical(image: &Image, height: usize) -> Image {
    if image.height == height {
        return image.clone();
    }
    let row_len = image.width * image.channels;
    let mut pixels = Vec::with_capacity(height * row_len);
    let mut sums = vec![0i32; row_len];
    for Taps { first, weights } in taps(image.height, height) {
        sums.fill(0);
        let rows = image.pixels[first * row_len..].chunks_exact(row_len);
        for (weight, row) in weights.into_iter().zip(rows) {
            for (sum, &pixel) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(pixel);
            }
        }
        pixels.extend(sums.iter().map(|&sum| round(sum)));
    }
    Image {
        width: image.width,
        height,
        channels: image.channels,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pixels: &[u8]) -> Image {
        Image {
            width: pixels.len(),
            height: 1,
            channels: 1,
            pixels: pixels.to_vec(),
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let image = row(&[1, 2, 3]);
        assert_eq!(resize(&image, 1, 3), image);
    }

    #[test]
    fn halving_weighs_four_neighbours_by_hand() {
        // Output 0 has its centre at 1.0 and reaches 2 to either side: inputs at 0.5, 1.5 and 2.5
        // weigh 0.75, 0.75 and 0.25, which sum to 1.75; (0.75·0 + 0.75·70 + 0.25·140) / 1.75 = 50.
        // Output 1, mirrored, has (0.25·70 + 0.75·140 + 0.75·210) / 1.75 = 160.
        assert_eq!(resize(&row(&[0, 70, 140, 210]), 1, 2).pixels, [50, 160]);
    }

    #[test]
    fn doubling_interpolates_by_hand() {
        // Output centres lie at 0.25, 0.75, 1.25 and 1.75 between input centres 0.5 and 1.5.
        assert_eq!(resize(&row(&[0, 100]), 1, 4).pixels, [0, 25, 75, 100]);
    }

    #[test]
    fn rows_and_columns_are_treated_alike() {
        let column = Image {
            width: 1,
            height: 4,
            channels: 1,
            pixels: vec![0, 70, 140, 210],
        };
        assert_eq!(resize(&column, 2, 1).pixels, [50, 160]);
    }

    #[test]
    fn one_colour_stays_one_colour_at_any_size() {
        let image = Image {
            width: 13,
            height: 7,
            channels: 3,
            pixels: [200, 7, 255].repeat(13 * 7),
        };
        for (height, width) in [(1, 1), (3, 50), (31, 4), (14, 26)] {
            let resized = resize(&image, height, width);
            assert_eq!(resized.pixels, [200, 7, 255].repeat(height * width));
        }
    }
}
