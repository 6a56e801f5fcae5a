//! Bilinear resizing with antialiasing, the way that Pillow and torchvision do it.
//!
//! Each output pixel is a weighted mean of input pixels under a triangle that reaches one output
//! pixel (but at least one input pixel) to either side, along rows first, then along columns,
//! rounded to 8 bits in between. Sums are of whole numbers, so that vectors of any length, which depend
//! on the processor, give the same pixels.

mod pass;
mod taps;

use self::pass::{horizontal, vertical};
use self::taps::Taps;
use crate::window::{Area, Window};
use crate::{Image, Mask};

/// The image at `height` by `width` pixels, both above 0.
#[must_use]
pub fn resize(image: &Image, height: usize, width: usize) -> Image {
    resize_window(
        image,
        &Window::whole([image.height, image.width], [height, width]),
    )
}

/// What a window shows of the image. Nothing else is scaled, and the pixels are those that scaling
/// all and cropping after it would give.
pub(crate) fn resize_window(image: &Image, window: &Window) -> Image {
    let Window { area, scaled, kept } = *window;
    let (columns, rows) = (
        Taps::new(area.width, scaled[1], kept.left, kept.width),
        Taps::new(area.height, scaled[0], kept.top, kept.height),
    );
    // Rows that the second step reads.
    let first = rows.first.first().map_or(0, |&first| first);
    let end = rows.first.last().map_or(0, |&first| first + rows.each);
    let read = Area {
        left: area.left,
        top: area.top + first,
        width: area.width,
        height: end - first,
    };
    let reduced = if area.width == scaled[1] {
        image.crop(read.left + kept.left, read.top, kept.width, read.height)
    } else {
        horizontal(image, &columns, read)
    };
    if area.height == scaled[0] {
        return reduced;
    }
    vertical(&reduced, &rows, first)
}

/// What a window shows of the mask: of each pixel the id at its centre, the same place that the
/// image's pixel has.
pub(crate) fn nearest_window(mask: &Mask, window: &Window) -> Mask {
    let Window { area, scaled, kept } = *window;
    let columns: Vec<usize> = (kept.left..kept.left + kept.width)
        .map(|column| area.left + nearest(column, area.width, scaled[1]))
        .collect();
    let mut ids = Vec::with_capacity(kept.width * kept.height);
    for row in kept.top..kept.top + kept.height {
        let from = area.top + nearest(row, area.height, scaled[0]);
        let from = &mask.ids[from * mask.width..(from + 1) * mask.width];
        ids.extend(columns.iter().map(|&column| from[column]));
    }
    Mask {
        width: kept.width,
        height: kept.height,
        ids,
    }
}

/// The input that the centre of an output lies in: `⌊(output + 0.5) · inputs / outputs⌋`.
fn nearest(output: usize, inputs: usize, outputs: usize) -> usize {
    (2 * output + 1) * inputs / (2 * outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Area;

    fn row(pixels: &[u8]) -> Image {
        Image {
            width: pixels.len(),
            height: 1,
            channels: 1,
            pixels: pixels.to_vec(),
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let image = row(&[1, 2, 3]);
        assert_eq!(resize(&image, 1, 3), image);
    }

    #[test]
    fn halving_weighs_four_neighbours_by_hand() {
        // Output 0 has its centre at 1.0 and reaches 2 to either side: inputs at 0.5, 1.5 and 2.5
        // weigh 0.75, 0.75 and 0.25, which sum to 1.75; (0.75·0 + 0.75·70 + 0.25·140) / 1.75 = 50.
        // Output 1, mirrored, has (0.25·70 + 0.75·140 + 0.75·210) / 1.75 = 160.
        assert_eq!(resize(&row(&[0, 70, 140, 210]), 1, 2).pixels, [50, 160]);
    }

    #[test]
    fn doubling_interpolates_by_hand() {
        // Output centres lie at 0.25, 0.75, 1.25 and 1.75 between input centres 0.5 and 1.5.
        assert_eq!(resize(&row(&[0, 100]), 1, 4).pixels, [0, 25, 75, 100]);
    }

    #[test]
    fn rows_and_columns_are_treated_alike() {
        let column = Image {
            width: 1,
            height: 4,
            channels: 1,
            pixels: vec![0, 70, 140, 210],
        };
        assert_eq!(resize(&column, 2, 1).pixels, [50, 160]);
    }

    #[test]
    fn one_colour_stays_one_colour_at_any_size() {
        let image = Image {
            width: 13,
            height: 7,
            channels: 3,
            pixels: [200, 7, 255].repeat(13 * 7),
        };
        for (height, width) in [(1, 1), (3, 50), (31, 4), (14, 26)] {
            let resized = resize(&image, height, width);
            assert_eq!(resized.pixels, [200, 7, 255].repeat(height * width));
        }
    }

    #[test]
    fn a_window_shows_what_cropping_after_scaling_does() {
        let image = Image {
            width: 37,
            height: 23,
            channels: 3,
            pixels: (0..37 * 23 * 3).map(|v| (v * 71 % 253) as u8).collect(),
        };
        let area = Area {
            left: 3,
            top: 2,
            width: 30,
            height: 19,
        };
        for scaled in [[41, 77], [11, 13], [19, 44], [8, 30], [19, 30]] {
            let part = image.crop(area.left, area.top, area.width, area.height);
            let all = resize(&part, scaled[0], scaled[1]);
            let kept = Area {
                left: 4,
                top: 3,
                width: scaled[1] - 6,
                height: scaled[0] - 5,
            };
            let window = Window { area, scaled, kept };
            let cropped = all.crop(kept.left, kept.top, kept.width, kept.height);
            assert_eq!(resize_window(&image, &window), cropped, "{scaled:?}");
        }
    }

    #[test]
    fn ids_are_those_at_the_centres() {
        let mask = Mask {
            width: 4,
            height: 1,
            ids: vec![7, 3, 255, 0],
        };
        let scaled = |width| nearest_window(&mask, &Window::whole([1, 4], [1, width])).ids;
        assert_eq!(scaled(8), [7, 7, 3, 3, 255, 255, 0, 0]);
        // Centres at 2/3, 2 and 10/3.
        assert_eq!(scaled(3), [7, 255, 0]);
        assert_eq!(scaled(2), [3, 0]);
        assert_eq!(scaled(1), [255]);
    }
}
