//! A box around an object, and what is done to boxes whatever file they are from.

use std::collections::BTreeSet;

/// The box of an object and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxLabel {
    /// Its class, a position in the list of classes.
    pub class: usize,
    /// Left, top, right and lower border, in pixels of the image as it is upright, measured from the
    /// upper left corner of the upper left pixel: a box around that pixel alone is `[0, 0, 1, 1]`.
    pub corners: [f32; 4],
    /// Area of the object in pixels, which sizes are told apart by where boxes are measured: that of
    /// its outline where a file gives it (COCO), else that of the box.
    pub area: f32,
    /// A box around many objects: no target, and what is found in it does not count (COCO's `iscrowd`).
    pub crowd: bool,
    /// Too hard to find: whether it is found or not does not count (VOC's `difficult`).
    pub difficult: bool,
}

impl BoxLabel {
    /// The box of a class whose area is its own.
    #[must_use]
    pub fn new(class: usize, corners: [f32; 4]) -> Self {
        Self {
            class,
            corners,
            area: area(corners),
            crowd: false,
            difficult: false,
        }
    }

    /// Width and height, in pixels.
    #[must_use]
    pub fn size(&self) -> [f32; 2] {
        let [left, top, right, bottom] = self.corners;
        [right - left, bottom - top]
    }

    /// The box with its width and height scaled by a factor each, and then moved right and down, in
    /// pixels.
    #[must_use]
    pub fn moved(self, scale: [f32; 2], shift: [f32; 2]) -> Self {
        let [left, top, right, bottom] = self.corners;
        Self {
            corners: [
                left * scale[0] + shift[0],
                top * scale[1] + shift[1],
                right * scale[0] + shift[0],
                bottom * scale[1] + shift[1],
            ],
            area: self.area * scale[0] * scale[1],
            ..self
        }
    }

    /// The part of the box inside an image of `[width, height]`, with as great a share of the object's
    /// area as of the box; `None` where nothing of it is inside.
    #[must_use]
    pub fn clipped(self, [width, height]: [f32; 2]) -> Option<Self> {
        let [left, top, right, bottom] = self.corners;
        let corners = [
            left.clamp(0.0, width),
            top.clamp(0.0, height),
            right.clamp(0.0, width),
            bottom.clamp(0.0, height),
        ];
        let inside = corners[2] > corners[0] && corners[3] > corners[1];
        inside.then(|| Self {
            corners,
            area: self.area * area(corners) / area(self.corners),
            ..self
        })
    }

    /// What two boxes of the same object have in common, to find the second.
    fn key(&self) -> (usize, [u32; 4], bool) {
        (self.class, self.corners.map(f32::to_bits), self.crowd)
    }
}

/// Area of a box, in pixels.
fn area([left, top, right, bottom]: [f32; 4]) -> f32 {
    (right - left) * (bottom - top)
}

/// Boxes that were met on an image, to drop those that come again.
#[derive(Debug, Default)]
pub(super) struct Met(BTreeSet<(usize, [u32; 4], bool)>);

impl Met {
    /// Whether the box comes for the first time.
    pub fn is_new(&mut self, label: &BoxLabel) -> bool {
        self.0.insert(label.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_is_cut_off_with_its_share_of_the_area() {
        let label = BoxLabel {
            area: 60.0,
            ..BoxLabel::new(1, [-5.0, 2.0, 5.0, 12.0])
        };
        let inside = label.clipped([20.0, 12.0]).unwrap();
        assert_eq!(inside.corners, [0.0, 2.0, 5.0, 12.0]);
        assert_eq!(inside.area, 30.0);
        assert!(label.clipped([20.0, 2.0]).is_none());
        let whole = BoxLabel::new(0, [1.0, 1.0, 3.0, 4.0]);
        assert_eq!(whole.clipped([10.0, 10.0]), Some(whole));
        assert_eq!((whole.area, whole.size()), (6.0, [2.0, 3.0]));
    }

    #[test]
    fn both_factors_count_for_the_area() {
        let label = BoxLabel::new(0, [1.0, 2.0, 3.0, 6.0]).moved([2.0, 3.0], [10.0, 0.0]);
        assert_eq!(label.corners, [12.0, 6.0, 16.0, 18.0]);
        assert_eq!(label.area, 48.0);
    }
}
