//! Mean and standard deviation of channels.

use serde::{Deserialize, Deserializer, Serialize};

use super::Augment;
use crate::{DataError, Image, Part, Purpose, Stream};

/// Mean and standard deviation of each channel, of values from 0 to 1. A normalised value is
/// `(pixel / 255 - mean) / std`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// `[C]`.
    #[serde(deserialize_with = "read")]
    pub mean: Vec<f64>,
    /// `[C]`, above 0.
    #[serde(deserialize_with = "read")]
    pub std: Vec<f64>,
}

/// Images that are measured at most: the standard error of a channel's mean is then below half
/// a percent of its deviation.
const MEASURED: usize = 10_000;

/// To nine decimals: more than single precision has, in which pixels are normalised, and few enough
/// for every reader of JSON to give back what was written.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<f64>::deserialize(deserializer)?;
    Ok(values.into_iter().map(rounded).collect())
}

impl Normalisation {
    /// Of these means and deviations, rounded to nine decimals as all that are measured or read: what
    /// a file gives back is equal to what was written.
    #[must_use]
    pub fn new(mean: &[f64], std: &[f64]) -> Self {
        let rounded = |values: &[f64]| values.iter().copied().map(rounded).collect();
        Self {
            mean: rounded(mean),
            std: rounded(std),
        }
    }

    /// Leaves values as they are, from 0 to 1.
    #[must_use]
    pub fn identity(channels: usize) -> Self {
        Self {
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
        }
    }

    /// Measures up to 10,000 images of a part (more would not change the third digit) at the size
    /// and with the channels that `augment` gives, without augmentation. Which images depends on
    /// `seed`.
    ///
    /// A channel that never changes gets a deviation of 1.
    ///
    /// # Errors
    /// An empty part; an image that cannot be read or decoded.
    pub fn measure(part: &Part, augment: &Augment, seed: u64) -> Result<Self, DataError> {
        if part.is_empty() {
            return Err(DataError::EmptyPart {
                part: "measured",
                reason: "mean and deviation of no images are not defined".to_owned(),
            });
        }
        augment.check()?;
        let mut positions: Vec<usize> = (0..part.len()).collect();
        if positions.len() > MEASURED {
            Stream::new(seed, Purpose::Measure, 0, 0, 0).shuffle(&mut positions);
            positions.truncate(MEASURED);
            positions.sort_unstable();
        }
        // Sums of whole numbers: exact, and the same in any order.
        let mut sums = vec![0u64; augment.channels];
        let mut squares = vec![0u64; augment.channels];
        let mut count = 0u64;
        for position in positions {
            let image = augment.plain(part.image(position)?);
            for pixel in image.pixels.chunks_exact(image.channels) {
                for (channel, &value) in pixel.iter().enumerate() {
                    sums[channel] += u64::from(value);
                    squares[channel] += u64::from(value).pow(2);
                }
            }
            count += (image.width * image.height) as u64;
        }
        let mut mean = Vec::with_capacity(sums.len());
        let mut std = Vec::with_capacity(sums.len());
        for (sum, square) in sums.into_iter().zip(squares) {
            let average = sum as f64 / count as f64;
            let variance = (square as f64 / count as f64 - average.powi(2)).max(0.0);
            mean.push(average / 255.0);
            std.push(if variance > 0.0 {
                variance.sqrt() / 255.0
            } else {
                1.0
            });
        }
        Ok(Self::new(&mean, &std))
    }

    /// Refuses other numbers of channels and deviations that cannot be divided by.
    pub(crate) fn check(&self, channels: usize) -> Result<(), DataError> {
        let fits = self.mean.len() == channels
            && self.std.len() == channels
            // Pixels are normalised in single precision.
            && self.mean.iter().all(|&mean| (mean as f32).is_finite())
            && self.std.iter().all(|&std| (std as f32).is_finite() && std as f32 > 0.0);
        if fits {
            return Ok(());
        }
        Err(DataError::setting(
            "normalisation",
            format!("{channels} mean(s) and as many deviations (std) above 0"),
            format!("mean {:?}, std {:?}", self.mean, self.std),
        ))
    }
}

/// Writes the image as `[C, H, W]` numbers, normalised (or from 0 to 1) into `out`.
pub(crate) fn write_planes(image: &Image, normalisation: Option<&Normalisation>, out: &mut [f32]) {
    let plane = image.width * image.height;
    for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
        let (mean, std) = normalisation.map_or((0.0, 1.0), |normalisation| {
            let Normalisation { mean, std } = normalisation;
            (mean[channel] as f32, std[channel] as f32)
        });
        // A byte has 256 values, so each is normalised once.
        let table: [f32; 256] = std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std);
        let values = image.pixels[channel..].iter().step_by(image.channels);
        for (out, &value) in out.iter_mut().zip(values) {
            *out = table[usize::from(value)];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Packed;

    #[test]
    fn planes_are_normalised_channel_by_channel() {
        let image = Image {
            width: 2,
            height: 1,
            channels: 3,
            pixels: vec![0, 255, 51, 255, 0, 51],
        };
        let normalisation = Normalisation {
            mean: vec![0.5, 0.0, 0.2],
            std: vec![0.5, 2.0, 0.1],
        };
        let mut out = vec![9.0; 6];
        write_planes(&image, Some(&normalisation), &mut out);
        assert_eq!(out, [-1.0, 1.0, 0.5, 0.0, 0.0, 0.0]);
        write_planes(&image, None, &mut out);
        assert_eq!(out, [0.0, 1.0, 1.0, 0.0, 0.2, 0.2]);
    }

    #[test]
    fn mean_and_deviation_are_measured_over_all_pixels() {
        // Channel 0 is 0 or 102 (0.4) in equal parts, channel 1 constant, channel 2 is 255 once
        // in four.
        let pixels = vec![0, 102, 7, 7, 255, 0, 102, 0, 7, 7, 0, 0];
        let source = Packed::new(vec!["a".into()], [3, 1, 2], vec![0, 0], pixels).unwrap();
        let augment = Augment {
            size: [1, 2],
            channels: 3,
            ..Augment::default()
        };
        let measured = Normalisation::measure(&Part::all(Arc::new(source)), &augment, 0).unwrap();
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(
            close(&measured.mean, &[0.2, 7.0 / 255.0, 0.25]),
            "{measured:?}"
        );
        assert!(
            close(&measured.std, &[0.2, 1.0, 0.1875f64.sqrt()]),
            "{measured:?}"
        );
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        for i in 1..2_000 {
            let value = 1.0 / f64::from(i).sqrt();
            let written = Normalisation::new(&[value / 3.0], &[value]);
            let text = serde_json::to_string(&written).unwrap();
            let read: Normalisation = serde_json::from_str(&text).unwrap();
            assert_eq!(read, written);
        }
    }

    #[test]
    fn wrong_numbers_of_channels_and_zero_deviations_are_refused() {
        let check = |mean: &[f64], std: &[f64]| {
            Normalisation {
                mean: mean.to_vec(),
                std: std.to_vec(),
            }
            .check(1)
        };
        assert!(check(&[0.5], &[0.5]).is_ok());
        assert!(check(&[0.5, 0.5], &[0.5, 0.5]).is_err());
        assert!(check(&[0.5], &[0.0]).is_err());
        assert!(check(&[f64::NAN], &[1.0]).is_err());
        assert!(check(&[0.5], &[1e-60]).is_err());
    }
}
