//! Random erasing: a rectangle of the image is painted over.
//!
//! Zhong et al., "Random erasing data augmentation" (2020), algorithm 1; torchvision's
//! `RandomErasing`.

use serde::{Deserialize, Serialize};

use super::check::{interval, probability};
use crate::{DataError, Stream};

/// What an erased rectangle shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Eraser {
    /// 0 after normalisation: the mean colour.
    #[default]
    Mean,
    /// Normal noise with mean 0 and deviation 1 after normalisation.
    Noise,
}

/// A rectangle of the image is painted over, after normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomErasing {
    /// Of erasing anything.
    pub probability: f64,
    /// Least and greatest area, as a share of the image's.
    pub scale: [f64; 2],
    /// Least and greatest height, in widths.
    pub ratio: [f64; 2],
    /// What is painted.
    pub eraser: Eraser,
}

impl Default for RandomErasing {
    /// torchvision's values: half of the images, 2 % to 33 % of the area, 0.3 to 3.3 as high as
    /// wide, the mean colour.
    fn default() -> Self {
        Self {
            probability: 0.5,
            scale: [0.02, 0.33],
            ratio: [0.3, 3.3],
            eraser: Eraser::Mean,
        }
    }
}

/// How often a rectangle is drawn before the image is left whole.
const ATTEMPTS: usize = 10;

impl RandomErasing {
    pub(super) fn check(&self) -> Result<(), DataError> {
        probability("random_erasing.probability", self.probability)?;
        interval("random_erasing.scale", self.scale, 1.0)?;
        interval("random_erasing.ratio", self.ratio, f64::MAX)
    }
}

/// Erases a rectangle of uniform area and log-uniform ratio from `[C, H, W]` planes.
pub(super) fn random_erasing(
    planes: &mut [f32],
    height: usize,
    width: usize,
    settings: &RandomErasing,
    stream: &mut Stream,
) {
    if !stream.chance(settings.probability) {
        return;
    }
    let ratios = settings.ratio.map(f64::ln);
    for _ in 0..ATTEMPTS {
        let area = (height * width) as f64 * stream.uniform(settings.scale[0], settings.scale[1]);
        let ratio = stream.uniform(ratios[0], ratios[1]).exp();
        let h = (area * ratio).sqrt().round() as usize;
        let w = (area / ratio).sqrt().round() as usize;
        if h >= height || w >= width {
            continue;
        }
        let (top, left) = (stream.below(height - h + 1), stream.below(width - w + 1));
        for plane in planes.chunks_exact_mut(height * width) {
            for row in plane.chunks_exact_mut(width).skip(top).take(h) {
                for value in &mut row[left..left + w] {
                    *value = match settings.eraser {
                        Eraser::Mean => 0.0,
                        Eraser::Noise => stream.normal() as f32,
                    };
                }
            }
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn erased(settings: &RandomErasing, sample: u64) -> Vec<f32> {
        let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
        let mut planes = vec![7.0; 3 * 20 * 30];
        random_erasing(&mut planes, 20, 30, settings, &mut stream);
        planes
    }

    #[test]
    fn erased_areas_are_rectangles_of_the_size_asked_for_in_all_channels() {
        let settings = RandomErasing {
            probability: 1.0,
            ..RandomErasing::default()
        };
        for sample in 0..300 {
            let planes = erased(&settings, sample);
            let gone: Vec<usize> = (0..600).filter(|&at| planes[at] == 0.0).collect();
            let rows = |f: fn(usize) -> usize| {
                let places: Vec<usize> = gone.iter().map(|&at| f(at)).collect();
                places.iter().max().unwrap() - places.iter().min().unwrap() + 1
            };
            let (h, w) = (rows(|at| at / 30), rows(|at| at % 30));
            assert_eq!(gone.len(), h * w);
            let share = gone.len() as f64 / 600.0;
            assert!((0.01..0.37).contains(&share), "{share}");
            for plane in planes.chunks_exact(600).skip(1) {
                assert_eq!(plane, &planes[..600]);
            }
        }
    }

    #[test]
    fn the_probability_is_kept() {
        let settings = RandomErasing {
            probability: 0.25,
            ..RandomErasing::default()
        };
        let count = (0..2_000)
            .filter(|&sample| erased(&settings, sample).contains(&0.0))
            .count();
        assert!((420..580).contains(&count), "{count}");
    }

    #[test]
    fn noise_has_mean_zero_and_deviation_one() {
        let settings = RandomErasing {
            probability: 1.0,
            eraser: Eraser::Noise,
            ..RandomErasing::default()
        };
        let noise: Vec<f32> = (0..100)
            .flat_map(|sample| erased(&settings, sample))
            .filter(|&value| value != 7.0)
            .collect();
        let n = noise.len() as f32;
        let mean = noise.iter().sum::<f32>() / n;
        let variance = noise.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
    }
}
