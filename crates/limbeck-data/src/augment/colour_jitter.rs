//! Random light, contrast and colour, as torchvision's `ColorJitter`.

use serde::{Deserialize, Serialize};

use super::check::within;
use super::colour::{brightness, contrast, hue, saturation};
use crate::{DataError, Image, Stream};

/// Random light, contrast and colour. The first three are the greatest distance of a factor from
/// 1, so 0 switches a change off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColourJitter {
    /// Of the factor of all values.
    pub brightness: f64,
    /// Of the factor of distances from the mean luma.
    pub contrast: f64,
    /// Of the factor of distances from a pixel's luma.
    pub saturation: f64,
    /// Greatest turn of the hue, in full turns, at most 0.5.
    pub hue: f64,
}

impl Default for ColourJitter {
    /// 0.4 for all but the hue, which stays: timm's default.
    fn default() -> Self {
        Self {
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.0,
        }
    }
}

impl ColourJitter {
    pub(super) fn check(&self) -> Result<(), DataError> {
        within("colour_jitter.brightness", self.brightness, f64::MAX)?;
        within("colour_jitter.contrast", self.contrast, f64::MAX)?;
        within("colour_jitter.saturation", self.saturation, f64::MAX)?;
        within("colour_jitter.hue", self.hue, 0.5)
    }
}

/// Makes the four changes in a random order, each factor uniform between `max(0, 1 - strength)`
/// and `1 + strength`.
pub(super) fn colour_jitter(image: &mut Image, settings: &ColourJitter, stream: &mut Stream) {
    let mut order = [0, 1, 2, 3];
    stream.shuffle(&mut order);
    // Drawn in a fixed order, so that switching one change off leaves the others as they are.
    let strengths = [settings.brightness, settings.contrast, settings.saturation];
    let factors =
        strengths.map(|strength| stream.uniform((1.0 - strength).max(0.0), 1.0 + strength));
    let turn = stream.uniform(-settings.hue, settings.hue);
    for change in order {
        match change {
            0 => brightness(image, factors[0]),
            1 => contrast(image, factors[1]),
            2 => saturation(image, factors[2]),
            _ => hue(image, turn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn image() -> Image {
        Image {
            width: 2,
            height: 1,
            channels: 3,
            pixels: vec![100, 120, 140, 160, 90, 30],
        }
    }

    fn jittered(settings: &ColourJitter, sample: u64) -> Image {
        let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
        let mut image = image();
        colour_jitter(&mut image, settings, &mut stream);
        image
    }

    #[test]
    fn no_strength_changes_nothing() {
        let none = ColourJitter {
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        };
        assert_eq!(jittered(&none, 4), image());
    }

    #[test]
    fn brightness_alone_stays_within_its_strength() {
        let settings = ColourJitter {
            brightness: 0.2,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        };
        let values: Vec<u8> = (0..500)
            .map(|sample| jittered(&settings, sample).pixels[0])
            .collect();
        let (least, greatest) = (values.iter().min(), values.iter().max());
        assert!((Some(&80)..=Some(&82)).contains(&least), "{least:?}");
        assert!(
            (Some(&118)..=Some(&120)).contains(&greatest),
            "{greatest:?}"
        );
    }

    #[test]
    fn a_grey_image_stays_grey() {
        let settings = ColourJitter {
            hue: 0.5,
            ..ColourJitter::default()
        };
        let mut grey = Image::filled(2, 2, 3, 100);
        let mut stream = Stream::new(0, Purpose::Augment, 0, 0, 0);
        colour_jitter(&mut grey, &settings, &mut stream);
        assert!(grey.pixels.iter().all(|&value| value == grey.pixels[0]));
    }
}
