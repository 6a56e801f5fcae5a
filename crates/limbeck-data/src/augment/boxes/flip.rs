//! Mirroring left and right.

use super::BoxSample;
use crate::augment::flip::flip;

/// The image mirrored left and right with its boxes.
#[must_use]
pub fn flip_with_boxes(sample: BoxSample) -> BoxSample {
    let width = sample.image.width as f32;
    let mirrored = sample.boxes.into_iter().map(|mut label| {
        let [left, top, right, bottom] = label.corners;
        label.corners = [width - right, top, width - left, bottom];
        label
    });
    BoxSample {
        boxes: mirrored.collect(),
        image: flip(sample.image),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxLabel, Image};

    #[test]
    fn boxes_stay_on_what_they_are_around_and_twice_changes_nothing() {
        let mut image = Image::filled(5, 2, 3, 0);
        image.pixel_mut(1, 0).fill(9);
        let sample = BoxSample {
            image,
            boxes: vec![BoxLabel::new(2, [1.0, 0.0, 2.0, 1.0])],
        };
        let flipped = flip_with_boxes(sample.clone());
        assert_eq!(flipped.boxes[0].corners, [3.0, 0.0, 4.0, 1.0]);
        assert_eq!(flipped.image.pixel(3, 0), [9, 9, 9]);
        assert_eq!(flip_with_boxes(flipped), sample);
    }
}
