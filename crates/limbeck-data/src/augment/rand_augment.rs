//! RandAugment: a few random changes of one common strength.
//!
//! Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space"
//! (2020), with the changes, ranges and defaults of torchvision's `RandAugment`.

use serde::{Deserialize, Serialize};

use super::affine::{rotate, shear_x, shear_y, shift};
use super::check::within;
use super::colour::{brightness, contrast, saturation, sharpness};
use super::tone::{auto_contrast, equalise, posterise, solarise};
use crate::{DataError, Image, Stream};

/// A few random changes of one common strength.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandAugment {
    /// Changes of each image, one after the other.
    pub changes: usize,
    /// Their strength, 0 to 30.
    pub magnitude: f64,
    /// Whether shear, shift and rotation are among them; without, light and colour alone change and
    /// every pixel stays where it is, as masks need it.
    #[serde(skip_serializing_if = "is_true")]
    pub geometric: bool,
}

/// For serde, which hands over a reference.
fn is_true(value: &bool) -> bool {
    *value
}

impl Default for RandAugment {
    /// Two changes of magnitude 9, as the paper for ResNet-50 on ImageNet (section 4.3).
    fn default() -> Self {
        Self {
            changes: 2,
            magnitude: 9.0,
            geometric: true,
        }
    }
}

/// The strongest magnitude.
const STRONGEST: f64 = 30.0;

/// More changes than any recipe makes of one image.
const MOST_CHANGES: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Identity,
    ShearX,
    ShearY,
    ShiftX,
    ShiftY,
    Rotate,
    Brightness,
    Saturation,
    Contrast,
    Sharpness,
    Posterise,
    Solarise,
    AutoContrast,
    Equalise,
}

impl Change {
    const ALL: [Self; 14] = [
        Self::Identity,
        Self::ShearX,
        Self::ShearY,
        Self::ShiftX,
        Self::ShiftY,
        Self::Rotate,
        Self::Brightness,
        Self::Saturation,
        Self::Contrast,
        Self::Sharpness,
        Self::Posterise,
        Self::Solarise,
        Self::AutoContrast,
        Self::Equalise,
    ];

    /// Whether pixels move.
    fn is_geometric(self) -> bool {
        matches!(
            self,
            Self::ShearX | Self::ShearY | Self::ShiftX | Self::ShiftY | Self::Rotate
        )
    }

    /// Makes the change. `strength` is 0 to 1, `sign` 1 or -1.
    fn make(self, mut image: Image, strength: f64, sign: f64) -> Image {
        let signed = sign * strength;
        // Greatest shift of the search space of AutoAugment: 150 pixels of an image of 331.
        let furthest = |side: usize| signed * 150.0 / 331.0 * side as f64;
        match self {
            Self::Identity => {}
            Self::ShearX => image = shear_x(&image, 0.3 * signed),
            Self::ShearY => image = shear_y(&image, 0.3 * signed),
            Self::ShiftX => image = shift(&image, furthest(image.width), 0.0),
            Self::ShiftY => image = shift(&image, 0.0, furthest(image.height)),
            Self::Rotate => image = rotate(&image, 30.0 * signed),
            Self::Brightness => brightness(&mut image, 1.0 + 0.9 * signed),
            Self::Saturation => saturation(&mut image, 1.0 + 0.9 * signed),
            Self::Contrast => contrast(&mut image, 1.0 + 0.9 * signed),
            Self::Sharpness => sharpness(&mut image, 1.0 + 0.9 * signed),
            Self::Posterise => posterise(&mut image, 8 - (4.0 * strength).round() as u32),
            Self::Solarise => solarise(&mut image, 255.0 * (1.0 - strength)),
            Self::AutoContrast => auto_contrast(&mut image),
            Self::Equalise => equalise(&mut image),
        }
        image
    }
}

impl RandAugment {
    pub(super) fn check(&self) -> Result<(), DataError> {
        if self.changes > MOST_CHANGES {
            return Err(DataError::setting(
                "rand_augment.changes",
                format!("at most {MOST_CHANGES}"),
                self.changes,
            ));
        }
        within("rand_augment.magnitude", self.magnitude, STRONGEST)
    }
}

/// Makes random changes one after the other, each any of the fourteen, or of the nine that move no
/// pixel, with the same probability.
pub(super) fn rand_augment(image: Image, settings: &RandAugment, stream: &mut Stream) -> Image {
    let strength = settings.magnitude / STRONGEST;
    let allowed = |change: &Change| settings.geometric || !change.is_geometric();
    let changes: Vec<Change> = Change::ALL.into_iter().filter(allowed).collect();
    (0..settings.changes).fold(image, |image, _| {
        let change = changes[stream.below(changes.len())];
        let sign = if stream.chance(0.5) { 1.0 } else { -1.0 };
        change.make(image, strength, sign)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn image(channels: usize) -> Image {
        Image {
            width: 8,
            height: 8,
            channels,
            pixels: (0..64 * channels).map(|v| (v * 37 % 251) as u8).collect(),
        }
    }

    #[test]
    fn without_strength_only_the_changes_that_have_none_change_anything() {
        for change in Change::ALL {
            let same = change.make(image(3), 0.0, 1.0) == image(3);
            // Solarising from 255 on inverts pure white alone, of which there is none.
            let has_strength = !matches!(change, Change::AutoContrast | Change::Equalise);
            assert!(same || !has_strength, "{change:?}");
        }
    }

    #[test]
    fn with_strength_every_change_but_identity_changes_the_image() {
        let mut image = image(3);
        image.width = 16;
        image.pixels.extend(image.pixels.clone());
        for change in Change::ALL {
            // Steps of the histogram need more than 255 pixels of a channel.
            let large = Image {
                width: 32,
                height: 32,
                channels: 3,
                pixels: image.pixels.repeat(8),
            };
            let changed = change.make(large.clone(), 0.5, -1.0) != large;
            assert_eq!(changed, change != Change::Identity, "{change:?}");
        }
    }

    #[test]
    fn the_size_and_the_channels_stay() {
        for channels in [1, 3] {
            for sample in 0..200 {
                let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
                let settings = RandAugment {
                    changes: 3,
                    magnitude: 30.0,
                    geometric: true,
                };
                let out = rand_augment(image(channels), &settings, &mut stream);
                assert_eq!((out.width, out.height, out.channels), (8, 8, channels));
                assert_eq!(out.pixels.len(), 64 * channels);
            }
        }
    }
}
