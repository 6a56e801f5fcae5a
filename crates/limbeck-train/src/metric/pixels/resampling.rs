//! Intervals over the pictures that were measured on: how far mean IoU, and what is gained in it, would
//! move with other pictures of the same kind (see [`crate::metric::resampling`]).

use limbeck_report::Resampled;

use super::{ClassPixels, mean_of};
use crate::metric::resampling::{RESAMPLES, draws, interval, resampled};

/// Pixels of a network by picture: of each the classes that are in it or were chosen.
pub(crate) type Pictures = [Vec<ClassPixels>];

/// The 95 % interval of the mean gain of `students` over the `baselines` of the same seeds in mean
/// IoU, in points. `None` where there are no pairs, fewer than two blocks, or networks that were
/// measured on different pictures.
pub(crate) fn gain_over_images(
    students: &[&Pictures],
    baselines: &[&Pictures],
    groups: &[Vec<usize>],
) -> Option<Resampled> {
    let pictures: usize = groups.iter().map(Vec::len).sum();
    let mut all = students.iter().chain(baselines);
    let fits = !students.is_empty()
        && students.len() == baselines.len()
        && all.all(|network| network.len() == pictures);
    if !fits || groups.len() < 2 {
        return None;
    }
    let added = |network: &&Pictures| by_group(network, groups);
    let students: Vec<_> = students.iter().map(added).collect();
    let baselines: Vec<_> = baselines.iter().map(added).collect();
    let mut gains = Vec::new();
    for times in draws(groups.len()) {
        let mean = |network| mean_of(drawn(network, &times).iter().map(ClassPixels::iou));
        let pairs = students.iter().zip(&baselines);
        let pairs: Option<Vec<f64>> = pairs.map(|(s, b)| Some(mean(s)? - mean(b)?)).collect();
        if let Some(pairs) = pairs {
            gains.push(pairs.iter().sum::<f64>() / pairs.len() as f64);
        }
    }
    resampled(gains, groups, pictures)
}

/// The 95 % interval of the IoU of each of `classes` classes, in percent; `None` of one that is absent
/// from a resample in ten or more, or where there are fewer than two blocks.
pub(crate) fn class_intervals(
    network: &Pictures,
    classes: usize,
    groups: &[Vec<usize>],
) -> Vec<Option<[f64; 2]>> {
    if groups.len() < 2 || groups.iter().map(Vec::len).sum::<usize>() != network.len() {
        return vec![None; classes];
    }
    let added = by_group(network, groups);
    let mut found = vec![Vec::new(); classes];
    for times in draws(groups.len()) {
        for (values, pixels) in found.iter_mut().zip(drawn(&added, &times)) {
            values.extend(pixels.iou());
        }
    }
    let enough = |values: Vec<f64>| match 10 * values.len() > 9 * RESAMPLES {
        true => interval(values),
        false => None,
    };
    found.into_iter().map(enough).collect()
}

/// The pixels of each class in each group, added: what is drawn many times is added once.
fn by_group(network: &Pictures, groups: &[Vec<usize>]) -> Vec<Vec<ClassPixels>> {
    let added = |group: &Vec<usize>| {
        let mut sums = Vec::new();
        for pixels in group.iter().flat_map(|&picture| &network[picture]) {
            add(&mut sums, pixels, 1);
        }
        sums
    };
    groups.iter().map(added).collect()
}

/// The pixels of each class where each group is there as many `times`.
fn drawn(groups: &[Vec<ClassPixels>], times: &[u64]) -> Vec<ClassPixels> {
    let mut sums = Vec::new();
    for (group, &times) in groups.iter().zip(times).filter(|(_, times)| **times > 0) {
        for pixels in group {
            add(&mut sums, pixels, times);
        }
    }
    sums
}

