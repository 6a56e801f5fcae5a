//! COCO's measures, by the rules of pycocotools' `COCOeval` for boxes.
//!
//! For a size of objects and an IoU threshold t, the 100 surest detections of each class and image take, one
//! after the other, the box they overlap most of those that are left and that they overlap by t at least
//! (the last one of equals). Crowds and objects of other sizes are taken only where nothing else is; a
//! detection that takes one, or takes nothing and is of another size itself, does not count. A crowd can be
//! taken any number of times, and is overlapped by the share of the detection that lies in it. Precision
//! is the greatest at any recall as high, averaged over the recalls 0, 0.01, …, 1, and 0 where recall
//! does not come that far.

use super::{
    Detection, DetectionError, GroundTruth, Group, THRESHOLDS, area, envelope, groups,
    intersection, iou, mean, ranked,
};

/// Detections of one class in one image that are looked at.
const DETECTIONS: usize = 100;

/// All, small, medium, large: pixels of the object, both ends included.
const SIZES: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// COCO's twelve numbers, 0 to 1; none where there is no object of the kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoMeasures {
    /// AP: mean over classes and IoU thresholds of 0.5, 0.55, …, 0.95.
    pub precision: Option<f64>,
    /// AP at an IoU of 0.5.
    pub precision_50: Option<f64>,
    /// AP at an IoU of 0.75.
    pub precision_75: Option<f64>,
    /// AP of small, medium (from 32² pixels) and large objects (from 96² pixels).
    pub precision_by_size: [Option<f64>; 3],
    /// Recall with the 1, 10 and 100 surest detections of each class and image.
    pub recall: [Option<f64>; 3],
    /// Recall of small, medium and large objects, with 100 detections.
    pub recall_by_size: [Option<f64>; 3],
    /// For each class, AP at each threshold.
    pub classes: Vec<Option<[f64; 10]>>,
}

impl CocoMeasures {
    /// All twelve in the order in which pycocotools tells them: AP, AP50, AP75, AP small, medium, large,
    /// recall with 1, 10, 100, recall small, medium, large.
    pub fn twelve(&self) -> [Option<f64>; 12] {
        let [small, medium, large] = self.precision_by_size;
        let [one, ten, hundred] = self.recall;
        let [recall_small, recall_medium, recall_large] = self.recall_by_size;
        [
            self.precision,
            self.precision_50,
            self.precision_75,
            small,
            medium,
            large,
            one,
            ten,
            hundred,
            recall_small,
            recall_medium,
            recall_large,
        ]
    }
}

/// COCO's measures of the detections `found` where `truth` is there, of classes 0..`classes`.
///
/// # Errors
/// [`DetectionError::Row`] for a class that there is not and for what is no box.
pub fn coco(
    truth: &[GroundTruth],
    found: &[Detection],
    classes: usize,
) -> Result<CocoMeasures, DetectionError> {
    let classes: Vec<Class> = groups(truth, found, classes)?
        .iter()
        .map(|images| Class::new(images))
        .collect();
    let over = |of: fn(&Curve) -> &[f64; 10], size: usize, limit: usize| {
        let curves = classes.iter().filter_map(move |c| c.curve(size, limit));
        mean(curves.flat_map(move |curve| *of(&curve)))
    };
    let precision = |size| over(|curve| &curve.precision, size, DETECTIONS);
    let recall = |size, limit| over(|curve| &curve.recall, size, limit);
    let by_class: Vec<Option<[f64; 10]>> = classes
        .iter()
        .map(|class| Some(class.curve(0, DETECTIONS)?.precision))
        .collect();
    let at = |threshold: usize| mean(by_class.iter().flatten().map(|ap| ap[threshold]));
    Ok(CocoMeasures {
        precision: precision(0),
        precision_50: at(0),
        precision_75: at(5),
        precision_by_size: [1, 2, 3].map(precision),
        recall: [1, 10, DETECTIONS].map(|limit| recall(0, limit)),
        recall_by_size: [1, 2, 3].map(|size| recall(size, DETECTIONS)),
        classes: by_class,
    })
}

/// What a detection is at one threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mark {
    Right,
    Wrong,
    /// Does not count.
    Ignored,
}

/// A detection in its place among those of its class and image, surest first.
#[derive(Clone, Copy)]
pub(super) struct Marked {
    pub image: usize,
    pub score: f64,
    place: usize,
    pub marks: [Mark; 10],
}

/// Precision and recall of a class at each threshold.
struct Curve {
    precision: [f64; 10],
    recall: [f64; 10],
}

/// One class in all images: for each size its detections and how many objects are to be found.
pub(super) struct Class {
    pub sizes: [(Vec<Marked>, usize); 4],
}

