//! What a data set with boxes holds, and what is wrong with it.

use serde::Serialize;

use super::problem::{BoxPlace, BoxProblem};
use super::{BoxLabel, BoxedImages, FoundBoxes};
use crate::check::Examples;
use crate::source::Source;

/// Areas below which boxes are small and medium-sized, in pixels, as COCO counts them (Lin et al.,
/// "Microsoft COCO", and the evaluation's `areaRng`).
const SMALL: f32 = 32.0 * 32.0;
const MEDIUM: f32 = 96.0 * 96.0;

/// What a data set with boxes holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoxCheck {
    /// For people, such as `bccd (PASCAL VOC)`.
    pub name: String,
    /// Class names.
    pub classes: Vec<String>,
    /// The number of each class in the COCO file.
    pub category_ids: Option<Vec<i64>>,
    /// Each part as it lies in the data, before any splitting.
    pub parts: Vec<BoxPartCheck>,
    /// What was found besides, and what was left out and why, a line each.
    pub notes: Vec<String>,
}

/// What a part holds. Only boxes that are used are counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoxPartCheck {
    /// Such as `train`.
    pub part: &'static str,
    /// Number of images.
    pub images: usize,
    /// How many of them have no box.
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
    /// Says what was found. Images are not decoded for it.
    #[must_use]
    pub fn check(&self) -> BoxCheck {
        let parts = self.parts().into_iter();
        BoxCheck {
            name: self.name.clone(),
            classes: self.classes.clone(),
            category_ids: self.category_ids.clone(),
            parts: parts
                .map(|(name, part)| BoxPartCheck::of(name, part))
                .collect(),
            notes: self.notes.clone(),
        }
    }
}

impl BoxPartCheck {
    /// Counts what a part holds.
    fn of(part: &'static str, images: &BoxedImages) -> Self {
        let none = |name: &String| ClassBoxes {
            name: name.clone(),
            boxes: 0,
            images: 0,
        };
        let problems = images.problems.iter().map(|(problem, places)| BoxProblems {
            problem,
            text: problem.text(),
            leaves_out: problem.leaves_out(),
            places: places.clone(),
        });
        let mut check = Self {
            part,
            images: images.all().len(),
            without_boxes: 0,
            boxes: 0,
            most_boxes: 0,
            crowds: 0,
            difficult: 0,
            by_class: images.classes().iter().map(none).collect(),
            sizes: BoxSizes::default(),
            problems: problems.collect(),
        };
        for image in images.all() {
            check.without_boxes += usize::from(image.boxes.is_empty());
            check.boxes += image.boxes.len();
            check.most_boxes = check.most_boxes.max(image.boxes.len());
            let mut there = vec![false; check.by_class.len()];
            for label in &image.boxes {
                check.crowds += usize::from(label.crowd);
                check.difficult += usize::from(label.difficult);
                check.sizes.add(label);
                if let Some(class) = check.by_class.get_mut(label.class) {
                    class.boxes += 1;
                    class.images += usize::from(!std::mem::replace(&mut there[label.class], true));
                }
            }
        }
        check
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
}
