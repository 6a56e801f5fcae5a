//! Boxes as files say them become boxes that can be used.

use std::path::{Path, PathBuf};

use super::label::{BoxLabel, Met};
use super::problem::{BoxPosition, BoxProblem, Problems};
use super::{BoxedImage, files};
use crate::DataError;
use crate::decode::Header;

/// Most boxes of one image: the densest crowds that people have drawn boxes around are a tenth of it.
const MAX_BOXES: usize = 10_000;

/// How far a box may reach beyond its image without a word, in pixels: files count pixels from 0 or
/// from 1, and round.
const TOLERANCE: f64 = 1.0;

/// A box as a file says it.
#[derive(Clone, Debug)]
pub(super) struct RawBox {
    pub class: usize,
    /// Left, top, right and lower border, in pixels, in any order and anywhere.
    pub corners: [f64; 4],
    /// Area of the object, where the file gives it.
    pub area: Option<f64>,
    pub crowd: bool,
    pub difficult: bool,
    pub position: BoxPosition,
}

impl RawBox {
    /// The box of an object that is like most.
    pub fn new(class: usize, corners: [f64; 4], position: BoxPosition) -> Self {
        Self {
            class,
            corners,
            area: None,
            crowd: false,
            difficult: false,
            position,
        }
    }
}

/// An image with boxes as files say them.
#[derive(Clone, Debug)]
pub(super) struct RawImage {
    pub image: PathBuf,
    /// What its header says.
    pub header: Header,
    /// The file that the boxes are from.
    pub from: PathBuf,
    /// Where in it the image is described.
    pub position: BoxPosition,
    /// Width and height that the file gives; `None` where it does not, or gives none.
    pub declared: Option<[usize; 2]>,
    /// Number of the image in a COCO file.
    pub id: Option<i64>,
    pub boxes: Vec<RawBox>,
}

/// The header of an image, and what is wrong where it cannot be read.
pub(super) fn header_or_problem(image: &Path, problems: &mut Problems) -> Option<Header> {
    let header = files::header(image);
    if header.is_none() {
        problems.add(BoxProblem::UnreadableImage, image, BoxPosition::Whole);
    }
    header
}

/// Puts boxes into the upright image, and leaves out what is no box in it.
///
/// # Errors
/// More boxes than any image has.
pub(super) fn settle(raw: RawImage, problems: &mut Problems) -> Result<BoxedImage, DataError> {
    if raw.boxes.len() > MAX_BOXES {
        let count = raw.boxes.len();
        let reason = format!(
            "it has {count} boxes for {}; an image may have {MAX_BOXES}",
            raw.image.display()
        );
        return Err(DataError::corrupt(&raw.from, reason));
    }
    let size = raw.header.upright();
    // Where the file describes the pixels as they are stored, its boxes are turned with them.
    let as_stored = raw.declared == Some(raw.header.stored) && raw.declared != Some(size);
    if !as_stored && raw.declared.is_some_and(|declared| declared != size) {
        problems.add(BoxProblem::SizeDiffers, &raw.from, raw.position);
    }
    let mut met = Met::default();
    let mut boxes = Vec::with_capacity(raw.boxes.len());
    for mut raw_box in raw.boxes {
        if as_stored {
            raw_box.corners = raw.header.turned(raw_box.corners);
        }
        let label = match settle_box(&raw_box, size) {
            Ok((label, clipped)) => {
                if clipped {
                    problems.add(BoxProblem::Clipped, &raw.from, raw_box.position);
                }
                label
            }
            Err(problem) => {
                problems.add(problem, &raw.from, raw_box.position);
                continue;
            }
        };
        match met.is_new(&label) {
            true => boxes.push(label),
            false => problems.add(BoxProblem::Duplicate, &raw.from, raw_box.position),
        }
    }
    Ok(BoxedImage {
        file: raw.image,
        size,
        boxes,
        id: raw.id,
    })
}

