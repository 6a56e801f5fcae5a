//! CutMix: a box of one image in another.
//!
//! Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable
//! features" (2019), section 3.1.

use std::ops::Range;

use crate::Stream;

/// Rows and columns that two images exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CutBox {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl CutBox {
    /// A box whose sides are `sqrt(1 - share)` of the image's, the share Beta(alpha, alpha)
    /// distributed, around a centre that is anywhere in the image; what lies outside is cut off.
    pub(crate) fn draw(alpha: f64, height: usize, width: usize, stream: &mut Stream) -> Self {
        let side = (1.0 - stream.beta(alpha, alpha)).sqrt();
        let mut range = |len: usize| {
            let cut = (len as f64 * side) as usize;
            let centre = stream.below(len);
            centre.saturating_sub(cut / 2)..(centre + cut / 2).min(len)
        };
        Self {
            rows: range(height),
            columns: range(width),
        }
    }

    /// The share of an image that stays, from the box as it was really cut.
    pub(crate) fn share(&self, height: usize, width: usize) -> f64 {
        1.0 - (self.rows.len() * self.columns.len()) as f64 / (height * width) as f64
    }
}

/// Exchanges the box between two images `[C, H, W]`.
pub(crate) fn cutmix(
    one: &mut [f32],
    other: &mut [f32],
    height: usize,
    width: usize,
    cut: &CutBox,
) {
    let planes = one
        .chunks_exact_mut(height * width)
        .zip(other.chunks_exact_mut(height * width));
    for (one, other) in planes {
        for row in cut.rows.clone() {
            let range = row * width + cut.columns.start..row * width + cut.columns.end;
            one[range.clone()].swap_with_slice(&mut other[range]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    #[test]
    fn the_box_changes_hands_in_every_channel_and_nothing_else_does() {
        let mut one: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let mut other: Vec<f32> = (0..12).map(|v| 100.0 + v as f32).collect();
        let cut = CutBox {
            rows: 1..2,
            columns: 1..3,
        };
        cutmix(&mut one, &mut other, 2, 3, &cut);
        assert_eq!(
            one,
            [
                0.0, 1.0, 2.0, 3.0, 104.0, 105.0, 6.0, 7.0, 8.0, 9.0, 110.0, 111.0
            ]
        );
        assert_eq!(other[4..6], [4.0, 5.0]);
        assert_eq!(other[0], 100.0);
        assert!((cut.share(2, 3) - 4.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn boxes_stay_inside_and_keep_half_of_the_image_on_average_or_more() {
        let mut total = 0.0;
        for sample in 0..2_000 {
            let mut stream = Stream::new(0, Purpose::Mix, 0, sample, 0);
            let cut = CutBox::draw(1.0, 20, 30, &mut stream);
            assert!(cut.rows.end <= 20 && cut.columns.end <= 30);
            assert!(cut.rows.start <= cut.rows.end && cut.columns.start <= cut.columns.end);
            total += cut.share(20, 30);
        }
        // Half on average before what lies outside is cut off.
        assert!((0.5..0.8).contains(&(total / 2_000.0)), "{total}");
    }
}
