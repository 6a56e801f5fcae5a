//! Mirroring left and right (torchvision's `RandomHorizontalFlip`).

use crate::Image;

/// The image mirrored left and right.
pub(crate) fn flip(mut image: Image) -> Image {
    for row in image.pixels.chunks_exact_mut(image.width * image.channels) {
        match image.channels {
            3 => row.as_chunks_mut::<3>().0.reverse(),
            _ => row.reverse(),
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            width: 2,
            height: 2,
            channels: 3,
            pixels: (0..12).collect(),
        }
    }

    #[test]
    fn flipping_swaps_columns_and_keeps_channels() {
        assert_eq!(flip(image()).pixels, [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]);
    }

    #[test]
    fn flipping_twice_changes_nothing() {
        assert_eq!(flip(flip(image())), image());
    }
}
