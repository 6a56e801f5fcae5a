//! Scaling and moving by chance.

use serde::{Deserialize, Serialize};

use super::{BOX_PADDING, BoxSample};
use crate::augment::check::within;
use crate::{BoxLabel, DataError, Image, Stream};

/// What is left of a box after it has been cut off must be more than this many pixels wide and high,
/// more than this share of what it was, and less than this many times as long as wide (YOLOv5's
/// `box_candidates`).
const MIN_SIDE: f32 = 2.0;
const MIN_SHARE: f32 = 0.1;
const MAX_ASPECT: f32 = 20.0;

/// Greatest change of scale: an image keeps at least a twentieth of its sides.
const LARGEST_CHANGE: f64 = 0.95;

/// Scales an image around its middle, and moves it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoxAffine {
    /// The factor is uniform from 1 less this to 1 more; at least 0 and below 1.
    pub scale: f64,
    /// How far the middle moves at the most, in sides of the result; at least 0.
    pub translate: f64,
}

impl Default for BoxAffine {
    /// A factor of 0.5 to 1.5, and a tenth of the side (`scale` and `translate` of YOLOv5).
    fn default() -> Self {
        Self {
            scale: 0.5,
            translate: 0.1,
        }
    }
}

impl BoxAffine {
    /// Refuses settings outside their range.
    pub(in crate::augment) fn check(&self) -> Result<(), DataError> {
        within("random_affine.scale", self.scale, LARGEST_CHANGE)?;
        within("random_affine.translate", self.translate, 1.0)
    }

    /// An image of `size` (height and width) whose middle shows that of the sample, scaled and moved as
    /// the stream says. Boxes of which too little is left are dropped.
    #[must_use]
    pub fn apply(&self, sample: &BoxSample, size: [usize; 2], stream: &mut Stream) -> BoxSample {
        let factor = stream.uniform(1.0 - self.scale, 1.0 + self.scale);
        let mut middle =
            |side: usize| side as f64 * stream.uniform(0.5 - self.translate, 0.5 + self.translate);
        let (x, y) = (middle(size[1]), middle(size[0]));
        let (width, height) = (sample.image.width as f64, sample.image.height as f64);
        let shift = [x - factor * width / 2.0, y - factor * height / 2.0];
        let inside = [size[1] as f32, size[0] as f32];
        let boxes = sample.boxes.iter().filter_map(|label| {
            let moved = label.moved([factor as f32; 2], shift.map(|shift| shift as f32));
            let clipped = moved.clipped(inside)?;
            is_worth_it(&moved, &clipped).then_some(clipped)
        });
        BoxSample {
            boxes: boxes.collect(),
            image: scaled_and_moved(&sample.image, size, factor, shift),
        }
    }
}

/// Whether enough is left of a box to see what it is around.
fn is_worth_it(whole: &BoxLabel, left: &BoxLabel) -> bool {
    let [width, height] = left.size();
    let [whole_width, whole_height] = whole.size();
    let aspect = (width / height).max(height / width);
    width > MIN_SIDE
        && height > MIN_SIDE
        && width * height > MIN_SHARE * whole_width * whole_height
        && aspect < MAX_ASPECT
}

/// The two places that an output lies between, `None` outside of the image, and the share of the second.
type Between = ([Option<usize>; 2], f32);

/// Along one axis: place `x` of the image is `factor · x + shift` in the result.
fn between(input: usize, output: usize, factor: f64, shift: f64) -> Vec<Between> {
    let inside = |at: f64| (at >= 0.0 && at < input as f64).then_some(at as usize);
    (0..output)
        .map(|at| {
            // Of pixel centres.
            let from = (at as f64 + 0.5 - shift) / factor - 0.5;
            let first = from.floor();
            ([inside(first), inside(first + 1.0)], (from - first) as f32)
        })
        .collect()
}

/// Bilinear, without smoothing before it, as the authors' warping; grey outside.
fn scaled_and_moved(
    image: &Image,
    [height, width]: [usize; 2],
    factor: f64,
    shift: [f64; 2],
) -> Image {
    let columns = between(image.width, width, factor, shift[0]);
    let rows = between(image.height, height, factor, shift[1]);
    let channels = image.channels;
    let mut pixels = Vec::with_capacity(height * width * channels);
    let grey = f32::from(BOX_PADDING);
    for (rows, down) in &rows {
        for (columns, across) in &columns {
            for channel in 0..channels {
                let level = |row: Option<usize>, column: Option<usize>| match (row, column) {
                    (Some(row), Some(column)) => {
                        f32::from(image.pixels[(row * image.width + column) * channels + channel])
                    }
                    _ => grey,
                };
                let [above, below] = rows.map(|row| {
                    let [left, right] = columns.map(|column| level(row, column));
                    left + across * (right - left)
                });
                pixels.push((above + down * (below - above) + 0.5) as u8);
            }
        }
    }
    Image {
        width,
        height,
        channels,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn stream(sample: u64) -> Stream {
        Stream::new(1, Purpose::Augment, 0, sample, 0)
    }

    /// A white square of grey ground, with its box.
    fn sample() -> BoxSample {
        let mut image = Image::filled(60, 40, 3, 20);
        for y in 10..26 {
            (20..40).for_each(|x| image.pixel_mut(x, y).fill(250));
        }
        BoxSample {
            image,
            boxes: vec![BoxLabel::new(3, [20.0, 10.0, 40.0, 26.0])],
        }
    }

    #[test]
    fn nothing_moves_without_strength() {
        let none = BoxAffine {
            scale: 0.0,
            translate: 0.0,
        };
        assert_eq!(none.apply(&sample(), [40, 60], &mut stream(0)), sample());
    }

    #[test]
    fn boxes_stay_around_what_they_are_around() {
        let mut kept = 0;
        for number in 0..50 {
            let moved = BoxAffine::default().apply(&sample(), [48, 64], &mut stream(number));
            assert_eq!((moved.image.width, moved.image.height), (64, 48));
            for label in moved.boxes {
                kept += 1;
                let [left, top, right, bottom] = label.corners;
                for y in 0..48 {
                    for x in 0..64 {
                        let white = moved.image.pixel(x, y)[0] > 200;
                        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
                        let inside = |by: f32| {
                            x > left + by && x < right - by && y > top + by && y < bottom - by
                        };
                        assert!(
                            !white || inside(-1.0),
                            "{number}: {x} {y} {:?}",
                            label.corners
                        );
                        assert!(
                            white || !inside(1.0),
                            "{number}: {x} {y} {:?}",
                            label.corners
                        );
                    }
                }
            }
        }
        assert!(kept > 40, "{kept}");
    }

    #[test]
    fn boxes_of_which_too_little_is_left_are_dropped() {
        let whole = BoxLabel::new(0, [0.0, 0.0, 50.0, 50.0]);
        let left = |corners| is_worth_it(&whole, &BoxLabel::new(0, corners));
        assert!(left([0.0, 0.0, 50.0, 6.0]));
        assert!(!left([0.0, 0.0, 50.0, 5.0]));
        assert!(!left([0.0, 0.0, 50.0, 1.9]));
        let long = BoxLabel::new(0, [0.0, 0.0, 100.0, 3.0]);
        assert!(!is_worth_it(&long, &long));
    }

    #[test]
    fn the_same_stream_gives_the_same_image() {
        let moved = |number| BoxAffine::default().apply(&sample(), [48, 64], &mut stream(number));
        assert_eq!(moved(4), moved(4));
        assert_ne!(moved(4), moved(5));
    }
}
