//! Anchors that fit the boxes of a data set, as YOLOv5's auto-anchor finds them (`utils/autoanchor.py`):
//! k-means over widths and heights, each divided by its standard deviation, and then changes by chance of
//! which those are kept that fit better.

use limbeck_data::Stream;

use super::{AnchorLevel, Anchors, DetectionError};

/// Best possible recall from which on anchors are good as they are (YOLOv5's `check_anchors`).
pub const GOOD_RECALL: f64 = 0.98;

/// Rounds of k-means.
const ROUNDS: usize = 30;

/// Generations of changes, the chance of each number to change and the deviation of its factor
/// (`kmean_anchors`: `gen`, `mp`, `s`).
const GENERATIONS: usize = 1_000;
const CHANCE: f64 = 0.9;
const DEVIATION: f64 = 0.1;

/// Limits of a factor.
const FACTORS: [f64; 2] = [0.3, 3.0];

/// Least side of a box that anchors are fitted to, in pixels.
const LEAST_SIDE: f64 = 2.0;

/// How well the best of `anchors` fits a box: 1 where it is the box, else the least of the quotients of
/// their sides.
fn fit(anchors: &[[f64; 2]], [width, height]: [f64; 2]) -> f64 {
    let quotient = |a: f64, b: f64| (a / b).min(b / a);
    anchors
        .iter()
        .map(|anchor| quotient(anchor[0], width).min(quotient(anchor[1], height)))
        .fold(0.0, f64::max)
}

/// Share of the boxes, by width and height in pixels, that some anchor can learn, as the sides of both are
/// less than `ratio` times longer or shorter: no training recalls more. 1 of no boxes.
pub fn best_possible_recall(anchors: &Anchors, sizes: &[[f64; 2]], ratio: f64) -> f64 {
    let all: Vec<[f64; 2]> = sizes_of(anchors);
    let learnt = sizes.iter().filter(|size| fit(&all, **size) > 1.0 / ratio);
    match sizes.len() {
        0 => 1.0,
        count => learnt.count() as f64 / count as f64,
    }
}

fn sizes_of(anchors: &Anchors) -> Vec<[f64; 2]> {
    let levels = anchors.levels().iter();
    levels
        .flat_map(|level| level.sizes.iter().copied())
        .collect()
}

/// Anchors for boxes of these widths and heights in pixels, as many and with the strides of `start`, the
/// smallest on the finest level. Where there are fewer boxes than anchors, or no change helps, those of
/// `start`. The same `seed` gives the same.
///
/// # Errors
/// Those of [`Anchors::new`].
pub fn fit_anchors(
    start: &Anchors,
    sizes: &[[f64; 2]],
    ratio: f64,
    seed: u64,
) -> Result<Anchors, DetectionError> {
    let is_large = |size: &&[f64; 2]| size.iter().all(|side| *side >= LEAST_SIDE);
    let sizes: Vec<[f64; 2]> = sizes.iter().filter(is_large).copied().collect();
    let first = sizes_of(start);
    if sizes.len() < first.len() {
        return Ok(start.clone());
    }
    let score = |anchors: &[[f64; 2]]| {
        let fits = sizes.iter().map(|size| fit(anchors, *size));
        fits.filter(|fit| *fit > 1.0 / ratio).sum::<f64>() / sizes.len() as f64
    };
    let mut stream = Stream::of_seed(seed);
    let mut best = clusters(&sizes, first.len());
    let mut best_score = score(&best);
    if score(&first) > best_score {
        best_score = score(&first);
        best = first;
    }
    for _ in 0..GENERATIONS {
        let mut changed = best.clone();
        for side in changed.iter_mut().flatten() {
            if stream.chance(CHANCE) {
                let factor = 1.0 + DEVIATION * stream.uniform(0.0, 1.0) * stream.normal();
                *side = (*side * factor.clamp(FACTORS[0], FACTORS[1])).max(LEAST_SIDE);
            }
        }
        let its = score(&changed);
        if its > best_score {
            (best, best_score) = (changed, its);
        }
    }
    best.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])));
    let mut sorted = best.into_iter();
    let levels = start.levels().iter().map(|level| AnchorLevel {
        stride: level.stride,
        sizes: sorted.by_ref().take(level.sizes.len()).collect(),
    });
    Anchors::new(levels.collect())
}