/// Adds `pixels`, `times` times, at the class's place.
fn add(sums: &mut Vec<ClassPixels>, pixels: &ClassPixels, times: u64) {
    while sums.len() <= pixels.class {
        sums.push(ClassPixels {
            class: sums.len(),
            ..ClassPixels::default()
        });
    }
    sums[pixels.class].add(&ClassPixels {
        class: pixels.class,
        right: times * pixels.right,
        there: times * pixels.there,
        chosen: times * pixels.chosen,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::resampling::groups;

    fn network(pictures: &[[u64; 3]]) -> Vec<Vec<ClassPixels>> {
        let picture = |&[right, there, chosen]: &[u64; 3]| {
            vec![ClassPixels {
                class: 0,
                right,
                there,
                chosen,
            }]
        };
        pictures.iter().map(picture).collect()
    }

    fn films(pictures: usize, frames: usize) -> Vec<usize> {
        (0..pictures).map(|picture| picture / frames).collect()
    }

    #[test]
    fn a_gain_that_is_the_same_in_every_picture_has_no_width() {
        let (student, baseline) = (network(&[[3, 4, 4]; 6]), network(&[[2, 4, 4]; 6]));
        let found = gain_over_images(&[&student], &[&baseline], &groups(6, None)).unwrap();
        let gain = 100.0 * (3.0 / 5.0 - 2.0 / 6.0);
        assert!(found.ci95.iter().all(|end| (end - gain).abs() < 1e-9));
        assert_eq!((found.unit.as_str(), found.units), ("image", 6));
    }

    #[test]
    fn frames_of_one_film_are_drawn_together_and_widen_the_interval() {
        let of = |right: u64| [right, 10, 10];
        let frames: Vec<[u64; 3]> = (0..40).map(|i| of(if i < 20 { 9 } else { 5 })).collect();
        let (student, baseline) = (network(&frames), network(&[of(6); 40]));
        let width = |blocks: Option<&[usize]>| {
            let groups = groups(40, blocks);
            let found = gain_over_images(&[&student], &[&baseline], &groups).unwrap();
            (found.ci95[1] - found.ci95[0], found.unit, found.units)
        };
        let (alone, unit, units) = width(None);
        assert_eq!((unit.as_str(), units), ("image", 40));
        let (together, unit, units) = width(Some(&films(40, 10)));
        assert_eq!((unit.as_str(), units), ("block", 4));
        assert!(together > 2.0 * alone, "{together} and {alone}");
    }

    #[test]
    fn ends_are_those_of_all_resamples_that_there_are() {
        // Two pictures: both once (probability 1/2), the first twice or the second twice (1/4 each).
        let student = network(&[[10, 10, 10], [0, 10, 10]]);
        let baseline = network(&[[5, 10, 10]; 2]);
        let found = gain_over_images(&[&student], &[&baseline], &groups(2, None)).unwrap();
        let third = 100.0 / 3.0;
        assert!((found.ci95[0] + third).abs() < 1e-9, "{found:?}");
        assert!((found.ci95[1] - (100.0 - third)).abs() < 1e-9, "{found:?}");
        let of_class = class_intervals(&student, 2, &groups(2, None));
        assert_eq!(of_class, [Some([0.0, 100.0]), None]);
    }

    #[test]
    fn what_cannot_be_paired_has_no_interval() {
        let (one, two) = (network(&[[1, 1, 1]]), network(&[[1, 1, 1]; 2]));
        assert_eq!(gain_over_images(&[&one], &[&one], &groups(1, None)), None);
        assert_eq!(gain_over_images(&[&two], &[&one], &groups(2, None)), None);
        assert_eq!(gain_over_images(&[&two], &[], &groups(2, None)), None);
        let one_film = groups(2, Some(&films(2, 2)));
        assert_eq!(gain_over_images(&[&two], &[&two], &one_film), None);
    }

    #[test]
    fn pictures_of_one_block_are_together_wherever_they_are() {
        let found = groups(5, Some(&[3, 0, 3, 7, 0]));
        assert_eq!(found, [vec![0, 2], vec![1, 4], vec![3]]);
        assert_eq!(groups(2, None), [vec![0], vec![1]]);
    }
}
