//! Foregrounds pasted on another background.
//!
//! Zhao, Wu, Lau, Lin. "Distilling Localization for Self-Supervised Representation Learning". AAAI
//! 2021 (<https://arxiv.org/abs/2004.06638>): a background of one grey, a mask whose border is blurred
//! every other time, both as the authors' code has them.

use std::sync::Arc;

use super::check::{probability, within};
use crate::{DataError, Image, SaliencySource, Stream};

/// Box blurs along each axis that stand for a Gaussian one, as in Pillow.
const PASSES: usize = 3;

/// Largest standard deviation of a blur, in pixels.
const MAX_SIGMA: f64 = 1_000.0;

/// Pastes the foreground of an image on a background of one grey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paste {
    /// Probability that an image stays as it is.
    pub keep: f64,
    /// Probability that the mask is blurred before it is used.
    pub blur: f64,
    /// Standard deviation of that blur, in pixels of the image as it is read.
    pub blur_sigma: f64,
    /// Where masks come from.
    pub saliency: SaliencySource,
}

impl Default for Paste {
    /// The authors' values: 0.7, 0.5 and 5 pixels; masks are estimated.
    fn default() -> Self {
        Self {
            keep: 0.7,
            blur: 0.5,
            blur_sigma: 5.0,
            saliency: SaliencySource::Estimated,
        }
    }
}

impl Paste {
    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// [`DataError::Setting`], which names the setting.
    pub fn check(&self) -> Result<(), DataError> {
        probability("keep", self.keep)?;
        probability("blur", self.blur)?;
        within("blur_sigma", self.blur_sigma, MAX_SIGMA)
    }

    /// The image, or its foreground on a grey of 0 to 254; `saliency` is asked for the mask only if it
    /// is needed. Drawn in this order: whether the image is kept, the grey, whether the mask is
    /// blurred. (The authors' code also draws where the background is cropped, which one grey does not
    /// show.)
    pub(crate) fn apply(
        &self,
        image: Image,
        stream: &mut Stream,
        saliency: impl FnOnce(&Image) -> Result<Arc<Image>, DataError>,
    ) -> Result<Image, DataError> {
        if stream.chance(self.keep) {
            return Ok(image);
        }
        let grey = (255.0 * stream.unit()) as u8;
        let mask = saliency(&image)?;
        Ok(match stream.chance(self.blur) {
            true => composite(&image, &gaussian_blur(&mask, self.blur_sigma), grey),
            false => composite(&image, &mask, grey),
        })
    }
}

/// The image where the mask is 255, `grey` where it is 0, mixtures in between: with t = v·m +
/// grey·(255 − m) + 128, each channel is ((t >> 8) + t) >> 8, which is the quotient by 255 rounded.
/// The mask has one channel and the size of the image.
#[must_use]
pub fn composite(image: &Image, mask: &Image, grey: u8) -> Image {
    let mut pasted = image.clone();
    let pixels = pasted.pixels.chunks_exact_mut(image.channels);
    for (pixel, &share) in pixels.zip(&mask.pixels) {
        let background = u32::from(grey) * u32::from(255 - share) + 128;
        for value in pixel {
            let sum = u32::from(*value) * u32::from(share) + background;
            *value = (((sum >> 8) + sum) >> 8) as u8;
        }
    }
    pasted
}

/// A Gaussian blur of `sigma` pixels of an image of one channel, the way that Pillow makes it: three
/// box blurs along the rows, then three along the columns, rounded to 8 bits after each, the edge
/// repeated beyond the border.
#[must_use]
pub fn gaussian_blur(image: &Image, sigma: f64) -> Image {
    let (radius, share) = box_radius(sigma);
    let Image { width, height, .. } = *image;
    let along_rows = blurred_rows(&image.pixels, width, radius, share);
    let along_columns = blurred_rows(&transposed(&along_rows, width), height, radius, share);
    Image {
        pixels: transposed(&along_columns, height),
        ..image.clone()
    }
}

/// Whole pixels to either side that a box has, and the share of the next ones, so that [`PASSES`]
/// boxes have together the variance of the Gaussian.
fn box_radius(sigma: f64) -> (usize, f64) {
    let variance = sigma * sigma / PASSES as f64;
    let whole = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
    let next = whole + 1.0;
    let share =
        (2.0 * whole + 1.0) * (whole * next - 3.0 * variance) / (6.0 * (variance - next * next));
    (whole as usize, share)
}

/// [`PASSES`] box blurs of each row of `width` pixels.
fn blurred_rows(pixels: &[u8], width: usize, radius: usize, share: f64) -> Vec<u8> {
    let scale = 1.0 / ((2 * radius + 1) as f64 + 2.0 * share);
    let mut rows = pixels.to_vec();
    let mut before = vec![0; width];
    for row in rows.chunks_exact_mut(width) {
        for _ in 0..PASSES {
            before.copy_from_slice(row);
            let at = |x: isize| u32::from(before[x.clamp(0, width as isize - 1) as usize]);
            let reach = radius as isize;
            let mut sum: u32 = (-reach..=reach).map(at).sum();
            for (x, value) in (0..).zip(row.iter_mut()) {
                let far = at(x - reach - 1) + at(x + reach + 1);
                *value = ((f64::from(sum) + share * f64::from(far)) * scale + 0.5) as u8;
                sum = sum + at(x + reach + 1) - at(x - reach);
            }
        }
    }
    rows
}

