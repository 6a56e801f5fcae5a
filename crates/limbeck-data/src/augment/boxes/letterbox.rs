//! Bringing an image to a fixed size whole, without changing its proportions: what it does not cover is
//! grey.

use super::{BOX_PADDING, BoxSample, paste};
use crate::{BoxLabel, Image, resize};

/// How an image lies in a frame of another size, and the way back for what is found there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Letterbox {
    /// Height and width of the image.
    size: [usize; 2],
    /// Height and width of the frame.
    frame: [usize; 2],
    /// Height and width of the image in the frame.
    scaled: [usize; 2],
    /// Row and column of its upper left corner there.
    shift: [usize; 2],
}

impl Letterbox {
    /// An image of `size` in the middle of a frame, as large as it fits; both height and width, above 0.
    #[must_use]
    pub fn new(size: [usize; 2], frame: [usize; 2]) -> Self {
        let factor = (frame[0] as f64 / size[0] as f64).min(frame[1] as f64 / size[1] as f64);
        let side = |axis: usize| {
            ((size[axis] as f64 * factor).round() as usize).clamp(1, frame[axis].max(1))
        };
        let scaled = [side(0), side(1)];
        Self {
            size,
            frame,
            scaled,
            shift: [
                frame[0].saturating_sub(scaled[0]) / 2,
                frame[1].saturating_sub(scaled[1]) / 2,
            ],
        }
    }

    /// The factors of width and height. They differ by what rounding to whole pixels makes of them.
    fn factors(&self) -> [f32; 2] {
        [1, 0].map(|axis| (self.scaled[axis] as f64 / self.size[axis] as f64) as f32)
    }

    /// The image in its frame.
    #[must_use]
    pub fn image(&self, image: &Image) -> Image {
        let [height, width] = self.frame;
        let mut framed = Image::filled(width, height, image.channels, BOX_PADDING);
        let [top, left] = self.shift.map(|shift| shift as isize);
        match self.scaled == self.size {
            true => paste(&mut framed, image, [left, top]),
            false => {
                let scaled = resize(image, self.scaled[0], self.scaled[1]);
                paste(&mut framed, &scaled, [left, top]);
            }
        }
        framed
    }

    /// A box of the image as it lies in the frame.
    #[must_use]
    pub fn place(&self, label: BoxLabel) -> BoxLabel {
        label.moved(self.factors(), [self.shift[1] as f32, self.shift[0] as f32])
    }

    /// Image and boxes in the frame.
    #[must_use]
    pub fn apply(&self, sample: &BoxSample) -> BoxSample {
        BoxSample {
            image: self.image(&sample.image),
            boxes: sample
                .boxes
                .iter()
                .map(|label| self.place(*label))
                .collect(),
        }
    }

    /// Corners in the frame as they lie in the image, cut off at its border.
    #[must_use]
    pub fn back(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        let [across, down] = self.factors();
        let [height, width] = self.size.map(|side| side as f32);
        let x = |at: f32| ((at - self.shift[1] as f32) / across).clamp(0.0, width);
        let y = |at: f32| ((at - self.shift[0] as f32) / down).clamp(0.0, height);
        [x(left), y(top), x(right), y(bottom)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_image_is_in_the_middle_and_grey_is_around_it() {
        let letterbox = Letterbox::new([2, 4], [8, 8]);
        let image = Image::filled(4, 2, 3, 200);
        let framed = letterbox.image(&image);
        assert_eq!((framed.width, framed.height), (8, 8));
        for (row, level) in [
            (0, BOX_PADDING),
            (1, BOX_PADDING),
            (2, 200),
            (5, 200),
            (6, BOX_PADDING),
        ] {
            assert_eq!(framed.pixel(3, row), [level; 3], "{row}");
        }
        let label = letterbox.place(BoxLabel::new(0, [1.0, 0.0, 3.0, 2.0]));
        assert_eq!(label.corners, [2.0, 2.0, 6.0, 6.0]);
        assert_eq!(label.area, 16.0);
        assert_eq!(Letterbox::new([8, 8], [8, 8]).image(&framed), framed);
    }

    #[test]
    fn what_is_found_beyond_the_image_is_cut_off() {
        let letterbox = Letterbox::new([2, 4], [8, 8]);
        assert_eq!(letterbox.back([-3.0, 0.0, 20.0, 3.0]), [0.0, 0.0, 4.0, 0.5]);
    }

    proptest! {
        #[test]
        fn boxes_come_back_to_where_they_were(
            size in [1usize..900, 1usize..900],
            frame in [1usize..700, 1usize..700],
            corners in [0.0f32..1.0, 0.0f32..1.0, 0.0f32..1.0, 0.0f32..1.0],
        ) {
            let letterbox = Letterbox::new(size, frame);
            let [height, width] = size.map(|side| side as f32);
            let corners = [
                corners[0].min(corners[2]) * width,
                corners[1].min(corners[3]) * height,
                corners[0].max(corners[2]) * width,
                corners[1].max(corners[3]) * height,
            ];
            let placed = letterbox.place(BoxLabel::new(0, corners)).corners;
            let [height, width] = frame.map(|side| side as f32 + 1e-3);
            prop_assert!(placed[0] >= -1e-3 && placed[2] <= width, "{placed:?}");
            prop_assert!(placed[1] >= -1e-3 && placed[3] <= height, "{placed:?}");
            let back = letterbox.back(placed);
            for (a, b) in corners.iter().zip(back) {
                // Single precision in the frame, as far as it is enlarged on the way back.
                prop_assert!((a - b).abs() <= 1e-4 * 900.0, "{corners:?} {back:?}");
            }
        }
    }
}
