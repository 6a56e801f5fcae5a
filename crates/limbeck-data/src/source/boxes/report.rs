//! What a data set with boxes holds, and what is wrong with it.

use serde::Serialize;

use super::problem::{BoxPlace, BoxProblem, Problems};
use super::{BoxLabel, FoundBoxes};
use crate::check::Examples;
use crate::source::{Annotation, Labelling, Source};

/// Areas below which boxes are small and medium-sized, in pixels, as COCO counts them (Lin et al.,
/// "Microsoft COCO", and the evaluation's `areaRng`).
const SMALL: f32 = 32.0 * 32.0;
const MEDIUM: f32 = 96.0 * 96.0;

/// Steps of the histogram of lengths.
const LENGTHS: usize = 7;

/// What the boxes of a part are. Only boxes that are used are counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoxCheck {
    /// Images without a box.
    pub without_boxes: usize,
    /// Number of boxes, crowds and difficult ones among them.
    pub boxes: usize,
    /// Most boxes of one image.
    pub most_boxes: usize,
    /// Boxes around crowds.
    pub crowds: usize,
    /// Boxes that are too hard to count.
    pub difficult: usize,
    /// By class, in the order of the classes.
    pub by_class: Vec<ClassBoxes>,
    /// By size.
    pub sizes: BoxSizes,
    /// By their longer side as a share of the image's longer side: below 1/64, from there below 1/32, and so
    /// on to 1/2, and from 1/2. Boxes in images whose size is not known are left out.
    pub lengths: [usize; LENGTHS],
    /// What is wrong, by kind.
    pub problems: Vec<BoxProblems>,
}

/// The boxes of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassBoxes {
    /// The class.
    pub name: String,
    /// Its boxes.
    pub boxes: usize,
    /// Images that have one of them or more.
    pub images: usize,
}

/// Boxes by the area of their objects, as COCO does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BoxSizes {
    /// Below 32² pixels.
    pub small: usize,
    /// From 32² and below 96² pixels.
    pub medium: usize,
    /// From 96² pixels.
    pub large: usize,
}

/// Everything that is wrong in one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoxProblems {
    /// In which way.
    pub problem: BoxProblem,
    /// The same for people, after the number.
    pub text: &'static str,
    /// Whether something is left out for it.
    pub leaves_out: bool,
    /// How often, and the first few places.
    pub places: Examples<BoxPlace>,
}

impl BoxSizes {
    /// Counts a box.
    pub fn add(&mut self, label: &BoxLabel) {
        match label.area {
            area if area < SMALL => self.small += 1,
            area if area < MEDIUM => self.medium += 1,
            _ => self.large += 1,
        }
    }
}

impl FoundBoxes {
    /// Says what was found in each part, by its name. Images are not decoded for it.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, BoxCheck)> {
        let parts = self.parts().into_iter();
        parts
            .filter_map(|(name, part)| {
                let check = BoxCheck::of(&**part, |index| part.size(index));
                Some((name, check?))
            })
            .collect()
    }
}

impl BoxCheck {
    /// Counts the boxes of images that have these heights and widths, as far as they are known; `None`
    /// where images have no boxes.
    pub(crate) fn of(
        source: &dyn Source,
        size: impl Fn(usize) -> Option<[usize; 2]>,
    ) -> Option<Self> {
        if source.labelling() != Labelling::Boxes {
            return None;
        }
        let none = |name: &String| ClassBoxes {
            name: name.clone(),
            boxes: 0,
            images: 0,
        };
        let mut check = Self {
            without_boxes: 0,
            boxes: 0,
            most_boxes: 0,
            crowds: 0,
            difficult: 0,
            by_class: source.classes().iter().map(none).collect(),
            sizes: BoxSizes::default(),
            lengths: [0; LENGTHS],
            problems: source.box_problems(),
        };
        for index in 0..source.len() {
            if let Ok(Annotation::Boxes(boxes)) = source.annotation(index) {
                check.add(&boxes, size(index));
            }
        }
        Some(check)
    }

    /// Counts the boxes of an image of that height and width.
    fn add(&mut self, boxes: &[BoxLabel], size: Option<[usize; 2]>) {
        self.without_boxes += usize::from(boxes.is_empty());
        self.boxes += boxes.len();
        self.most_boxes = self.most_boxes.max(boxes.len());
        let mut there = vec![false; self.by_class.len()];
        for label in boxes {
            self.crowds += usize::from(label.crowd);
            self.difficult += usize::from(label.difficult);
            self.sizes.add(label);
            if let Some([height, width]) = size {
                self.lengths[length_of(label, height.max(width))] += 1;
            }
            if let Some(class) = self.by_class.get_mut(label.class) {
                class.boxes += 1;
                class.images += usize::from(!std::mem::replace(&mut there[label.class], true));
            }
        }
    }
}

/// The step of the histogram that a box in an image with this longer side belongs to.
fn length_of(label: &BoxLabel, longest: usize) -> usize {
    let [left, top, right, bottom] = label.corners;
    let share = (right - left).max(bottom - top) / longest.max(1) as f32;
    let limits = (1..LENGTHS).map(|step| 0.5f32.powi((LENGTHS - step) as i32));
    limits.filter(|limit| share >= *limit).count()
}

impl BoxProblems {
    /// Everything that is wrong, by kind.
    pub(super) fn all(problems: &Problems) -> Vec<Self> {
        let kind = |(problem, places): (BoxProblem, &Examples<BoxPlace>)| Self {
            problem,
            text: problem.text(),
            leaves_out: problem.leaves_out(),
            places: places.clone(),
        };
        problems.iter().map(kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_apart_by_area_as_coco_does() {
        let mut sizes = BoxSizes::default();
        for side in [31.9, 32.0, 95.9, 96.0, 500.0] {
            sizes.add(&BoxLabel::new(0, [0.0, 0.0, side, side]));
        }
        let expected = BoxSizes {
            small: 1,
            medium: 2,
            large: 2,
        };
        assert_eq!(sizes, expected);
    }

    #[test]
    fn lengths_double_from_step_to_step() {
        let step = |side: f32| length_of(&BoxLabel::new(0, [0.0, 0.0, 1.0, side]), 128);
        let found = [1.5, 2.0, 3.9, 4.0, 31.0, 32.0, 63.9, 64.0, 128.0].map(step);
        assert_eq!(found, [0, 1, 1, 2, 4, 5, 5, 6, 6]);
    }
}
