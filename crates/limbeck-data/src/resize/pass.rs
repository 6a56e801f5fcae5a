//! One step of scaling: along rows, or along columns.

use macerator::{AutoArch, Simd, WithSimd};

use super::taps::{FRACTION, Taps};
use crate::Image;
use crate::window::Area;

/// Half of a whole number: what is added before digits are cut off rounds.
const HALF: i32 = 1 << (FRACTION - 1);

/// A sum of weighted pixels and [`HALF`], as a pixel.
#[inline(always)]
fn pixel(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

/// Scales the rows of a part of the image; taps are counted from its left border.
pub(super) fn horizontal(image: &Image, taps: &Taps, part: Area) -> Image {
    let mut scaled = Image::filled(taps.first.len(), part.height, image.channels, 0);
    AutoArch::new().dispatch(Horizontal {
        image,
        taps,
        part,
        out: &mut scaled.pixels,
    });
    scaled
}

/// Scales columns of an image whose first row is number `first` to the taps.
pub(super) fn vertical(image: &Image, taps: &Taps, first: usize) -> Image {
    let mut scaled = Image::filled(image.width, taps.first.len(), image.channels, 0);
    AutoArch::new().dispatch(Vertical {
        image,
        taps,
        first,
        out: &mut scaled.pixels,
    });
    scaled
}

/// [`horizontal`], to be compiled for the instruction sets that there are.
struct Horizontal<'a> {
    image: &'a Image,
    taps: &'a Taps,
    part: Area,
    /// `[part.height, N, C]`.
    out: &'a mut [u8],
}

impl WithSimd for Horizontal<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        self.run();
    }
}

impl Horizontal<'_> {
    #[inline(always)]
    fn run(self) {
        match self.image.channels {
            3 => self.colour(),
            _ => self.grey(),
        }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &[u8] {
        let Self { image, part, .. } = self;
        let start = ((part.top + row) * image.width + part.left) * image.channels;
        &image.pixels[start..start + part.width * image.channels]
    }

    #[inline(always)]
    fn grey(self) {
        let columns = self.taps.first.len();
        for row in 0..self.part.height {
            let pixels = self.row(row);
            let sums = self.taps.each().map(|(first, weights)| {
                let products = weights.iter().zip(&pixels[first..]);
                products.fold(HALF, |sum, (&weight, &value)| {
                    sum + weight * i32::from(value)
                })
            });
            let values: Vec<u8> = sums.map(pixel).collect();
            self.out[row * columns..(row + 1) * columns].copy_from_slice(&values);
        }
    }

    /// Two rows at once, their pixels side by side: three channels and one that is not looked at of
    /// each fill a vector.
    #[inline(always)]
    fn colour(self) {
        let row_len = 3 * self.taps.first.len();
        let mut pairs = vec![[0; 8]; self.part.width];
        // Each pixel is written with the one behind it that is not looked at.
        let mut scaled = [vec![0; row_len + 1], vec![0; row_len + 1]];
        for row in (0..self.part.height).step_by(2) {
            // The last one of an odd number of rows is scaled twice.
            let count = (self.part.height - row).min(2);
            let (above, below) = (self.row(row), self.row(row + count - 1));
            let pixels = above.chunks_exact(3).zip(below.chunks_exact(3));
            for (pair, (a, b)) in pairs.iter_mut().zip(pixels) {
                *pair = [a[0], a[1], a[2], 0, b[0], b[1], b[2], 0];
            }
            // Down to 0.4 of the width, the number of taps is known to the compiler.
            match self.taps.each {
                2 => scale_pairs::<2>(&pairs, self.taps, &mut scaled),
                3 => scale_pairs::<3>(&pairs, self.taps, &mut scaled),
                4 => scale_pairs::<4>(&pairs, self.taps, &mut scaled),
                5 => scale_pairs::<5>(&pairs, self.taps, &mut scaled),
                _ => scale_pairs::<0>(&pairs, self.taps, &mut scaled),
            }
            let out = &mut self.out[row * row_len..(row + count) * row_len];
            for (out, scaled) in out.chunks_exact_mut(row_len).zip(&scaled) {
                out.copy_from_slice(&scaled[..row_len]);
            }
        }
    }
}

/// Scales two rows whose pixels lie side by side; `EACH` are the taps of an output, or 0 for any number.
#[inline(always)]
fn scale_pairs<const EACH: usize>(pairs: &[[u8; 8]], taps: &Taps, rows: &mut [Vec<u8>; 2]) {
    let each = if EACH > 0 { EACH } else { taps.each };
    let [above, below] = rows;
    let taps = taps.first.iter().zip(taps.weights.chunks_exact(each));
    for (column, (&first, weights)) in taps.enumerate() {
        let mut sums = [HALF; 8];
        for (pair, &weight) in pairs[first..first + each].iter().zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(pair) {
                *sum += weight * i32::from(value);
            }
        }
        let values = sums.map(pixel);
        above[3 * column..3 * column + 4].copy_from_slice(&values[..4]);
        below[3 * column..3 * column + 4].copy_from_slice(&values[4..]);
    }
}

