//! What the header of an image file says: its size, and how the camera was held.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader};

use super::orientation::exchanges_sides;

/// Size and orientation of an image file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Header {
    /// Width and height of the pixels as they are stored.
    pub stored: [usize; 2],
    /// How they are to be turned.
    pub orientation: Orientation,
}

impl Header {
    /// Reads the header of an image file; `None` if that cannot be done.
    pub fn read(path: &Path) -> Option<Self> {
        let read = || {
            let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
            let mut decoder = reader.into_decoder().ok()?;
            let (width, height) = decoder.dimensions();
            Some(Self {
                stored: [width as usize, height as usize],
                orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
            })
        };
        // Opening a pipe would wait for somebody to write into it.
        let regular = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
        let header = catch_unwind(AssertUnwindSafe(|| regular.then(read)?)).ok()??;
        (header.stored[0] > 0 && header.stored[1] > 0).then_some(header)
    }

    /// Width and height of the image as it is shown.
    pub fn upright(&self) -> [usize; 2] {
        let [width, height] = self.stored;
        match exchanges_sides(self.orientation) {
            true => [height, width],
            false => [width, height],
        }
    }

    /// A box `[left, top, right, bottom]` around stored pixels as it lies in the upright image. The
    /// order of its corners stays as it is.
    pub fn turned(&self, [left, top, right, bottom]: [f64; 4]) -> [f64; 4] {
        let [width, height] = self.stored.map(|side| side as f64);
        match self.orientation {
            Orientation::NoTransforms => [left, top, right, bottom],
            Orientation::Rotate90 => [height - bottom, left, height - top, right],
            Orientation::Rotate180 => [width - right, height - bottom, width - left, height - top],
            Orientation::Rotate270 => [top, width - right, bottom, width - left],
            Orientation::FlipHorizontal => [width - right, top, width - left, bottom],
            Orientation::FlipVertical => [left, height - bottom, right, height - top],
            Orientation::Rotate90FlipH => [top, left, bottom, right],
            Orientation::Rotate270FlipH => {
                [height - bottom, width - right, height - top, width - left]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayImage, Luma};

    use super::*;

    #[test]
    fn boxes_turn_as_pixels_do() {
        // A box of 2x1 pixels at column 1, row 0 of 5x3.
        let marked =
            GrayImage::from_fn(5, 3, |x, y| Luma([u8::from((1..3).contains(&x) && y == 0)]));
        for orientation in [
            Orientation::NoTransforms,
            Orientation::Rotate90,
            Orientation::Rotate180,
            Orientation::Rotate270,
            Orientation::FlipHorizontal,
            Orientation::FlipVertical,
            Orientation::Rotate90FlipH,
            Orientation::Rotate270FlipH,
        ] {
            let header = Header {
                stored: [5, 3],
                orientation,
            };
            let mut turned = DynamicImage::ImageLuma8(marked.clone());
            turned.apply_orientation(orientation);
            assert_eq!(
                header.upright(),
                [turned.width() as usize, turned.height() as usize]
            );
            let [left, top, right, bottom] = header.turned([1.0, 0.0, 3.0, 1.0]);
            for (x, y, pixel) in turned.into_luma8().enumerate_pixels() {
                let (x, y) = (f64::from(x), f64::from(y));
                let inside = x >= left && x < right && y >= top && y < bottom;
                assert_eq!(pixel.0[0] == 1, inside, "{orientation:?} {x} {y}");
            }
        }
    }

    #[test]
    fn what_has_no_header_of_an_image_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        assert_eq!(Header::read(&path), None);
        std::fs::write(&path, "text").unwrap();
        assert_eq!(Header::read(&path), None);
        GrayImage::new(4, 7).save(&path).unwrap();
        assert_eq!(Header::read(&path).unwrap().upright(), [4, 7]);
    }
}
