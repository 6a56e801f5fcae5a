//! What is done to images on their way to a network, and in which order.

use serde::{Deserialize, Serialize};

use super::boxes::{BoxAffine, HsvJitter};
use super::check::{probability, within};
use super::colour_jitter::ColourJitter;
use super::fit::Fit;
use super::normalise::Normalisation;
use super::pad_crop::PadCrop;
use super::rand_augment::RandAugment;
use super::random_erasing::RandomErasing;
use super::random_resized_crop::RandomResizedCrop;
use super::random_scale::RandomScale;
use crate::{DataError, Labelling};

/// What is done to images. The default brings them to the size and the channels and nothing
/// else; without a normalisation, values are 0 to 1.
///
/// To train, the steps are: random scale and crop, random resized crop or fit; pad and crop, shift,
/// flip, quarter turns, rotation; RandAugment, colour jitter, hue, saturation and value, normalisation, random erasing; and then,
/// batch by batch, mixup or CutMix. An image to test on is only fitted to the size and normalised.
///
/// An image with boxes is one of four of a mosaic or letterboxed to the size; then random affine change,
/// hue, saturation and value, and flip. To test on, it is letterboxed and normalised.
///
/// A mask goes through the same window, shift, flip, turn and rotation as its image, each of its
/// pixels the id at its centre, and is [`VOID`](crate::VOID) where the image shows what is not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Height and width of what the network sees, in pixels.
    pub size: [usize; 2],
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// How images of another size are fitted.
    pub fit: Fit,
    /// Under [`Fit::Cover`], the side of the part that is kept, in `(0, 1]`; timm's `crop_pct`.
    pub fit_share: f64,
    /// Probability of mirroring left and right.
    pub flip: f64,
    /// Turn by 0 to 3 quarter turns; needs a square size.
    pub quarter_turns: bool,
    /// Both parameters of the Beta distribution of mixup's shares; 0 is off.
    pub mixup_alpha: f64,
    /// Both parameters of the Beta distribution of CutMix's shares; 0 is off. Where both kinds of
    /// mixing are on, each batch gets one of them, either with probability one half.
    pub cutmix_alpha: f64,
    /// To train, scale a random part of the image to the size instead of fitting the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_resized_crop: Option<RandomResizedCrop>,
    /// To train, scale the image at random and crop it to the size instead of fitting it; the mean
    /// colour below and to the right of what is smaller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_scale: Option<RandomScale>,
    /// Where masks are known, greatest share of the pixels with a class that one class may have in a
    /// random crop, in `(0, 1]`: another place is drawn up to ten times (MMSegmentation's
    /// `cat_max_ratio`, 0.75 in its recipes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_class_share: Option<f64>,
    /// Pad, then crop at a random place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_crop: Option<PadCrop>,
    /// Shift by up to this many pixels along each axis; the mean colour comes in.
    #[serde(skip_serializing_if = "is_zero")]
    pub shift: usize,
    /// Turn around the middle by up to this many degrees to either side; the mean colour comes in.
    #[serde(skip_serializing_if = "is_none")]
    pub rotation: f64,
    /// A few random changes of one common strength.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<RandAugment>,
    /// Random light, contrast and colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_jitter: Option<ColourJitter>,
    /// Random hue, saturation and value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hsv_jitter: Option<HsvJitter>,
    /// To train on boxes, probability that an image is shown as one of four around a point
    /// (Bochkovskiy et al., "YOLOv4", 2020).
    pub mosaic: f64,
    /// To train on boxes, scale and move at random; what comes in is grey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_affine: Option<BoxAffine>,
    /// Mean and deviation of the channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Normalisation>,
    /// Paint a rectangle over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_erasing: Option<RandomErasing>,
}

/// For serde, which hands over a reference.
fn is_zero(pixels: &usize) -> bool {
    *pixels == 0
}

/// For serde, which hands over a reference.
fn is_none(degrees: &f64) -> bool {
    *degrees == 0.0
}

