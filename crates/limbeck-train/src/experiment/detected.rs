//! Pictures with the boxes that networks have found in them: those on which student and baseline, or
//! without one student and teacher, differ most.

use std::path::Path;

use limbeck_data::{BoxLabel, Part};
use limbeck_methods::detection::Kept;
use limbeck_report::{BoxKind, DetectedPicture, DrawnBox};

use super::segmented::{Made, name_within};
use crate::{
    TrainError,
    metric::{
        PartAnswers,
        boxes::{BoxAgreement, CONFIDENCE, Judged, judged},
    },
    picture::{base64_png, shown_size, shrunk},
};

/// How many pictures are kept.
const PICTURES: usize = 12;
/// Greatest side of a picture that is shown, in pixels.
const LARGEST: usize = 480;

/// The pictures on which two of them differ by most boxes, the most different first; of a network alone,
/// those with most boxes that are wrong or missed.
///
/// # Errors
/// An image or its boxes that cannot be read.
pub(super) fn detected(
    test: &Part,
    data: &Path,
    made: &Made<'_>,
) -> Result<Vec<DetectedPicture>, TrainError> {
    let mut all = Vec::new();
    for (index, student) in made.student.boxes.iter().enumerate() {
        let other = made.baseline.or(made.teacher);
        let other = other.and_then(|other| other.boxes.get(index));
        let most = match other {
            Some(other) => apart(student, other),
            None => faults(&test.boxes(index)?, student),
        };
        all.push((most, index));
    }
    all.sort_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    let most = all.into_iter().take(PICTURES);
    most.map(|(_, index)| shown(test, data, made, index))
        .collect()
}

/// Boxes of two networks that the other one does not find.
fn apart(one: &[Kept], other: &[Kept]) -> u64 {
    let mut agreement = BoxAgreement::default();
    agreement.add(one, other);
    agreement.apart()
}

fn sure(found: &[Kept]) -> impl Iterator<Item = &Kept> + Clone {
    found.iter().filter(|kept| kept.score >= CONFIDENCE)
}

/// Boxes that are wrong, and objects that were missed.
fn faults(truth: &[BoxLabel], found: &[Kept]) -> u64 {
    let judged = judged(truth, sure(found));
    let of = |kind: Judged| judged.iter().filter(|judged| **judged == kind).count();
    let objects = truth
        .iter()
        .filter(|label| !label.crowd && !label.difficult);
    (of(Judged::Wrong) + objects.count().saturating_sub(of(Judged::Right))) as u64
}

fn shown(
    test: &Part,
    data: &Path,
    made: &Made<'_>,
    index: usize,
) -> Result<DetectedPicture, TrainError> {
    let image = test.image(index)?;
    let truth = test.boxes(index)?;
    let own = [image.height, image.width];
    let size = shown_size(own, LARGEST);
    // Hundredths of a pixel cannot be seen.
    let scaled = |bounds: [f64; 4]| {
        let at = |place: usize, side: usize| {
            let scale = size[side] as f64 / own[side].max(1) as f64;
            (bounds[place] * scale * 100.0).round() / 100.0
        };
        [at(0, 1), at(1, 0), at(2, 1), at(3, 0)]
    };
    let of = |answers: &PartAnswers| {
        let found = answers.boxes.get(index)?;
        let judged = judged(&truth, sure(found));
        let boxes = sure(found).zip(judged).map(|(kept, judged)| DrawnBox {
            class: kept.class,
            bounds: scaled(kept.bounds),
            score: Some(kept.score),
            kind: match judged {
                Judged::Right => BoxKind::Right,
                Judged::Wrong => BoxKind::Wrong,
                Judged::Aside => BoxKind::Aside,
            },
        });
        Some(boxes.collect())
    };
    Ok(DetectedPicture {
        index,
        name: name_within(data, test.name(index)),
        size,
        truth: truth
            .iter()
            .map(|label| DrawnBox {
                class: label.class,
                bounds: scaled(label.corners.map(f64::from)),
                score: None,
                kind: match label.crowd || label.difficult {
                    true => BoxKind::Aside,
                    false => BoxKind::Right,
                },
            })
            .collect(),
        teacher: made.teacher.and_then(of),
        student: of(made.student),
        baseline: made.baseline.and_then(of),
        png: base64_png(&shrunk(image, LARGEST)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_or_missed_is_a_fault_and_what_is_unsure_is_missed() {
        let label = |left: f32| BoxLabel::new(0, [left, 0.0, left + 10.0, 10.0]);
        let kept = |left: f64, score| Kept {
            bounds: [left, 0.0, left + 10.0, 10.0],
            score,
            class: 0,
        };
        let crowd = BoxLabel {
            crowd: true,
            ..label(90.0)
        };
        let truth = [label(0.0), label(30.0), crowd];
        let found = [
            kept(0.0, 0.9),
            kept(60.0, 0.8),
            kept(90.0, 0.7),
            kept(30.0, 0.2),
        ];
        assert_eq!(faults(&truth, &found), 2);
        assert_eq!(apart(&found, &found[..1]), 2);
    }
}
