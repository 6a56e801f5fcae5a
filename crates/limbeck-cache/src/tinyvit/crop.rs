//! The part of an image that a stored view shows.

use super::SeedStream;

/// Tries before the middle is taken.
const TRIES: usize = 10;
/// Share of the image's area, from and to (torchvision's and timm's defaults).
const AREA: [f64; 2] = [0.08, 1.0];
/// Width over height, from and to (torchvision's and timm's defaults).
const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

/// A part of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// First row.
    pub top: u64,
    /// First column.
    pub left: u64,
    /// Rows.
    pub height: u64,
    /// Columns.
    pub width: u64,
}

/// Draws a part of an image with a random area and ratio of its sides, as `RandomResizedCrop`:
/// up to ten tries with two numbers each, two more for the place of the first that fits; else the
/// middle of the image, cut to the nearest ratio that is allowed.
///
/// Parts without any pixel, which the authors' code would take of images of a few pixels, are
/// tried again.
pub fn random_resized_crop(stream: &mut SeedStream, width: u64, height: u64) -> Crop {
    let area = width as f64 * height as f64;
    let [low, high] = RATIO.map(f64::ln);
    for _ in 0..TRIES {
        let area = area * stream.uniform(AREA[0], AREA[1]);
        let ratio = stream.uniform(low, high).exp();
        let w = (area * ratio).sqrt().round_ties_even() as u64;
        let h = (area / ratio).sqrt().round_ties_even() as u64;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = stream.randint(0, (height - h) as i64) as u64;
            let left = stream.randint(0, (width - w) as i64) as u64;
            return Crop {
                top,
                left,
                height: h,
                width: w,
            };
        }
    }
    let ratio = width as f64 / height as f64;
    let (w, h) = if ratio < RATIO[0] {
        (width, (width as f64 / RATIO[0]).round_ties_even() as u64)
    } else if ratio > RATIO[1] {
        ((height as f64 * RATIO[1]).round_ties_even() as u64, height)
    } else {
        (width, height)
    };
    let (w, h) = (w.min(width), h.min(height));
    Crop {
        top: (height - h) / 2,
        left: (width - w) / 2,
        height: h,
        width: w,
    }
}

/// Whether the part is mirrored: every other time.
pub fn random_flip(stream: &mut SeedStream) -> bool {
    stream.random() < 0.5
}
