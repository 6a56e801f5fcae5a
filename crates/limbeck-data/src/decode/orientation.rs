//! How a camera was held, which image files of cameras say beside their pixels.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

use crate::Image;

/// What a file says of its orientation; that of its pixels where it says nothing.
fn orientation(path: &Path) -> Orientation {
    let read = || {
        let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
        reader.into_decoder().ok()?.orientation().ok()
    };
    let orientation = catch_unwind(AssertUnwindSafe(read)).ok().flatten();
    orientation.unwrap_or(Orientation::NoTransforms)
}

pub(super) fn exchanges_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Whether the sides of an image change places when it is turned as its file says.
pub(crate) fn is_turned(path: &Path) -> bool {
    exchanges_sides(orientation(path))
}

/// Whether a file says that its image is not to be shown as it is stored.
pub(crate) fn is_marked(path: &Path) -> bool {
    orientation(path) != Orientation::NoTransforms
}

/// A colour image turned as its file says, unless its mask, of `mask` width and height, lies over it
/// as it is stored. Programs in which masks are drawn show images upright, while a mask that a
/// program has made may lie either way.
pub(crate) fn upright(
    image: Image,
    path: &Path,
    mask: impl FnOnce() -> Option<[usize; 2]>,
) -> Image {
    let orientation = orientation(path);
    if orientation == Orientation::NoTransforms || image.channels != 3 {
        return image;
    }
    let turned = match exchanges_sides(orientation) {
        true => [image.height, image.width],
        false => [image.width, image.height],
    };
    if mask().is_some_and(|size| size != turned) {
        return image;
    }
    let (width, height) = (image.width as u32, image.height as u32);
    match RgbImage::from_raw(width, height, image.pixels) {
        Some(pixels) => {
            let mut turned = DynamicImage::ImageRgb8(pixels);
            turned.apply_orientation(orientation);
            Image {
                width: turned.width() as usize,
                height: turned.height() as usize,
                channels: 3,
                pixels: turned.into_rgb8().into_raw(),
            }
        }
        // Cannot be: an image has as many bytes as its size says.
        None => Image::filled(turned[0], turned[1], 3, 0),
    }
}
