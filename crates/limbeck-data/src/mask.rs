//! The class of each pixel of an image.

use crate::Image;
use crate::resize::nearest_window;
use crate::window::Window;

/// The id of pixels whose class is not known or does not count. Nothing is learnt from them, and
/// nothing is measured on them.
pub const VOID: u8 = 255;

/// Most classes that masks can tell apart.
pub const MAX_MASK_CLASSES: usize = VOID as usize;

/// The class of each pixel of an image, rows from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Pixels in a row, above 0.
    pub width: usize,
    /// Rows, above 0.
    pub height: usize,
    /// `height · width` positions in the source's classes, or [`VOID`].
    pub ids: Vec<u8>,
}

impl Mask {
    /// A mask of one id.
    #[must_use]
    pub fn filled(width: usize, height: usize, id: u8) -> Self {
        Self {
            width,
            height,
            ids: vec![id; width * height],
        }
    }

    /// The id of the pixel in column `x`, row `y`.
    #[must_use]
    pub fn id(&self, x: usize, y: usize) -> u8 {
        self.ids[y * self.width + x]
    }

    /// The mask at `height` by `width` pixels, both above 0: of each pixel the id at its centre.
    #[must_use]
    pub fn resized(&self, height: usize, width: usize) -> Self {
        nearest_window(
            self,
            &Window::whole([self.height, self.width], [height, width]),
        )
    }

    /// The ids as the values of an image of one channel: what moves pixels moves both.
    pub(crate) fn into_image(self) -> Image {
        Image {
            width: self.width,
            height: self.height,
            channels: 1,
            pixels: self.ids,
        }
    }

    /// The values of an image of one channel as ids.
    pub(crate) fn from_image(image: Image) -> Self {
        Self {
            width: image.width,
            height: image.height,
            ids: image.pixels,
        }
    }
}