/// [`vertical`], to be compiled for the instruction sets that there are.
struct Vertical<'a> {
    image: &'a Image,
    taps: &'a Taps,
    first: usize,
    /// `[N, W, C]`.
    out: &'a mut [u8],
}

/// Numbers of a row that are summed up at once.
const BLOCK: usize = 32;

impl WithSimd for Vertical<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        self.run();
    }
}

impl Vertical<'_> {
    #[inline(always)]
    fn run(self) {
        let row_len = self.image.width * self.image.channels;
        let blocked = row_len / BLOCK * BLOCK;
        for ((first, weights), out) in self.taps.each().zip(self.out.chunks_exact_mut(row_len)) {
            let rows = &self.image.pixels[(first - self.first) * row_len..];
            for at in (0..blocked).step_by(BLOCK) {
                let mut sums = [HALF; BLOCK];
                for (&weight, row) in weights.iter().zip(rows.chunks_exact(row_len)) {
                    for (sum, &value) in sums.iter_mut().zip(&row[at..at + BLOCK]) {
                        *sum += weight * i32::from(value);
                    }
                }
                for (out, sum) in out[at..at + BLOCK].iter_mut().zip(sums) {
                    *out = pixel(sum);
                }
            }
            for (at, out) in out.iter_mut().enumerate().skip(blocked) {
                let values = rows.iter().skip(at).step_by(row_len);
                let products = weights.iter().zip(values);
                *out = pixel(products.fold(HALF, |sum, (&weight, &value)| {
                    sum + weight * i32::from(value)
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, height: usize, channels: usize) -> Image {
        let value = |at: usize| (at * 197 % 251) as u8;
        Image {
            width,
            height,
            channels,
            pixels: (0..width * height * channels).map(value).collect(),
        }
    }

    /// A weighted sum by the definition, one number after the other.
    fn summed(inputs: impl Iterator<Item = u8>, weights: &[i32]) -> u8 {
        let sum: i64 = inputs
            .zip(weights)
            .map(|(value, &weight)| i64::from(value) * i64::from(weight))
            .sum();
        ((sum + i64::from(HALF)) >> FRACTION).clamp(0, 255) as u8
    }

    #[test]
    fn both_steps_are_the_sums_that_they_say_for_odd_sizes_and_every_instruction_set() {
        for (channels, width, height) in [(3, 23, 7), (3, 64, 2), (3, 5, 1), (1, 23, 7), (1, 1, 3)]
        {
            let image = image(width, height, channels);
            let part = Area {
                left: width / 5,
                top: height / 4,
                width: width - width / 5 - width / 7,
                height: height - height / 4,
            };
            for wanted in [1, 2, 3, 5, 11, 24, 71] {
                let taps = Taps::new(part.width, wanted, 0, wanted);
                let found = horizontal(&image, &taps, part);
                assert_eq!((found.width, found.height), (wanted, part.height));
                for row in 0..part.height {
                    for (column, (first, weights)) in taps.each().enumerate() {
                        for channel in 0..channels {
                            let at = |x| image.pixel(part.left + x, part.top + row)[channel];
                            let expected = summed((first..).map(at).take(taps.each), weights);
                            assert_eq!(found.pixel(column, row)[channel], expected);
                        }
                    }
                }
                // What the target's baseline makes of the same code.
                let mut baseline = vec![0; found.pixels.len()];
                let out = &mut baseline[..];
                let step = Horizontal {
                    image: &image,
                    taps: &taps,
                    part,
                    out,
                };
                step.run();
                assert_eq!(baseline, found.pixels);

                let taps = Taps::new(height, wanted, 0, wanted);
                let found = vertical(&image, &taps, 0);
                assert_eq!((found.width, found.height), (width, wanted));
                for (row, (first, weights)) in taps.each().enumerate() {
                    for column in 0..width {
                        for channel in 0..channels {
                            let at = |y| image.pixel(column, y)[channel];
                            let expected = summed((first..).map(at).take(taps.each), weights);
                            assert_eq!(found.pixel(column, row)[channel], expected);
                        }
                    }
                }
                let mut baseline = vec![0; found.pixels.len()];
                let out = &mut baseline[..];
                let step = Vertical {
                    image: &image,
                    taps: &taps,
                    first: 0,
                    out,
                };
                step.run();
                assert_eq!(baseline, found.pixels);
            }
        }
    }
}
