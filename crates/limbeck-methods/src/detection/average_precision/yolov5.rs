//! YOLOv5's measures (release 5.0, `test.py` and `utils/metrics.py`).
//!
//! A detection looks at nothing but the box of its class that it overlaps most. Where that is by more than 0.5
//! and the box is not yet taken, it takes it and is right at all thresholds below the overlap. Precision
//! is the greatest at any recall as high, joined by lines, and averaged over recall by trapezoids of 0.01.
//! Crowds and difficult boxes are left out, as by what turns COCO's and VOC's files into YOLO's.

use super::{
    Detection, DetectionError, GroundTruth, Group, THRESHOLDS, best, envelope, groups, mean, ranked,
};

/// YOLOv5's measures, 0 to 1; none where there is nothing to find.
#[derive(Clone, Debug, PartialEq)]
pub struct Yolov5Measures {
    /// Mean over classes and IoU thresholds of 0.5, 0.55, …, 0.95 (`mAP@.5:.95`).
    pub precision: Option<f64>,
    /// Mean over classes at an IoU of 0.5 (`mAP@.5`).
    pub precision_50: Option<f64>,
    /// For each class, average precision at each threshold.
    pub classes: Vec<Option<[f64; 10]>>,
}

/// YOLOv5's measures of the detections `found` where `truth` is there, of classes 0..`classes`.
///
/// # Errors
/// [`DetectionError::Row`] for a class that there is not and for what is no box.
pub fn yolov5(
    truth: &[GroundTruth],
    found: &[Detection],
    classes: usize,
) -> Result<Yolov5Measures, DetectionError> {
    let groups = groups(truth, found, classes)?;
    let classes: Vec<Option<[f64; 10]>> = groups.iter().map(|images| of_class(images)).collect();
    Ok(Yolov5Measures {
        precision: mean(classes.iter().flatten().flatten().copied()),
        precision_50: mean(classes.iter().flatten().map(|precision| precision[0])),
        classes,
    })
}

fn of_class(images: &[Group<'_>]) -> Option<[f64; 10]> {
    let (mut objects, mut marks) = (0, Vec::new());
    for group in images {
        let wanted = group.truth.iter().filter(|t| !t.crowd && !t.difficult);
        let wanted: Vec<&[f64; 4]> = wanted.map(|truth| &truth.bounds).collect();
        objects += wanted.len();
        let mut taken = vec![false; wanted.len()];
        for detection in &group.found {
            let mut overlap = 0.0;
            if let Some((i, its)) = best(&detection.bounds, wanted.iter().copied())
                && its > THRESHOLDS[0]
                && !taken[i]
            {
                taken[i] = true;
                overlap = its;
            }
            marks.push((detection.score, overlap));
        }
    }
    if objects == 0 {
        return None;
    }
    let overlaps = ranked(marks);
    Some(THRESHOLDS.map(|threshold| {
        let mut right = 0;
        let (mut recall, mut precision) = (vec![0.0], vec![1.0]);
        for (i, overlap) in overlaps.iter().enumerate() {
            right += u32::from(*overlap > threshold);
            recall.push(f64::from(right) / objects as f64);
            precision.push(f64::from(right) / (i + 1) as f64);
        }
        match overlaps.is_empty() {
            true => 0.0,
            false => area_below(recall, precision),
        }
    }))
}

/// Area below the envelope of precision over recall, which falls to 0 within 0.01 of the last recall.
fn area_below(mut recall: Vec<f64>, mut precision: Vec<f64>) -> f64 {
    recall.push(recall.last().copied().unwrap_or(0.0) + 0.01);
    precision.push(0.0);
    envelope(&mut precision);
    let at = |i: i32| {
        let x = f64::from(i) * 0.01;
        // The last of equal recalls.
        let next = recall.partition_point(|&r| r <= x);
        if next == recall.len() {
            return 0.0;
        }
        let (x0, x1) = (recall[next - 1], recall[next]);
        let (y0, y1) = (precision[next - 1], precision[next]);
        y0 + (x - x0) * (y1 - y0) / (x1 - x0)
    };
    (0..100).map(|i| 0.005 * (at(i) + at(i + 1))).sum()
}
