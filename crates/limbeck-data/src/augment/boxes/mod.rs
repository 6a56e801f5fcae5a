//! What is done to an image together with the boxes on it: pure functions of both and, where chance
//! decides, of a [`Stream`](crate::Stream). What is done and how much of it is that of YOLOv5 (Ultralytics,
//! `hyp.scratch-low.yaml`).

mod affine;
mod flip;
mod hsv;
mod letterbox;
mod mosaic;
mod view;

pub use affine::BoxAffine;
pub use flip::flip_with_boxes;
pub use hsv::HsvJitter;
pub use letterbox::Letterbox;
pub use mosaic::mosaic;

use crate::{BoxLabel, Image};

/// Grey around images, as YOLOv5 has it.
pub const BOX_PADDING: u8 = 114;

/// An image and the boxes on it.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxSample {
    /// The image.
    pub image: Image,
    /// Boxes in its pixels.
    pub boxes: Vec<BoxLabel>,
}

/// Puts an image over another, its upper left corner at a column and a row of it; what lies outside is
/// cut off.
fn paste(onto: &mut Image, image: &Image, [left, top]: [isize; 2]) {
    let channels = onto.channels;
    // First column or row of the image that is seen, and how many are.
    let seen = |at: isize, size: usize, room: usize| {
        let first = at.min(0).unsigned_abs().min(size);
        let start = at.max(0).unsigned_abs().min(room);
        (first, start, (size - first).min(room - start))
    };
    let (from_x, to_x, width) = seen(left, image.width, onto.width);
    let (from_y, to_y, height) = seen(top, image.height, onto.height);
    for row in 0..height {
        let from = ((from_y + row) * image.width + from_x) * channels;
        let to = ((to_y + row) * onto.width + to_x) * channels;
        let pixels = &image.pixels[from..from + width * channels];
        onto.pixels[to..to + width * channels].copy_from_slice(pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_cut_off() {
        let image = Image {
            width: 2,
            height: 2,
            channels: 1,
            pixels: vec![1, 2, 3, 4],
        };
        let pasted = |at| {
            let mut onto = Image::filled(3, 2, 1, 0);
            paste(&mut onto, &image, at);
            onto.pixels
        };
        assert_eq!(pasted([1, 0]), [0, 1, 2, 0, 3, 4]);
        assert_eq!(pasted([-1, -1]), [4, 0, 0, 0, 0, 0]);
        assert_eq!(pasted([2, 1]), [0, 0, 0, 0, 0, 1]);
        for outside in [[3, 0], [-2, 0], [0, 9], [-9, -9]] {
            assert_eq!(pasted(outside), [0; 6]);
        }
    }
}
