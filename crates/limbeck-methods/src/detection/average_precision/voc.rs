//! PASCAL VOC's measures, the one until 2009 and the one since.
//!
//! A detection looks at nothing but the box of its class that it overlaps most. By more than 0.5, it is right if
//! it is the first one there and wrong if not; it does not count if the box is difficult. Boxes are in continuous
//! coordinates: a side is right − left, without the pixel that the development kit adds. Crowds count as difficult.

use super::{Detection, DetectionError, GroundTruth, Group, best, envelope, groups, mean, ranked};

/// IoU that a detection must exceed.
const OVERLAP: f64 = 0.5;

/// VOC's measures, 0 to 1; none where there is nothing to find.
#[derive(Clone, Debug, PartialEq)]
pub struct VocMeasures {
    /// Mean over classes of the mean precision at the recalls 0, 0.1, …, 1 (VOC 2007).
    pub eleven_points: Option<f64>,
    /// Mean over classes of the area below the envelope of precision (VOC 2010 and later).
    pub all_points: Option<f64>,
    /// Both for each class, in this order.
    pub classes: Vec<Option<[f64; 2]>>,
}

/// VOC's measures of the detections `found` where `truth` is there, of classes 0..`classes`.
///
/// # Errors
/// [`DetectionError::Row`] for a class that there is not and for what is no box.
pub fn voc(
    truth: &[GroundTruth],
    found: &[Detection],
    classes: usize,
) -> Result<VocMeasures, DetectionError> {
    let groups = groups(truth, found, classes)?;
    let classes: Vec<Option<[f64; 2]>> = groups.iter().map(|images| of_class(images)).collect();
    let over = |which: usize| mean(classes.iter().flatten().map(|both| both[which]));
    Ok(VocMeasures {
        eleven_points: over(0),
        all_points: over(1),
        classes,
    })
}

fn of_class(images: &[Group<'_>]) -> Option<[f64; 2]> {
    let (mut objects, mut marks) = (0, Vec::new());
    for group in images {
        let difficult = |i: usize| group.truth[i].difficult || group.truth[i].crowd;
        objects += (0..group.truth.len()).filter(|&i| !difficult(i)).count();
        let mut taken = vec![false; group.truth.len()];
        for detection in &group.found {
            let boxes = group.truth.iter().map(|truth| &truth.bounds);
            let right = match best(&detection.bounds, boxes) {
                Some((i, overlap)) if overlap > OVERLAP => {
                    if difficult(i) {
                        continue;
                    }
                    !std::mem::replace(&mut taken[i], true)
                }
                _ => false,
            };
            marks.push((detection.score, right));
        }
    }
    if objects == 0 {
        return None;
    }
    let mut found = 0;
    let (mut recall, mut precision) = (Vec::new(), Vec::new());
    for (i, right) in ranked(marks).into_iter().enumerate() {
        found += u32::from(right);
        recall.push(f64::from(found) / objects as f64);
        precision.push(f64::from(found) / (i + 1) as f64);
    }
    envelope(&mut precision);
    let at = |wanted: f64| {
        let place = recall.partition_point(|&r| r < wanted);
        precision.get(place).copied().unwrap_or(0.0)
    };
    let eleven = (0..=10).map(|i| at(f64::from(i) * 0.1)).sum::<f64>() / 11.0;
    let starts = std::iter::once(&0.0).chain(&recall);
    let steps = recall.iter().zip(starts).zip(&precision);
    let all = steps.map(|((to, from), height)| (to - from) * height).sum();
    Some([eleven, all])
}