impl Class {
    pub fn new(images: &[Group<'_>]) -> Self {
        let mut sizes: [(Vec<Marked>, usize); 4] = Default::default();
        for group in images {
            let found = &group.found[..group.found.len().min(DETECTIONS)];
            let overlaps: Vec<Vec<f64>> = found
                .iter()
                .map(|detection| {
                    let overlap = |truth: &&GroundTruth| overlap(detection, truth);
                    group.truth.iter().map(overlap).collect()
                })
                .collect();
            for ((marked, objects), [least, most]) in sizes.iter_mut().zip(SIZES) {
                let outside = |area: f64| area < least || area > most;
                let ignored: Vec<bool> = group
                    .truth
                    .iter()
                    .map(|truth| truth.crowd || outside(truth.area))
                    .collect();
                *objects += ignored.iter().filter(|ignored| !**ignored).count();
                let own = found.iter().map(|d| outside(area(&d.bounds)));
                let own: Vec<bool> = own.collect();
                let first = marked.len();
                marked.extend(found.iter().enumerate().map(|(place, detection)| Marked {
                    image: group.image,
                    score: detection.score,
                    place,
                    marks: [Mark::Wrong; 10],
                }));
                for (t, threshold) in THRESHOLDS.into_iter().enumerate() {
                    let taken = take(&group.truth, &overlaps, &ignored, threshold);
                    for (i, taken) in taken.into_iter().enumerate() {
                        marked[first + i].marks[t] = match taken {
                            Some(object) if ignored[object] => Mark::Ignored,
                            Some(_) => Mark::Right,
                            None if own[i] => Mark::Ignored,
                            None => Mark::Wrong,
                        };
                    }
                }
            }
        }
        Self { sizes }
    }

    /// None where nothing is to be found.
    fn curve(&self, size: usize, limit: usize) -> Option<Curve> {
        let (marked, objects) = &self.sizes[size];
        if *objects == 0 {
            return None;
        }
        let marks = marked.iter().filter(|m| m.place < limit);
        let marks = ranked(marks.map(|m| (m.score, m.marks)).collect());
        let mut curve = Curve {
            precision: [0.0; 10],
            recall: [0.0; 10],
        };
        for t in 0..THRESHOLDS.len() {
            let (mut right, mut wrong) = (0, 0);
            let (mut precision, mut recall) = (Vec::new(), Vec::new());
            for marks in &marks {
                match marks[t] {
                    Mark::Right => right += 1,
                    Mark::Wrong => wrong += 1,
                    Mark::Ignored => continue,
                }
                precision.push(f64::from(right) / f64::from(right + wrong));
                recall.push(f64::from(right) / *objects as f64);
            }
            curve.recall[t] = recall.last().copied().unwrap_or(0.0);
            envelope(&mut precision);
            let at = |i: i32| {
                // As numpy's `linspace` rounds them.
                let wanted = if i == 100 { 1.0 } else { f64::from(i) * 0.01 };
                let place = recall.partition_point(|&r| r < wanted);
                precision.get(place).copied().unwrap_or(0.0)
            };
            curve.precision[t] = (0..=100).map(at).sum::<f64>() / 101.0;
        }
        Some(curve)
    }
}

/// Which object each detection takes.
fn take(
    truth: &[&GroundTruth],
    overlaps: &[Vec<f64>],
    ignored: &[bool],
    threshold: f64,
) -> Vec<Option<usize>> {
    let counted = (0..truth.len()).filter(|&i| !ignored[i]);
    let order: Vec<usize> = counted
        .chain((0..truth.len()).filter(|&i| ignored[i]))
        .collect();
    let mut taken = vec![false; truth.len()];
    overlaps
        .iter()
        .map(|overlaps| {
            let mut best = None;
            // An object that is hit exactly is taken at any threshold.
            let mut least = threshold.min(1.0 - 1e-10);
            for &i in &order {
                if taken[i] && !truth[i].crowd {
                    continue;
                }
                if ignored[i] && best.is_some_and(|best: usize| !ignored[best]) {
                    break;
                }
                if overlaps[i] >= least {
                    least = overlaps[i];
                    best = Some(i);
                }
            }
            if let Some(i) = best {
                taken[i] = true;
            }
            best
        })
        .collect()
}

/// IoU, or of a crowd the share of the detection that lies in it.
fn overlap(detection: &Detection, truth: &GroundTruth) -> f64 {
    if !truth.crowd {
        return iou(&detection.bounds, &truth.bounds);
    }
    match intersection(&detection.bounds, &truth.bounds) {
        0.0 => 0.0,
        shared => shared / area(&detection.bounds),
    }
}