/// The box inside an image of `[width, height]`, and whether much of it was cut off.
fn settle_box(raw: &RawBox, size: [usize; 2]) -> Result<(BoxLabel, bool), BoxProblem> {
    let corners = raw.corners;
    if corners.iter().any(|corner| !corner.is_finite()) {
        return Err(BoxProblem::NotFinite);
    }
    let [left, top, right, bottom] = corners;
    if right < left || bottom < top {
        return Err(BoxProblem::NegativeSize);
    }
    if right == left || bottom == top {
        return Err(BoxProblem::ZeroSize);
    }
    let [width, height] = size.map(|side| side as f64);
    let clipped = left < -TOLERANCE
        || top < -TOLERANCE
        || right > width + TOLERANCE
        || bottom > height + TOLERANCE;
    let inside = [
        left.clamp(0.0, width),
        top.clamp(0.0, height),
        right.clamp(0.0, width),
        bottom.clamp(0.0, height),
    ];
    // In double precision, in which boxes far outside still have borders that differ.
    let area = |[left, top, right, bottom]: [f64; 4]| (right - left) * (bottom - top);
    let label = BoxLabel::new(raw.class, inside.map(|corner| corner as f32));
    if label.size().iter().any(|&side| side <= 0.0) {
        let outside = inside[0] >= inside[2] || inside[1] >= inside[3];
        return Err(match outside {
            true => BoxProblem::Outside,
            false => BoxProblem::ZeroSize,
        });
    }
    let given = raw.area.filter(|area| area.is_finite() && *area > 0.0);
    let share = area(inside) / area(corners);
    Ok((
        BoxLabel {
            area: given.map_or(label.area, |given| (given * share) as f32),
            crowd: raw.crowd,
            difficult: raw.difficult,
            ..label
        },
        clipped,
    ))
}

#[cfg(test)]
mod tests {
    use image::metadata::Orientation;

    use super::*;

    fn raw(corners: [f64; 4]) -> RawBox {
        RawBox::new(0, corners, BoxPosition::Line(1))
    }

    fn image(declared: Option<[usize; 2]>, orientation: Orientation) -> RawImage {
        RawImage {
            image: "a.jpg".into(),
            header: Header {
                stored: [40, 20],
                orientation,
            },
            from: "a.xml".into(),
            position: BoxPosition::Whole,
            declared,
            id: None,
            boxes: vec![raw([1.0, 2.0, 11.0, 5.0])],
        }
    }

    #[test]
    fn what_is_no_box_in_the_image_is_told_by_its_kind() {
        let of = |corners| settle_box(&raw(corners), [40, 20]).map(|(_, clipped)| clipped);
        assert_eq!(of([0.0, 0.0, 40.0, 20.0]), Ok(false));
        assert_eq!(of([-1.0, 0.0, 40.9, 20.0]), Ok(false));
        assert_eq!(of([-5.0, 0.0, 4.0, 20.0]), Ok(true));
        assert_eq!(of([5.0, 5.0, 5.0, 9.0]), Err(BoxProblem::ZeroSize));
        assert_eq!(of([5.0, 5.0, 5.0 + 1e-12, 9.0]), Err(BoxProblem::ZeroSize));
        assert_eq!(of([5.0, 9.0, 8.0, 5.0]), Err(BoxProblem::NegativeSize));
        assert_eq!(of([40.0, 0.0, 50.0, 9.0]), Err(BoxProblem::Outside));
        assert_eq!(of([1e300, 0.0, 2e300, 9.0]), Err(BoxProblem::Outside));
        assert_eq!(of([f64::NAN, 0.0, 4.0, 9.0]), Err(BoxProblem::NotFinite));
    }

    #[test]
    fn boxes_of_a_photograph_as_it_is_stored_are_turned_with_it() {
        let mut problems = Problems::default();
        let stored = image(Some([40, 20]), Orientation::Rotate90);
        let settled = settle(stored, &mut problems).unwrap();
        assert_eq!(settled.size, [20, 40]);
        assert_eq!(settled.boxes[0].corners, [15.0, 1.0, 18.0, 11.0]);
        // Of one whose size is that of the upright image, they are upright already.
        for declared in [None, Some([20, 40])] {
            let upright = image(declared, Orientation::Rotate90);
            let settled = settle(upright, &mut problems).unwrap();
            assert_eq!(settled.boxes[0].corners, [1.0, 2.0, 11.0, 5.0]);
        }
        assert_eq!(problems, Problems::default());
        let other = image(Some([80, 40]), Orientation::NoTransforms);
        assert_eq!(settle(other, &mut problems).unwrap().boxes.len(), 1);
        assert_eq!(problems.count(BoxProblem::SizeDiffers), 1);
    }

    #[test]
    fn the_same_box_twice_is_one_and_too_many_are_refused() {
        let mut twice = image(None, Orientation::NoTransforms);
        twice.boxes = vec![raw([1.0, 2.0, 3.0, 4.0]); 3];
        twice.boxes[2].class = 1;
        let mut problems = Problems::default();
        assert_eq!(settle(twice.clone(), &mut problems).unwrap().boxes.len(), 2);
        assert_eq!(problems.count(BoxProblem::Duplicate), 1);
        twice.boxes = vec![raw([1.0, 2.0, 3.0, 4.0]); MAX_BOXES + 1];
        let error = settle(twice, &mut problems).unwrap_err().to_string();
        assert!(error.contains("10001 boxes"), "{error}");
    }
}
