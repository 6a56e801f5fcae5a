//! A decoded image.

/// A decoded image: 8 bits a channel, rows from top to bottom, channels interleaved (HWC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row, above 0.
    pub width: usize,
    /// Rows, above 0.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height · width · channels` bytes.
    pub pixels: Vec<u8>,
}

impl Image {
    /// An image of one value.
    #[must_use]
    pub fn filled(width: usize, height: usize, channels: usize, value: u8) -> Self {
        Self {
            width,
            height,
            channels,
            pixels: vec![value; width * height * channels],
        }
    }

    /// The channels of the pixel in column `x`, row `y`.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        let start = (y * self.width + x) * self.channels;
        &self.pixels[start..start + self.channels]
    }

    /// The same, to write.
    pub fn pixel_mut(&mut self, x: usize, y: usize) -> &mut [u8] {
        let start = (y * self.width + x) * self.channels;
        &mut self.pixels[start..start + self.channels]
    }

    /// The image with 1 or 3 channels. Grey becomes three equal channels; colour becomes luma.
    #[must_use]
    pub fn with_channels(self, channels: usize) -> Self {
        if self.channels == channels {
            return self;
        }
        let pixels = if channels == 3 {
            self.pixels.iter().flat_map(|&grey| [grey; 3]).collect()
        } else {
            self.pixels
                .chunks_exact(3)
                .map(|rgb| luma(rgb[0], rgb[1], rgb[2]))
                .collect()
        };
        Self {
            channels,
            pixels,
            ..self
        }
    }

    /// The rectangle of `width` by `height` pixels whose upper left corner is at (`left`, `top`),
    /// which must lie inside the image.
    #[must_use]
    pub fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let mut pixels = Vec::with_capacity(width * height * self.channels);
        for y in top..top + height {
            let start = (y * self.width + left) * self.channels;
            pixels.extend_from_slice(&self.pixels[start..start + width * self.channels]);
        }
        Self {
            width,
            height,
            channels: self.channels,
            pixels,
        }
    }
}

/// Luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point, rounded; the same
/// weights as Pillow's mode `L`, which PyTorch users get.
#[must_use]
pub fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_becomes_three_equal_channels_and_back() {
        let grey = Image {
            width: 2,
            height: 1,
            channels: 1,
            pixels: vec![3, 250],
        };
        let colour = grey.clone().with_channels(3);
        assert_eq!(colour.pixels, [3, 3, 3, 250, 250, 250]);
        assert_eq!(colour.with_channels(1), grey);
    }

    #[test]
    fn luma_weighs_the_primaries_by_the_standard() {
        assert_eq!(luma(255, 0, 0), 76);
        assert_eq!(luma(0, 255, 0), 150);
        assert_eq!(luma(0, 0, 255), 29);
        assert_eq!(luma(255, 255, 255), 255);
    }

    #[test]
    fn a_crop_is_the_rectangle_asked_for() {
        let image = Image {
            width: 3,
            height: 2,
            channels: 1,
            pixels: vec![0, 1, 2, 3, 4, 5],
        };
        assert_eq!(image.crop(1, 0, 2, 2).pixels, [1, 2, 4, 5]);
        assert_eq!(image.pixel(2, 1), [5]);
    }
}
