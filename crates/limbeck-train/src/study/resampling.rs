//! How far a gain would move with other seeds and other test images of the same kind.

use limbeck_data::Stream;

use crate::metric::resampling::{RESAMPLES, interval};

/// The 95 % interval of the mean gain, in points of the percentage of images that are right, over pairs of
/// trainings and the images that they were tested on. `gains` has, for each pair and image, what is right more often
/// than beside it: 1, 0 or −1. The percentile bootstrap draws as many pairs and as many images as there are, with
/// replacement, in each resample. With few seeds it is too narrow, as drawing from few is; it stands
/// beside the one by Student's t. `None` for fewer than two pairs, or without images.
pub(super) fn two_level(gains: &[Vec<i8>]) -> Option<[f64; 2]> {
    let images = gains.first()?.len();
    if gains.len() < 2 || images == 0 || gains.iter().any(|gains| gains.len() != images) {
        return None;
    }
    let mut stream = Stream::of_seed(images as u64 ^ ((gains.len() as u64) << 32));
    let mut times = vec![0i32; images];
    let found = (0..RESAMPLES).map(|_| {
        times.fill(0);
        for _ in 0..images {
            times[stream.below(images)] += 1;
        }
        let drawn = (0..gains.len()).map(|_| {
            let gains = gains[stream.below(gains.len())].iter().zip(&times);
            i64::from(
                gains
                    .map(|(&gain, times)| i32::from(gain) * times)
                    .sum::<i32>(),
            )
        });
        100.0 * drawn.sum::<i64>() as f64 / (images * gains.len()) as f64
    });
    interval(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_covers_seeds_and_images() {
        // One image in ten is gained by every training: images alone move it, by 2·√(0.1·0.9/1000) of 100.
        let same: Vec<i8> = (0..1000).map(|image| i8::from(image % 10 == 0)).collect();
        let [low, high] = two_level(&[same.clone(), same.clone()]).unwrap();
        assert!(
            (8.0..8.5).contains(&low) && (11.5..12.2).contains(&high),
            "{low} {high}"
        );
        // Trainings that differ move it further.
        let none = vec![0; 1000];
        let [far, wide] = two_level(&[same, none]).unwrap();
        assert!(far == 0.0 && wide > 9.0, "{far} {wide}");
    }

    #[test]
    fn what_cannot_be_drawn_has_no_interval() {
        assert_eq!(two_level(&[]), None);
        assert_eq!(two_level(&[vec![1, 0]]), None);
        assert_eq!(two_level(&[vec![], vec![]]), None);
        assert_eq!(two_level(&[vec![1], vec![1, 0]]), None);
    }
}
