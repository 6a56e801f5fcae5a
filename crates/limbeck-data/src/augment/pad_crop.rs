//! Padding all around and cropping back to the size at a random place.

use serde::{Deserialize, Serialize};

use crate::{Image, Stream};

/// What lies beyond the border of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Black.
    #[default]
    Zero,
    /// The nearest pixel of the border.
    Edge,
    /// The image mirrored at its border, the border itself not repeated.
    Reflect,
}

/// Random crop after padding, as torchvision's `RandomCrop(size, padding)`: the usual
/// augmentation of CIFAR, with 4 pixels of black (He et al., "Deep residual learning for image
/// recognition" (2016), section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PadCrop {
    /// Padding on each side, in pixels.
    pub pixels: usize,
    /// What the padding shows.
    pub padding: Padding,
}

impl Default for PadCrop {
    /// 4 pixels of black.
    fn default() -> Self {
        Self {
            pixels: 4,
            padding: Padding::Zero,
        }
    }
}

/// A place to crop at after padding by `pixels` on each side, as the shift of the content: each of the
/// `(2 · pixels + 1)²` is equally likely.
pub(super) fn draw_shift(pixels: usize, stream: &mut Stream) -> [isize; 2] {
    let places = 2 * pixels + 1;
    let (left, top) = (stream.below(places), stream.below(places));
    [left, top].map(|place| place as isize - pixels as isize)
}

/// What a window of the image's size shows whose corner lies at (`left`, `top`); `fill` is one pixel
/// of what lies beyond the border under [`Padding::Zero`].
pub(super) fn shifted(
    image: &Image,
    [left, top]: [isize; 2],
    padding: Padding,
    fill: &[u8],
) -> Image {
    let mut out = image.clone();
    for y in 0..image.height {
        let from_y = inside(y as isize + top, image.height, padding);
        for x in 0..image.width {
            let from_x = inside(x as isize + left, image.width, padding);
            let value = match (from_x, from_y) {
                (Some(x), Some(y)) => image.pixel(x, y),
                _ => fill,
            };
            out.pixel_mut(x, y).copy_from_slice(value);
        }
    }
    out
}

/// Where the content for a coordinate comes from; `None` is beyond.
fn inside(at: isize, len: usize, padding: Padding) -> Option<usize> {
    let last = len as isize - 1;
    match padding {
        Padding::Zero => (0..=last).contains(&at).then_some(at as usize),
        Padding::Edge => Some(at.clamp(0, last) as usize),
        Padding::Reflect if last == 0 => Some(0),
        Padding::Reflect => {
            let place = at.rem_euclid(2 * last);
            Some(place.min(2 * last - place) as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn row() -> Image {
        Image {
            width: 4,
            height: 1,
            channels: 1,
            pixels: vec![1, 2, 3, 4],
        }
    }

    #[test]
    fn each_padding_shows_what_it_says_beyond_the_border() {
        let left = |padding| shifted(&row(), [-2, 0], padding, &[0]).pixels;
        assert_eq!(left(Padding::Zero), [0, 0, 1, 2]);
        assert_eq!(left(Padding::Edge), [1, 1, 1, 2]);
        assert_eq!(left(Padding::Reflect), [3, 2, 1, 2]);
        let right = |padding| shifted(&row(), [3, 0], padding, &[9]).pixels;
        assert_eq!(right(Padding::Zero), [4, 9, 9, 9]);
        assert_eq!(right(Padding::Edge), [4, 4, 4, 4]);
        assert_eq!(right(Padding::Reflect), [4, 3, 2, 1]);
    }

    #[test]
    fn every_place_is_reached_and_none_beyond_the_padding() {
        let image = Image {
            width: 3,
            height: 3,
            channels: 1,
            pixels: (1..=9).collect(),
        };
        let mut seen = std::collections::BTreeSet::new();
        for sample in 0..300 {
            let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
            let crop = shifted(&image, draw_shift(1, &mut stream), Padding::Zero, &[0]);
            // The middle of the crop is a pixel of the image for every shift of up to one.
            seen.insert(crop.pixel(1, 1)[0]);
        }
        assert_eq!(seen, (1..=9).collect());
    }

    #[test]
    fn no_padding_changes_nothing() {
        let mut stream = Stream::new(0, Purpose::Augment, 0, 0, 0);
        assert_eq!(draw_shift(0, &mut stream), [0, 0]);
        assert_eq!(shifted(&row(), [0, 0], Padding::Reflect, &[0]), row());
    }
}