/// Centres of `count` clusters of at least as many sizes. They start at equal shares of the boxes by area,
/// and one that is left alone keeps its place.
fn clusters(sizes: &[[f64; 2]], count: usize) -> Vec<[f64; 2]> {
    let mean = |axis: usize| sizes.iter().map(|size| size[axis]).sum::<f64>() / sizes.len() as f64;
    let deviation = |axis: usize| {
        let middle = mean(axis);
        let squares = sizes.iter().map(|size| (size[axis] - middle).powi(2));
        let deviation = (squares.sum::<f64>() / sizes.len() as f64).sqrt();
        if deviation > 0.0 { deviation } else { 1.0 }
    };
    let deviations = [deviation(0), deviation(1)];
    let scaled = |size: &[f64; 2]| [size[0] / deviations[0], size[1] / deviations[1]];
    let points: Vec<[f64; 2]> = sizes.iter().map(scaled).collect();
    let mut by_area = points.clone();
    by_area.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])));
    let place = |i: usize| ((i as f64 + 0.5) * points.len() as f64 / count as f64) as usize;
    let mut centres: Vec<[f64; 2]> = (0..count).map(|i| by_area[place(i)]).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0; 2], 0usize); count];
        for point in &points {
            let distance =
                |centre: &[f64; 2]| (centre[0] - point[0]).powi(2) + (centre[1] - point[1]).powi(2);
            let nearest =
                (0..count).min_by(|&a, &b| distance(&centres[a]).total_cmp(&distance(&centres[b])));
            let (sum, members) = &mut sums[nearest.unwrap_or(0)];
            sum[0] += point[0];
            sum[1] += point[1];
            *members += 1;
        }
        for (centre, (sum, members)) in centres.iter_mut().zip(sums) {
            if members > 0 {
                *centre = sum.map(|sum| sum / members as f64);
            }
        }
    }
    centres
        .iter()
        .map(|centre| [centre[0] * deviations[0], centre[1] * deviations[1]])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes() -> Vec<[f64; 2]> {
        let mut stream = Stream::of_seed(5);
        (0..300)
            .map(|i| {
                // A third of them is less than a quarter of the least anchor.
                let side = [2.2, 12.0, 40.0][i % 3];
                [
                    side * stream.uniform(1.0, 1.1),
                    side * stream.uniform(1.0, 1.1),
                ]
            })
            .collect()
    }

    #[test]
    fn anchors_for_other_sizes_recall_little_and_fitted_ones_nearly_all() {
        let (start, sizes) = (Anchors::yolov5(), boxes());
        assert!(best_possible_recall(&start, &sizes, 4.0) < 0.8);
        let fitted = fit_anchors(&start, &sizes, 4.0, 0).unwrap();
        assert!(best_possible_recall(&fitted, &sizes, 4.0) > 0.99);
        assert_eq!(fit_anchors(&start, &sizes, 4.0, 0).unwrap(), fitted);
        let areas: Vec<f64> = sizes_of(&fitted).iter().map(|s| s[0] * s[1]).collect();
        assert!(areas.windows(2).all(|pair| pair[0] <= pair[1]), "{areas:?}");
        let strides: Vec<usize> = fitted.levels().iter().map(|level| level.stride).collect();
        assert_eq!(strides, [8, 16, 32]);
    }

    #[test]
    fn fitting_never_makes_it_worse() {
        let sizes: Vec<[f64; 2]> = sizes_of(&Anchors::yolov5());
        let fitted = fit_anchors(&Anchors::yolov5(), &sizes, 4.0, 0).unwrap();
        assert_eq!(best_possible_recall(&fitted, &sizes, 4.0), 1.0);
        // Too few boxes say nothing.
        let few = &sizes[..3];
        assert_eq!(
            fit_anchors(&Anchors::yolov5(), few, 4.0, 0).unwrap(),
            Anchors::yolov5()
        );
        assert_eq!(best_possible_recall(&Anchors::yolov5(), &[], 4.0), 1.0);
    }
}
