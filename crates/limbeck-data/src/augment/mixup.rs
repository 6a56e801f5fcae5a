//! Mixup: weighted means of two images.
//!
//! Zhang et al., "mixup: beyond empirical risk minimization" (2018), equations 1 and 2.

use crate::Stream;

/// The share of the first image, Beta(alpha, alpha) distributed.
pub(crate) fn draw_share(alpha: f64, stream: &mut Stream) -> f64 {
    stream.beta(alpha, alpha)
}

/// Replaces `one` by `share · one + (1 - share) · other`, and `other` the other way round.
pub(crate) fn mixup(one: &mut [f32], other: &mut [f32], share: f64) {
    let share = share as f32;
    for (one, other) in one.iter_mut().zip(other) {
        let (a, b) = (*one, *other);
        *one = share * a + (1.0 - share) * b;
        *other = share * b + (1.0 - share) * a;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_weighted_means_of_each_other() {
        let (mut one, mut other) = ([4.0, 0.0], [0.0, 8.0]);
        mixup(&mut one, &mut other, 0.75);
        assert_eq!(one, [3.0, 2.0]);
        assert_eq!(other, [1.0, 6.0]);
    }

    #[test]
    fn a_share_of_one_changes_nothing() {
        let (mut one, mut other) = ([0.3, -1.0], [7.0, 0.1]);
        mixup(&mut one, &mut other, 1.0);
        assert_eq!((one, other), ([0.3, -1.0], [7.0, 0.1]));
    }
}
