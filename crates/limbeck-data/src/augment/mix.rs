//! Mixing the images of a batch in pairs, and the targets that go with it.

use super::cutmix::{CutBox, cutmix};
use super::mixup::{draw_share, mixup};
use crate::Stream;

/// Mixes image `i` of a batch with image `B - 1 - i`, all pairs with the same share, as timm does
/// in its mode `batch`: with mixup or CutMix, each with probability one half where both are on
/// (an alpha above 0). Returns the share that each image keeps of itself.
///
/// `images` are `[B, C, H, W]`. The middle image of an odd batch stays as it is.
pub(crate) fn mix(
    images: &mut [f32],
    [batch, channels, height, width]: [usize; 4],
    mixup_alpha: f64,
    cutmix_alpha: f64,
    stream: &mut Stream,
) -> f64 {
    let cutting = cutmix_alpha > 0.0 && (mixup_alpha == 0.0 || stream.chance(0.5));
    let numbers = channels * height * width;
    let half = batch / 2 * numbers;
    // Without the middle image of an odd batch.
    let (firsts, rest) = images.split_at_mut(half);
    let seconds = &mut rest[(batch % 2) * numbers..];
    let pairs = firsts
        .chunks_exact_mut(numbers)
        .zip(seconds.chunks_exact_mut(numbers).rev());
    if cutting {
        let cut = CutBox::draw(cutmix_alpha, height, width, stream);
        pairs.for_each(|(one, other)| cutmix(one, other, height, width, &cut));
        cut.share(height, width)
    } else {
        let share = draw_share(mixup_alpha, stream);
        pairs.for_each(|(one, other)| mixup(one, other, share));
        share
    }
}

/// Soft targets `[B, K]` of a mixed batch.
pub(crate) fn mixed_targets(labels: &[i64], classes: usize, share: f64) -> Vec<f32> {
    let mut targets = vec![0.0; labels.len() * classes];
    let pairs = labels.iter().zip(labels.iter().rev());
    for (target, (&own, &other)) in targets.chunks_exact_mut(classes).zip(pairs) {
        target[own as usize] += share as f32;
        target[other as usize] += (1.0 - share) as f32;
    }
    targets
}

/// The class with the greater share of each image; its own where both are equal.
pub(crate) fn main_labels(labels: &[i64], share: f64) -> Vec<i64> {
    if share >= 0.5 {
        labels.to_vec()
    } else {
        labels.iter().rev().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn stream(sample: u64) -> Stream {
        Stream::new(3, Purpose::Mix, 0, sample, 0)
    }

    #[test]
    fn targets_are_shares_that_sum_to_one() {
        let targets = mixed_targets(&[0, 2, 2], 3, 0.75);
        assert_eq!(targets, [0.75, 0.0, 0.25, 0.0, 0.0, 1.0, 0.25, 0.0, 0.75]);
        for target in targets.chunks_exact(3) {
            assert_eq!(target.iter().sum::<f32>(), 1.0);
        }
        assert_eq!(main_labels(&[0, 2, 2], 0.75), [0, 2, 2]);
        assert_eq!(main_labels(&[0, 2, 2], 0.25), [2, 2, 0]);
    }

    #[test]
    fn mixing_keeps_the_sum_of_each_pair_and_the_middle_image() {
        for (mixup_alpha, cutmix_alpha) in [(1.0, 0.0), (0.0, 1.0), (0.8, 1.0)] {
            for sample in 0..20 {
                let images: Vec<f32> = (0..5 * 16).map(|v| (v * v % 37) as f32).collect();
                let mut mixed = images.clone();
                let shape = [5, 1, 4, 4];
                let share = mix(
                    &mut mixed,
                    shape,
                    mixup_alpha,
                    cutmix_alpha,
                    &mut stream(sample),
                );
                assert!((0.0..=1.0).contains(&share));
                for image in 0..5 {
                    for pixel in 0..16 {
                        let (one, other) = (image * 16 + pixel, (4 - image) * 16 + pixel);
                        let (before, after) =
                            (images[one] + images[other], mixed[one] + mixed[other]);
                        assert!((before - after).abs() < 1e-4);
                    }
                }
                assert_eq!(mixed[32..48], images[32..48]);
            }
        }
    }

    #[test]
    fn both_kinds_take_turns_where_both_are_on() {
        // Of whole numbers, only mixup makes others.
        let cut = (0..400)
            .filter(|&sample| {
                let mut images = vec![0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
                mix(&mut images, [2, 1, 2, 2], 1.0, 1.0, &mut stream(sample));
                images.iter().all(|v| v.fract() == 0.0)
            })
            .count();
        assert!((150..250).contains(&cut), "{cut}");
    }
}
