//! How good detections are: average precision as COCO, YOLOv5 and PASCAL VOC define it.
//!
//! All three go through the detections of a class by descending score, call each right or wrong by its
//! overlap with what is there, and summarise how precision falls while recall rises. They differ in nearly
//! every detail, and numbers of one are not to be compared with those of another. Equal scores are taken by
//! image, then in the order given, so that the order of images in a list decides nothing. Nothing but the
//! order of scores counts. A class that is nowhere has no measure.
//!
//! This lies beside the loss, not with the meters of training, for these numbers are held by golden files
//! too.

mod coco;
mod resampled;
mod voc;
mod yolov5;

use std::collections::BTreeMap;

use super::DetectionError;

pub use coco::{CocoMeasures, coco};
pub use resampled::ResampledPrecision;
pub use voc::{VocMeasures, voc};
pub use yolov5::{Yolov5Measures, yolov5};

/// IoU thresholds of COCO and YOLOv5, 0.5 to 0.95 in steps of 0.05, as numpy's `linspace` rounds them.
const THRESHOLDS: [f64; 10] = {
    let step = (0.95 - 0.5) / 9.0;
    let mut thresholds = [0.95; 10];
    let mut i = 0;
    while i < 9 {
        thresholds[i] = i as f64 * step + 0.5;
        i += 1;
    }
    thresholds
};

/// A box that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroundTruth {
    /// Number of the image.
    pub image: usize,
    /// Class.
    pub class: usize,
    /// Left, top, right, bottom in pixels.
    pub bounds: [f64; 4],
    /// Pixels of the object, which COCO sorts by size: of COCO's own annotations those of its outline.
    pub area: f64,
    /// Whether it is around many objects (COCO's `iscrowd`): none has to be found, any number may be.
    pub crowd: bool,
    /// Whether it need not be found (VOC's `difficult`). COCO knows nothing of it.
    pub difficult: bool,
}

impl GroundTruth {
    /// One object that is to be found, as large as its box.
    pub fn new(image: usize, class: usize, bounds: [f64; 4]) -> Self {
        Self {
            image,
            class,
            bounds,
            area: area(&bounds),
            crowd: false,
            difficult: false,
        }
    }
}

/// A box that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Number of the image.
    pub image: usize,
    /// Class.
    pub class: usize,
    /// The greater, the surer.
    pub score: f64,
    /// Left, top, right, bottom in pixels.
    pub bounds: [f64; 4],
}

/// What is there and what was found of one class in one image.
#[derive(Default)]
struct Group<'a> {
    image: usize,
    truth: Vec<&'a GroundTruth>,
    /// By descending score.
    found: Vec<&'a Detection>,
}

/// For each class its groups, by image.
fn groups<'a>(
    truth: &'a [GroundTruth],
    found: &'a [Detection],
    classes: usize,
) -> Result<Vec<Vec<Group<'a>>>, DetectionError> {
    let mut all: Vec<BTreeMap<usize, Group<'a>>> = (0..classes).map(|_| BTreeMap::new()).collect();
    for (index, entry) in truth.iter().enumerate() {
        let numbers = [entry.area];
        check("ground truth", index, &entry.bounds, &numbers)?;
        let images = of_class(&mut all, "ground truth", index, entry.class)?;
        images.entry(entry.image).or_default().truth.push(entry);
    }
    for (index, entry) in found.iter().enumerate() {
        check("detection", index, &entry.bounds, &[entry.score])?;
        let images = of_class(&mut all, "detection", index, entry.class)?;
        images.entry(entry.image).or_default().found.push(entry);
    }
    let sorted = |(image, mut group): (usize, Group<'a>)| {
        group.image = image;
        group.found.sort_by(|a, b| b.score.total_cmp(&a.score));
        group
    };
    Ok(all
        .into_iter()
        .map(|images| images.into_iter().map(sorted).collect())
        .collect())
}

fn of_class<'m, T>(
    all: &'m mut [T],
    what: &'static str,
    index: usize,
    class: usize,
) -> Result<&'m mut T, DetectionError> {
    let classes = all.len();
    all.get_mut(class).ok_or_else(|| DetectionError::Row {
        what,
        index,
        reason: format!("its class is {class}, not one of 0..{classes}"),
    })
}

fn check(
    what: &'static str,
    index: usize,
    bounds: &[f64; 4],
    others: &[f64],
) -> Result<(), DetectionError> {
    let refuse = |reason: String| {
        Err(DetectionError::Row {
            what,
            index,
            reason,
        })
    };
    if !bounds.iter().chain(others).all(|x| x.is_finite()) {
        return refuse(format!("{bounds:?} or {others:?} is not finite"));
    }
    if bounds[2] < bounds[0] || bounds[3] < bounds[1] {
        return refuse(format!(
            "{bounds:?} is no box of left, top, right, bottom: it ends before it begins"
        ));
    }
    Ok(())
}

/// All marks of one class by descending score; of equal scores in the order of images.
fn ranked<T: Copy>(marks: Vec<(f64, T)>) -> Vec<T> {
    let mut marks = marks;
    marks.sort_by(|a, b| b.0.total_cmp(&a.0));
    marks.into_iter().map(|(_, mark)| mark).collect()
}

fn area(bounds: &[f64; 4]) -> f64 {
    (bounds[2] - bounds[0]) * (bounds[3] - bounds[1])
}

fn intersection(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    width.max(0.0) * height.max(0.0)
}

/// IoU, 0 where boxes do not meet.
fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    match intersection(a, b) {
        0.0 => 0.0,
        shared => shared / (area(a) + area(b) - shared),
    }
}

/// The box that `bounds` overlaps most, the first of equals, and how much.
fn best<'b>(bounds: &[f64; 4], others: impl Iterator<Item = &'b [f64; 4]>) -> Option<(usize, f64)> {
    let overlaps = others.map(|other| iou(bounds, other)).enumerate();
    overlaps.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// From the right, each precision raised to the greatest that follows.
fn envelope(precision: &mut [f64]) {
    let mut greatest = f64::NEG_INFINITY;
    for value in precision.iter_mut().rev() {
        greatest = greatest.max(*value);
        *value = greatest;
    }
}

/// None of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), x| (sum + x, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests;
