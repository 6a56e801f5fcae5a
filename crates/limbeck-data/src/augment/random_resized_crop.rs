//! A random part of the image, scaled to the wanted size.
//!
//! Szegedy et al., "Going deeper with convolutions" (2015), section 6; torchvision's
//! `RandomResizedCrop`.

use serde::{Deserialize, Serialize};

use super::check::interval;
use crate::window::{Area, Window};
use crate::{DataError, Stream};

/// A random part of the image, scaled to the wanted size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomResizedCrop {
    /// Least and greatest area of the part, as a share of the image's.
    pub scale: [f64; 2],
    /// Least and greatest width of the part, in heights.
    pub ratio: [f64; 2],
}

impl Default for RandomResizedCrop {
    /// 8 % to 100 % of the area, 3:4 to 4:3: the usual values for ImageNet.
    fn default() -> Self {
        Self {
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
        }
    }
}

/// How often a part is drawn before the middle is taken instead.
const ATTEMPTS: usize = 10;

impl RandomResizedCrop {
    pub(super) fn check(&self) -> Result<(), DataError> {
        interval("random_resized_crop.scale", self.scale, 1.0)?;
        interval("random_resized_crop.ratio", self.ratio, f64::MAX)
    }

    /// A part with uniform area and log-uniform ratio that fits into the image.
    fn area(&self, width: usize, height: usize, stream: &mut Stream) -> Area {
        let ratios = self.ratio.map(f64::ln);
        for _ in 0..ATTEMPTS {
            let area = (width * height) as f64 * stream.uniform(self.scale[0], self.scale[1]);
            let ratio = stream.uniform(ratios[0], ratios[1]).exp();
            let w = (area * ratio).sqrt().round() as usize;
            let h = (area / ratio).sqrt().round() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                return Area {
                    left: stream.below(width - w + 1),
                    top: stream.below(height - h + 1),
                    width: w,
                    height: h,
                };
            }
        }
        // The greatest part in the middle whose ratio is allowed.
        let own = width as f64 / height as f64;
        let (mut w, mut h) = (width, height);
        if own < self.ratio[0] {
            h = ((width as f64 / self.ratio[0]).round() as usize).clamp(1, height);
        } else if own > self.ratio[1] {
            w = ((height as f64 * self.ratio[1]).round() as usize).clamp(1, width);
        }
        Area {
            left: (width - w) / 2,
            top: (height - h) / 2,
            width: w,
            height: h,
        }
    }
}

/// A random part of an image of `size`, scaled to `wanted`, both height and width.
pub(super) fn random_resized_crop(
    size: [usize; 2],
    wanted: [usize; 2],
    settings: &RandomResizedCrop,
    stream: &mut Stream,
) -> Window {
    Window::part(settings.area(size[1], size[0], stream), wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn stream(sample: u64) -> Stream {
        Stream::new(0, Purpose::Augment, 0, sample, 0)
    }

    #[test]
    fn parts_stay_inside_with_the_areas_and_ratios_asked_for() {
        let settings = RandomResizedCrop::default();
        let (mut least, mut greatest) = (1.0f64, 0.0f64);
        for sample in 0..2_000 {
            let area = settings.area(60, 50, &mut stream(sample));
            assert!(area.left + area.width <= 60 && area.top + area.height <= 50);
            let share = (area.width * area.height) as f64 / 3_000.0;
            let ratio = area.width as f64 / area.height as f64;
            // Sides are rounded to whole pixels.
            assert!((0.07..=1.0).contains(&share), "{share}");
            assert!((0.68..=1.45).contains(&ratio), "{ratio}");
            least = least.min(share);
            greatest = greatest.max(share);
        }
        assert!(least < 0.12 && greatest > 0.9, "{least} {greatest}");
    }

    #[test]
    fn a_part_that_never_fits_is_replaced_by_the_middle() {
        let settings = RandomResizedCrop {
            scale: [1.0, 1.0],
            ratio: [1.0, 1.0],
        };
        let area = settings.area(30, 10, &mut stream(0));
        let middle = Area {
            left: 10,
            top: 0,
            width: 10,
            height: 10,
        };
        assert_eq!(area, middle);
    }

    #[test]
    fn the_whole_image_is_only_resized() {
        let settings = RandomResizedCrop {
            scale: [1.0, 1.0],
            ratio: [1.5, 1.5],
        };
        let window = random_resized_crop([2, 3], [2, 3], &settings, &mut stream(1));
        assert!(window.keeps([2, 3]));
    }
}
