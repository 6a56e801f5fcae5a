//! Hue, saturation and value by chance.

use serde::{Deserialize, Serialize};

use crate::augment::check::within;
use crate::{DataError, Image, Stream};

/// Multiplies hue, saturation and value each by a factor of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HsvJitter {
    /// Factors of hue, saturation and value are uniform from 1 less this to 1 more; each 0 to 1.
    pub gains: [f64; 3],
}

impl Default for HsvJitter {
    /// 0.015, 0.7 and 0.4 (`hsv_h`, `hsv_s` and `hsv_v` of YOLOv5).
    fn default() -> Self {
        Self {
            gains: [0.015, 0.7, 0.4],
        }
    }
}

impl HsvJitter {
    /// Refuses gains outside their range.
    pub(in crate::augment) fn check(&self) -> Result<(), DataError> {
        let mut gains = self.gains.iter();
        gains.try_for_each(|&gain| within("hsv_jitter.gains", gain, 1.0))
    }

    /// The image in other colours. A grey one has no hue and no saturation to change.
    #[must_use]
    pub fn apply(&self, mut image: Image, stream: &mut Stream) -> Image {
        let factors = self
            .gains
            .map(|gain| stream.uniform(1.0 - gain, 1.0 + gain) as f32);
        if image.channels == 1 {
            for level in &mut image.pixels {
                *level = (f32::from(*level) * factors[2] + 0.5).min(255.0) as u8;
            }
            return image;
        }
        for pixel in image.pixels.chunks_exact_mut(3) {
            let changed = change([pixel[0], pixel[1], pixel[2]], factors);
            pixel.copy_from_slice(&changed);
        }
        image
    }
}

/// A colour with hue, saturation and value multiplied. Hue is counted from red in turns, and comes round.
fn change(rgb: [u8; 3], [hue_by, saturation_by, value_by]: [f32; 3]) -> [u8; 3] {
    let [red, green, blue] = rgb.map(f32::from);
    let value = red.max(green).max(blue);
    let chroma = value - red.min(green).min(blue);
    let new_value = (value * value_by).min(255.0);
    if chroma == 0.0 {
        return [(new_value + 0.5) as u8; 3];
    }
    // In sixths of a turn.
    let hue = if value == red {
        ((green - blue) / chroma).rem_euclid(6.0)
    } else if value == green {
        2.0 + (blue - red) / chroma
    } else {
        4.0 + (red - green) / chroma
    };
    let hue = (hue * hue_by).rem_euclid(6.0);
    let chroma = new_value * (chroma / value * saturation_by).min(1.0);
    // How far each primary is below the value, by its distance from the hue.
    [5.0, 3.0, 1.0].map(|offset| {
        let place = (offset + hue) % 6.0;
        let share = place.min(4.0 - place).clamp(0.0, 1.0);
        (new_value - chroma * share + 0.5) as u8
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Purpose;

    #[test]
    fn each_factor_changes_what_it_is_for() {
        assert_eq!(change([200, 100, 50], [1.0, 1.0, 0.5]), [100, 50, 25]);
        assert_eq!(change([200, 100, 50], [1.0, 0.0, 1.0]), [200, 200, 200]);
        assert_eq!(change([200, 100, 50], [1.0, 9.0, 1.0]), [200, 67, 0]);
        // From green, a third of a turn, to blue, two thirds.
        assert_eq!(change([0, 200, 0], [2.0, 1.0, 1.0]), [0, 0, 200]);
        assert_eq!(change([90, 90, 90], [2.0, 5.0, 9.0]), [255, 255, 255]);
        assert_eq!(change([0, 0, 0], [1.5, 1.5, 1.5]), [0, 0, 0]);
    }

    #[test]
    fn the_stream_decides_and_no_gain_changes_nothing() {
        let image = Image {
            width: 2,
            height: 1,
            channels: 3,
            pixels: vec![200, 100, 50, 3, 90, 181],
        };
        let stream = |number| Stream::new(1, Purpose::Augment, 0, number, 0);
        let none = HsvJitter { gains: [0.0; 3] };
        assert_eq!(none.apply(image.clone(), &mut stream(0)), image);
        let jittered = |number| HsvJitter::default().apply(image.clone(), &mut stream(number));
        assert_eq!(jittered(1), jittered(1));
        assert_ne!(jittered(1), jittered(2));
        let grey = HsvJitter::default().apply(Image::filled(2, 2, 1, 100), &mut stream(1));
        assert!(grey.pixels.iter().all(|level| (60..=140).contains(level)));
    }

    proptest! {
        #[test]
        fn factors_of_one_change_no_colour(rgb in any::<[u8; 3]>()) {
            prop_assert_eq!(change(rgb, [1.0; 3]), rgb);
        }
    }
}
