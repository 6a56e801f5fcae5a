//! What intervals over images have in common: how far a measure, and what is gained in it, would move with
//! other images of the same kind.
//!
//! The percentile bootstrap over blocks of images: as many blocks as there are are drawn with replacement,
//! the same for all networks, and a measure is taken of the drawn images. Where frames belong together,
//! as those of one film, blocks are drawn and not frames, which are no independent samples. What is drawn
//! depends on the number of blocks alone.

use std::collections::BTreeMap;

use limbeck_data::Stream;
use limbeck_report::Resampled;

/// Resamples: the ends of a 95 % interval then have 50 values outside of them (Efron and Tibshirani,
/// "An Introduction to the Bootstrap", 1993, section 13.3: 1,000 or more).
pub(crate) const RESAMPLES: usize = 2_000;

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

/// How often each of `images` images is there where each group is there as often as `drawn` says.
pub(crate) fn times_of(groups: &[Vec<usize>], drawn: &[u64], images: usize) -> Vec<u64> {
    let mut times = vec![0; images];
    for (group, &drawn) in groups.iter().zip(drawn) {
        for &image in group {
            times[image] = drawn;
        }
    }
    times
}

/// What gains in resamples of `groups` of `images` images say; `None` of no gains.
pub(crate) fn resampled(
    gains: Vec<f64>,
    groups: &[Vec<usize>],
    images: usize,
) -> Option<Resampled> {
    Some(Resampled {
        unit: match groups.len() == images {
            true => "image".to_owned(),
            false => "block".to_owned(),
        },
        units: groups.len(),
        ci95: interval(gains)?,
    })
}

/// How often each of `count` groups is there, in each resample.
pub(crate) fn draws(count: usize) -> impl Iterator<Item = Vec<u64>> {
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
pub(crate) fn interval(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let point = |share: f64| {
        let place = share * last as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        values[low] + (values[high] - values[low]) * (place - low as f64)
    };
    Some([point(0.025), point(0.975)])
}
