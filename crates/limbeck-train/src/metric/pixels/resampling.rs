//! Intervals over the pictures that were measured on: how far mean IoU, and what is gained in it, would
//! move with other pictures of the same kind.
//!
//! The percentile bootstrap over blocks of pictures: as many blocks as there are are drawn with
//! replacement, the same for all networks, and a measure is taken of the drawn pictures' pixels. Where
//! frames belong together, as those of one film, blocks are drawn and not frames, which are no
//! independent samples. What is drawn depends on the number of blocks alone.

use std::collections::BTreeMap;

use limbeck_data::Stream;
use limbeck_report::Resampled;

use super::{ClassPixels, mean_of};

/// Resamples: the ends of a 95 % interval then have 50 values outside of them (Efron and Tibshirani,
/// "An Introduction to the Bootstrap", 1993, section 13.3: 1,000 or more).
const RESAMPLES: usize = 2_000;

/// Pixels of a network by picture: of each the classes that are in it or were chosen.
pub(crate) type Pictures = [Vec<ClassPixels>];

/// The pictures of each block, in the order of their first picture. `blocks` has the block of each
/// picture; without them, every picture stands for itself.
pub(crate) fn groups(pictures: usize, blocks: Option<&[usize]>) -> Vec<Vec<usize>> {
    let Some(blocks) = blocks else {
        return (0..pictures).map(|picture| vec![picture]).collect();
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut places = BTreeMap::new();
    for (picture, &block) in blocks.iter().enumerate().take(pictures) {
        let place = *places.entry(block).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(picture),
            None => groups.push(vec![picture]),
        }
    }
    groups
}

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
    Some(Resampled {
        unit: match groups.len() == pictures {
            true => "image".to_owned(),
            false => "block".to_owned(),
        },
        units: groups.len(),
        ci95: interval(gains)?,
    })
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

/// How often each of `count` groups is there, in each resample.
fn draws(count: usize) -> impl Iterator<Item = Vec<u64>> {
    let mut stream = Stream::of_seed(count as u64);
    (0..RESAMPLES).map(move |_| {
        let mut times = vec![0; count];
        for _ in 0..count {
            times[stream.below(count)] += 1;
        }
        times
    })
}

/// The 2.5 % and 97.5 % points; `None` of nothing.
fn interval(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let point = |share: f64| {
        let place = share * last as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        values[low] + (values[high] - values[low]) * (place - low as f64)
    };
    Some([point(0.025), point(0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;

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
