//! Rotation by quarter turns, for pictures that have no upper side: maps, tissue, textures.

use crate::{Image, Stream};

/// Turns a square image by 0, 1, 2 or 3 quarter turns, each with the same probability.
pub(super) fn random_quarter_turn(image: Image, stream: &mut Stream) -> Image {
    let turns = stream.below(4);
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
    use crate::Purpose;

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
        let turned = (0..4).fold(image(), |image, _| quarter_turn(&image));
        assert_eq!(turned, image());
    }

    #[test]
    fn every_turn_is_equally_likely() {
        let square = image().crop(0, 0, 2, 2);
        let mut counts = std::collections::BTreeMap::new();
        for sample in 0..2_000 {
            let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
            let turned = random_quarter_turn(square.clone(), &mut stream);
            *counts.entry(turned.pixels).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|count| (420..580).contains(count)));
    }
}