/// Rows of `width` pixels as columns.
fn transposed(pixels: &[u8], width: usize) -> Vec<u8> {
    let height = pixels.len() / width;
    let columns = (0..width).flat_map(|x| (0..height).map(move |y| (x, y)));
    columns.map(|(x, y)| pixels[y * width + x]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn image(channels: usize) -> Image {
        Image {
            width: 9,
            height: 7,
            channels,
            pixels: (0..9 * 7 * channels)
                .map(|v| (v * 37 % 256) as u8)
                .collect(),
        }
    }

    fn mask(value: u8) -> Image {
        Image::filled(9, 7, 1, value)
    }

    fn stream(sample: u64) -> Stream {
        Stream::new(4, Purpose::Paste, 0, sample, 0)
    }

    #[test]
    fn a_full_mask_shows_the_image_and_an_empty_one_the_background() {
        for channels in [1, 3] {
            let image = image(channels);
            assert_eq!(composite(&image, &mask(255), 90), image);
            assert_eq!(
                composite(&image, &mask(0), 90),
                Image::filled(9, 7, channels, 90)
            );
        }
    }

    #[test]
    fn in_between_each_channel_is_the_rounded_mixture() {
        let image = image(3);
        for share in [1, 77, 128, 254] {
            let found = composite(&image, &mask(share), 200);
            for (value, found) in image.pixels.iter().zip(found.pixels) {
                let share = f64::from(share);
                let exact = (f64::from(*value) * share + 200.0 * (255.0 - share)) / 255.0;
                assert_eq!(f64::from(found), exact.round());
            }
        }
    }

    #[test]
    fn images_are_kept_as_often_as_asked_and_masks_are_only_then_not_asked_for() {
        let paste = Paste::default();
        let mut asked = 0;
        let kept = (0..4_000).filter(|&sample| {
            let pasted = paste.apply(image(3), &mut stream(sample), |_| {
                asked += 1;
                Ok(Arc::new(mask(0)))
            });
            pasted.unwrap() == image(3)
        });
        let kept = kept.count();
        assert!((2_690..2_910).contains(&kept), "{kept}");
        assert_eq!(asked, 4_000 - kept);
    }

    #[test]
    fn greys_are_drawn_from_all_but_white() {
        let paste = Paste {
            keep: 0.0,
            ..Paste::default()
        };
        let mut greys: Vec<u8> = (0..6_000)
            .map(|sample| {
                let mask = |_: &Image| Ok(Arc::new(mask(0)));
                paste
                    .apply(image(1), &mut stream(sample), mask)
                    .unwrap()
                    .pixels[0]
            })
            .collect();
        greys.sort_unstable();
        greys.dedup();
        assert_eq!(greys, (0..=254).collect::<Vec<u8>>());
    }

    #[test]
    fn a_blur_keeps_what_is_flat_and_the_sum_of_what_is_far_from_the_border() {
        assert_eq!(gaussian_blur(&mask(131), 5.0), mask(131));
        let mut point = Image::filled(61, 61, 1, 0);
        for (x, y) in (25..36).flat_map(|x| (25..36).map(move |y| (x, y))) {
            point.pixel_mut(x, y)[0] = 255;
        }
        assert_eq!(gaussian_blur(&point, 0.0), point);
        let sum = |image: &Image| image.pixels.iter().map(|&v| f64::from(v)).sum::<f64>();
        let blurred = gaussian_blur(&point, 3.0);
        assert!((sum(&blurred) / sum(&point) - 1.0).abs() < 0.02);
        // The variance along an axis is that of the square and of the Gaussian.
        let spread: f64 = (0..61 * 61)
            .map(|at| f64::from(blurred.pixels[at]) * (((at % 61) as f64) - 30.0).powi(2))
            .sum();
        let expected = (121.0 - 1.0) / 12.0 + 9.0;
        assert!((spread / sum(&blurred) / expected - 1.0).abs() < 0.03);
        assert_eq!(gaussian_blur(&point, 2.5), gaussian_blur(&point, 2.5));
    }

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let refused = |paste: Paste| paste.check().unwrap_err().to_string();
        let paste = Paste::default();
        assert!(paste.check().is_ok());
        assert!(
            refused(Paste { keep: 1.2, ..paste }).contains("`keep` must be a number from 0 to 1")
        );
        assert!(
            refused(Paste {
                blur: -0.1,
                ..paste
            })
            .contains("`blur`")
        );
        assert!(
            refused(Paste {
                blur: f64::NAN,
                ..paste
            })
            .contains("`blur`")
        );
        let sigma = f64::INFINITY;
        assert!(
            refused(Paste {
                blur_sigma: sigma,
                ..paste
            })
            .contains("`blur_sigma`")
        );
    }
}
