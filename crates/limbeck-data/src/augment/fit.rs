//! Bringing an image to the wanted size without chance.

use serde::{Deserialize, Serialize};

use crate::window::{Area, Window};

/// How an image of another shape is brought to the wanted size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Scale until the image covers the wanted size, keep the middle: torchvision's `Resize`
    /// followed by `CenterCrop`.
    #[default]
    Cover,
    /// Scale height and width apart from each other, keep everything.
    Stretch,
}

/// What of an image of `size` is shown at `wanted`, both height and width. Under [`Fit::Cover`],
/// `share` is the side of the part that is kept, in sides of the scaled image: 0.875 is the usual
/// `Resize(256)` with `CenterCrop(224)`.
pub(super) fn fit(size: [usize; 2], wanted: [usize; 2], fit: Fit, share: f64) -> Window {
    if size == wanted && share == 1.0 {
        return Window::whole(size, size);
    }
    match fit {
        Fit::Stretch => Window::whole(size, wanted),
        Fit::Cover => {
            // The part of the image that is kept, in its own pixels. Cropping before scaling saves
            // scaling what is thrown away; the crop is rounded to whole pixels.
            let scale = (size[0] as f64 / wanted[0] as f64).min(size[1] as f64 / wanted[1] as f64);
            let side = |axis: usize| {
                ((wanted[axis] as f64 * scale * share).round() as usize).clamp(1, size[axis])
            };
            let (height, width) = (side(0), side(1));
            let area = Area {
                left: (size[1] - width) / 2,
                top: (size[0] - height) / 2,
                width,
                height,
            };
            Window::part(area, wanted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;
    use crate::resize::resize_window;

    fn fitted(image: Image, height: usize, width: usize, by: Fit, share: f64) -> Image {
        let window = fit([image.height, image.width], [height, width], by, share);
        resize_window(&image, &window)
    }

    fn columns() -> Image {
        Image {
            width: 6,
            height: 2,
            channels: 1,
            pixels: [10, 20, 30, 40, 50, 60].repeat(2),
        }
    }

    #[test]
    fn an_image_of_the_wanted_size_is_kept() {
        assert_eq!(fitted(columns(), 2, 6, Fit::Cover, 1.0), columns());
    }

    #[test]
    fn cover_keeps_the_middle_and_the_aspect() {
        assert_eq!(
            fitted(columns(), 2, 2, Fit::Cover, 1.0).pixels,
            [30, 40, 30, 40]
        );
    }

    #[test]
    fn stretch_keeps_everything() {
        let image = fitted(columns(), 2, 3, Fit::Stretch, 1.0);
        assert_eq!((image.height, image.width), (2, 3));
        assert!(image.pixels[0] < 20 && image.pixels[2] > 50);
    }

    #[test]
    fn a_share_below_one_keeps_less_of_the_border() {
        let image = Image {
            width: 4,
            height: 4,
            channels: 1,
            pixels: vec![9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9],
        };
        assert_eq!(fitted(image, 2, 2, Fit::Cover, 0.5).pixels, [1, 2, 3, 4]);
    }
}
