//! A random scale of image and mask, a crop of the size, padding where the scaled image is smaller.
//!
//! The usual augmentation of segmentation: Chen et al., "Rethinking atrous convolution for semantic
//! image segmentation" (2017), section 4.1 (0.5 to 2.0, crop); MMSegmentation's `RandomResize`,
//! `RandomCrop` and `Pad`.

use serde::{Deserialize, Serialize};

use super::check::interval;
use crate::window::{Area, Window};
use crate::{DataError, Stream};

/// Scale at random, then crop to the size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomScale {
    /// Least and greatest factor of both sides, uniformly drawn; `[1.0, 1.0]` crops alone.
    pub range: [f64; 2],
}

impl Default for RandomScale {
    /// 0.5 to 2.
    fn default() -> Self {
        Self { range: [0.5, 2.0] }
    }
}

/// The greatest factor: a pixel is not worth more.
const MOST: f64 = 16.0;

impl RandomScale {
    pub(super) fn check(&self) -> Result<(), DataError> {
        interval("random_scale.range", self.range, MOST)
    }

    /// Height and width that an image of `size` is scaled to.
    pub(super) fn draw(&self, size: [usize; 2], stream: &mut Stream) -> [usize; 2] {
        let factor = stream.uniform(self.range[0], self.range[1]);
        size.map(|side| ((side as f64 * factor).round() as usize).max(1))
    }
}

/// A part of a scaled image, as much of `wanted` (height, width) as there is, at a random place: each
/// is equally likely.
pub(super) fn random_crop(
    size: [usize; 2],
    scaled: [usize; 2],
    wanted: [usize; 2],
    stream: &mut Stream,
) -> Window {
    let (height, width) = (scaled[0].min(wanted[0]), scaled[1].min(wanted[1]));
    let top = stream.below(scaled[0] - height + 1);
    let left = stream.below(scaled[1] - width + 1);
    Window {
        area: Area::all(size),
        scaled,
        kept: Area {
            left,
            top,
            width,
            height,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    #[test]
    fn factors_fill_their_range_and_crops_every_place() {
        let scale = RandomScale::default();
        let (mut least, mut greatest) = (f64::MAX, 0.0f64);
        let mut corners = std::collections::BTreeSet::new();
        for sample in 0..2_000 {
            let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
            let scaled = scale.draw([100, 200], &mut stream);
            least = least.min(scaled[0] as f64 / 100.0);
            greatest = greatest.max(scaled[0] as f64 / 100.0);
            assert!(scaled[1].abs_diff(2 * scaled[0]) <= 1);
            let window = random_crop([2, 4], [4, 8], [3, 6], &mut stream);
            assert_eq!((window.kept.width, window.kept.height), (6, 3));
            corners.insert((window.kept.left, window.kept.top));
        }
        assert!(least < 0.51 && greatest > 1.99, "{least} {greatest}");
        assert_eq!(corners.len(), 3 * 2);
    }

    #[test]
    fn what_is_smaller_than_the_crop_is_kept_whole() {
        let mut stream = Stream::new(0, Purpose::Augment, 0, 0, 0);
        let window = random_crop([10, 40], [5, 20], [8, 8], &mut stream);
        assert_eq!((window.kept.height, window.kept.width), (5, 8));
        assert_eq!(window.kept.top, 0);
    }
}