impl Default for Augment {
    /// 32x32 in colour, nothing left to chance.
    fn default() -> Self {
        Self {
            size: [32, 32],
            channels: 3,
            fit: Fit::Cover,
            fit_share: 1.0,
            flip: 0.0,
            quarter_turns: false,
            mixup_alpha: 0.0,
            cutmix_alpha: 0.0,
            random_resized_crop: None,
            random_scale: None,
            largest_class_share: None,
            pad_crop: None,
            shift: 0,
            rotation: 0.0,
            rand_augment: None,
            colour_jitter: None,
            hsv_jitter: None,
            mosaic: 0.0,
            random_affine: None,
            normalisation: None,
            random_erasing: None,
        }
    }
}

/// Greatest height or width that a network's input may have, in pixels.
const MAX_SIDE: usize = 4_096;

impl Augment {
    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// [`DataError::Setting`], which names the setting.
    pub fn check(&self) -> Result<(), DataError> {
        if self.size.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
            return Err(DataError::setting(
                "size",
                format!("[height, width], each 1 to {MAX_SIDE}"),
                format!("{:?}", self.size),
            ));
        }
        if self.channels != 1 && self.channels != 3 {
            return Err(DataError::setting(
                "channels",
                "1 (grey) or 3 (colour)",
                self.channels,
            ));
        }
        if !(self.fit_share > 0.0 && self.fit_share <= 1.0) {
            return Err(DataError::setting(
                "fit_share",
                "above 0 and at most 1",
                self.fit_share,
            ));
        }
        if self.quarter_turns && self.size[0] != self.size[1] {
            return Err(DataError::setting(
                "quarter_turns",
                "false unless the size is square",
                format!("true with size {:?}", self.size),
            ));
        }
        probability("flip", self.flip)?;
        within("mixup_alpha", self.mixup_alpha, f64::MAX)?;
        within("cutmix_alpha", self.cutmix_alpha, f64::MAX)?;
        if let Some(settings) = &self.random_resized_crop {
            settings.check()?;
        }
        if let Some(settings) = &self.random_scale {
            settings.check()?;
            if self.random_resized_crop.is_some() {
                return Err(DataError::setting(
                    "random_scale",
                    "left out where there is `random_resized_crop`: both choose what is shown",
                    "both",
                ));
            }
        }
        if let Some(share) = self.largest_class_share {
            if !(share > 0.0 && share <= 1.0) {
                return Err(DataError::setting(
                    "largest_class_share",
                    "above 0 and at most 1",
                    share,
                ));
            }
            if self.random_scale.is_none() && self.random_resized_crop.is_none() {
                return Err(DataError::setting(
                    "largest_class_share",
                    "left out unless crops are drawn: set `random_scale` too",
                    share,
                ));
            }
        }
        if self.shift > MAX_SIDE {
            return Err(DataError::setting(
                "shift",
                format!("at most {MAX_SIDE} pixels"),
                self.shift,
            ));
        }
        within("rotation", self.rotation, 180.0)?;
        if let Some(PadCrop { pixels, .. }) = self.pad_crop
            && pixels > MAX_SIDE
        {
            return Err(DataError::setting(
                "pad_crop.pixels",
                format!("at most {MAX_SIDE}"),
                pixels,
            ));
        }
        if let Some(settings) = &self.rand_augment {
            settings.check()?;
        }
        if let Some(settings) = &self.colour_jitter {
            settings.check()?;
        }
        if let Some(settings) = &self.hsv_jitter {
            settings.check()?;
        }
        probability("mosaic", self.mosaic)?;
        if self.mosaic > 0.0 && self.size[0] != self.size[1] {
            return Err(DataError::setting(
                "mosaic",
                "0 unless the size is square",
                format!("{} with size {:?}", self.mosaic, self.size),
            ));
        }
        if let Some(settings) = &self.random_affine {
            settings.check()?;
        }
        if let Some(normalisation) = &self.normalisation {
            normalisation.check(self.channels)?;
        }
        if let Some(settings) = &self.random_erasing {
            settings.check()?;
        }
        Ok(())
    }

    /// Whether images of a batch are mixed to train on, which gives soft targets.
    #[must_use]
    pub fn mixes(&self) -> bool {
        self.mixup_alpha > 0.0 || self.cutmix_alpha > 0.0
    }

    /// Numbers of one image, `C · H · W`.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Refuses what cannot be done to images of which this is known.
    ///
    /// # Errors
    /// [`DataError::Setting`], which names the setting and what to do instead.
    pub fn check_for(&self, labelling: Labelling) -> Result<(), DataError> {
        self.check()?;
        if labelling == Labelling::Boxes {
            return self.check_for_boxes();
        }
        if self.mosaic > 0.0 || self.random_affine.is_some() {
            return Err(DataError::setting(
                "mosaic` and `random_affine",
                "left out where images have no boxes",
                "one of them",
            ));
        }
        if labelling != Labelling::Masks {
            return match self.largest_class_share {
                Some(share) => Err(DataError::setting(
                    "largest_class_share",
                    "left out where images have no masks",
                    share,
                )),
                None => Ok(()),
            };
        }
        if self.mixes() {
            return Err(DataError::setting(
                "mixup_alpha` and `cutmix_alpha",
                "0 where images have masks: a pixel has one class, not a mixture",
                format!("{} and {}", self.mixup_alpha, self.cutmix_alpha),
            ));
        }
        if self.rand_augment.is_some_and(|changes| changes.geometric) {
            return Err(DataError::setting(
                "rand_augment.geometric",
                "false where images have masks, which its shears, shifts and rotations would leave \
                 behind; `rotation` and `shift` move image and mask together",
                "true",
            ));
        }
        Ok(())
    }

    /// Refuses what would leave boxes behind, or hide what they are around.
    fn check_for_boxes(&self) -> Result<(), DataError> {
        let of_others = [
            ("mixup_alpha` and `cutmix_alpha", self.mixes()),
            (
                "pad_crop",
                self.pad_crop.is_some_and(|crop| crop.pixels > 0),
            ),
            ("shift", self.shift > 0),
            ("rotation", self.rotation > 0.0),
            ("quarter_turns", self.quarter_turns),
            ("random_resized_crop", self.random_resized_crop.is_some()),
            ("random_scale", self.random_scale.is_some()),
            ("largest_class_share", self.largest_class_share.is_some()),
            ("rand_augment", self.rand_augment.is_some()),
            ("colour_jitter", self.colour_jitter.is_some()),
            ("random_erasing", self.random_erasing.is_some()),
        ];
        match of_others.iter().find(|(_, is_on)| *is_on) {
            None => Ok(()),
            Some((key, _)) => Err(DataError::setting(
                key,
                "left out where images have boxes, for which there are `mosaic`, `random_affine`, \
                 `hsv_jitter` and `flip`",
                "it",
            )),
        }
    }

    /// The same for images of another size, `[height, width]`; paddings grow with the height.
    #[must_use]
    pub fn resized(&self, size: [usize; 2]) -> Self {
        let mut resized = self.clone();
        resized.size = size;
        resized.pad_crop = self.pad_crop.map(|crop| PadCrop {
            pixels: crop.pixels.saturating_mul(size[0]) / self.size[0].max(1),
            ..crop
        });
        resized.shift = self.shift.saturating_mul(size[0]) / self.size[0].max(1);
        resized
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All that can be done to images of classes.
    pub fn everything() -> Augment {
        Augment {
            size: [12, 12],
            flip: 0.5,
            quarter_turns: true,
            mixup_alpha: 0.2,
            cutmix_alpha: 1.0,
            random_resized_crop: Some(RandomResizedCrop::default()),
            pad_crop: Some(PadCrop::default()),
            shift: 2,
            rotation: 10.0,
            rand_augment: Some(RandAugment::default()),
            colour_jitter: Some(ColourJitter::default()),
            normalisation: Some(Normalisation {
                mean: vec![0.4; 3],
                std: vec![0.2; 3],
            }),
            random_erasing: Some(RandomErasing::default()),
            ..Augment::default()
        }
    }

    #[test]
    fn settings_survive_a_recipe_and_unknown_keys_are_refused() {
        for augment in [everything(), Augment::default()] {
            let text = toml::to_string(&augment).unwrap();
            assert_eq!(toml::from_str::<Augment>(&text).unwrap(), augment);
        }
        let partial: Augment = toml::from_str("flip = 0.5\npad_crop = { pixels = 2 }").unwrap();
        assert_eq!(partial.pad_crop.map(|p| p.pixels), Some(2));
        for wrong in [
            "flop = 0.5",
            "pad_crop = { pixel = 2 }",
            "rand_augment = { n = 1 }",
        ] {
            assert!(toml::from_str::<Augment>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        assert!(everything().check().is_ok());
        let refused = |change: &dyn Fn(&mut Augment)| {
            let mut augment = everything();
            change(&mut augment);
            augment.check().unwrap_err().to_string()
        };
        let scale = RandomResizedCrop {
            scale: [0.5, 1.5],
            ..RandomResizedCrop::default()
        };
        let error = refused(&|a| a.random_resized_crop = Some(scale));
        assert!(
            error.starts_with("`random_resized_crop.scale` must be"),
            "{error}"
        );
        let hue = ColourJitter {
            hue: 0.6,
            ..ColourJitter::default()
        };
        let error = refused(&|a| a.colour_jitter = Some(hue));
        assert!(
            error.starts_with("`colour_jitter.hue` must be a number from 0 to 0.5"),
            "{error}"
        );
        let magnitude = RandAugment {
            magnitude: 31.0,
            ..RandAugment::default()
        };
        let error = refused(&|a| a.rand_augment = Some(magnitude));
        assert!(error.starts_with("`rand_augment.magnitude`"), "{error}");
        let ratio = RandomErasing {
            ratio: [2.0, 1.0],
            ..RandomErasing::default()
        };
        let error = refused(&|a| a.random_erasing = Some(ratio));
        assert!(error.starts_with("`random_erasing.ratio`"), "{error}");
        let error = refused(&|a| a.size = [12, 16]);
        assert!(error.starts_with("`quarter_turns`"), "{error}");
    }

    #[test]
    fn what_masks_cannot_follow_is_refused_and_what_needs_masks_too() {
        let scaled = Augment {
            random_scale: Some(RandomScale::default()),
            largest_class_share: Some(0.75),
            ..Augment::default()
        };
        let refused =
            |augment: &Augment, labelling| augment.check_for(labelling).unwrap_err().to_string();
        assert!(scaled.check_for(Labelling::Masks).is_ok());
        let error = refused(&scaled, Labelling::Classes);
        assert!(
            error.contains("`largest_class_share` must be left out where"),
            "{error}"
        );
        let error = refused(&everything(), Labelling::Masks);
        assert!(error.contains("a pixel has one class"), "{error}");
        let mut augment = everything();
        (augment.mixup_alpha, augment.cutmix_alpha) = (0.0, 0.0);
        let error = refused(&augment, Labelling::Masks);
        assert!(
            error.starts_with("`rand_augment.geometric` must be false"),
            "{error}"
        );
        if let Some(changes) = &mut augment.rand_augment {
            changes.geometric = false;
        }
        assert!(augment.check_for(Labelling::Masks).is_ok());
        let alone = Augment {
            random_scale: None,
            ..scaled.clone()
        };
        let error = refused(&alone, Labelling::Masks);
        assert!(error.contains("set `random_scale` too"), "{error}");
        let both = Augment {
            random_resized_crop: Some(RandomResizedCrop::default()),
            ..scaled
        };
        assert!(refused(&both, Labelling::Masks).contains("both"));
    }
}
