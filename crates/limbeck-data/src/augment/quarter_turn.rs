//! Rotation by quarter turns, for pictures that have no upper side: maps, tissue, textures.

use crate::Image;

/// The image turned by so many quarter turns against the clock.
pub(super) fn quarter_turns(image: Image, turns: usize) -> Image {
    (0..turns).fold(image, |image, _| quarter_turn(&image))
}

/// The image turned by 90 degrees against the clock; width and height change places.
fn quarter_turn(image: &Image) -> Image {
    let mut turned = Image::filled(image.height, image.width, image.channels, 0);
    for y in 0..image.height {
        for x in 0..image.width {
            turned
                .pixel_mut(y, image.width - 1 - x)
                .copy_from_slice(image.pixel(x, y));
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            width: 3,
            height: 2,
            channels: 1,
            pixels: vec![1, 2, 3, 4, 5, 6],
        }
    }

    #[test]
    fn a_quarter_turn_moves_the_right_column_to_the_top() {
        let turned = quarter_turn(&image());
        assert_eq!((turned.width, turned.height), (2, 3));
        assert_eq!(turned.pixels, [3, 6, 2, 5, 1, 4]);
    }

    #[test]
    fn four_quarter_turns_change_nothing() {
        assert_eq!(quarter_turns(image(), 0), image());
        assert_eq!(quarter_turns(image(), 4), image());
    }
}
