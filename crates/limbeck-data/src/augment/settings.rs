//! What is done to images on their way to a network, and in which order.

use serde::{Deserialize, Serialize};

use super::check::{probability, within};
use super::colour_jitter::{ColourJitter, colour_jitter};
use super::fit::{Fit, fit};
use super::flip::random_flip;
use super::normalise::{Normalisation, write_planes};
use super::pad_crop::{PadCrop, pad_crop};
use super::quarter_turn::random_quarter_turn;
use super::rand_augment::{RandAugment, rand_augment};
use super::random_erasing::{RandomErasing, random_erasing};
use super::random_resized_crop::{RandomResizedCrop, random_resized_crop};
use crate::{DataError, Image, Stream, resize};

/// What is done to images. The default brings them to the size and the channels and nothing
/// else; without a normalisation, values are 0 to 1.
///
/// To train, the steps are: random resized crop (or fit), pad and crop, flip, quarter turns,
/// RandAugment, colour jitter, normalisation, random erasing, and then, batch by batch, mixup or
/// CutMix. An image to test on is only fitted to the size and normalised.
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
    /// Pad, then crop at a random place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_crop: Option<PadCrop>,
    /// A few random changes of one common strength.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<RandAugment>,
    /// Random light, contrast and colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_jitter: Option<ColourJitter>,
    /// Mean and deviation of the channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Normalisation>,
    /// Paint a rectangle over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_erasing: Option<RandomErasing>,
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
            pad_crop: None,
            rand_augment: None,
            colour_jitter: None,
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

    /// The image as a network to test sees it, before normalisation.
    #[must_use]
    pub fn plain(&self, image: Image) -> Image {
        let [height, width] = self.size;
        fit(image, height, width, self.fit, self.fit_share).with_channels(self.channels)
    }

    /// The image as a network to train sees it, before normalisation.
    fn augmented(&self, image: Image, stream: &mut Stream) -> Image {
        let [height, width] = self.size;
        let mut image = match &self.random_resized_crop {
            None => self.plain(image),
            Some(settings) => random_resized_crop(&image, height, width, settings, stream)
                .with_channels(self.channels),
        };
        if let Some(settings) = self.pad_crop {
            image = pad_crop(&image, settings, stream);
        }
        if self.flip > 0.0 {
            image = random_flip(image, self.flip, stream);
        }
        if self.quarter_turns {
            image = random_quarter_turn(image, stream);
        }
        if let Some(settings) = &self.rand_augment {
            image = rand_augment(image, settings, stream);
        }
        if let Some(settings) = &self.colour_jitter {
            colour_jitter(&mut image, settings, stream);
        }
        image
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
        resized
    }

    /// Writes the image as [`Augment::apply`] does to `large`, and reduced to `[height, width]` to
    /// `small`: one view in two sizes. Nothing is erased.
    pub(crate) fn apply_in_two_sizes(
        &self,
        image: Image,
        stream: Option<&mut Stream>,
        [height, width]: [usize; 2],
        small: &mut [f32],
        large: &mut [f32],
    ) {
        let image = match stream {
            None => self.plain(image),
            Some(stream) => self.augmented(image, stream),
        };
        let normalisation = self.normalisation.as_ref();
        write_planes(&image, normalisation, large);
        write_planes(&resize(&image, height, width), normalisation, small);
    }

    /// Writes the image as `[C, H, W]` numbers to `out`, which has [`Augment::numbers`] of them:
    /// augmented by the stream, or plain without one.
    pub fn apply(&self, image: Image, stream: Option<&mut Stream>, out: &mut [f32]) {
        let normalisation = self.normalisation.as_ref();
        let Some(stream) = stream else {
            return write_planes(&self.plain(image), normalisation, out);
        };
        write_planes(&self.augmented(image, stream), normalisation, out);
        if let Some(settings) = &self.random_erasing {
            let [height, width] = self.size;
            random_erasing(out, height, width, settings, stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn everything() -> Augment {
        Augment {
            size: [12, 12],
            flip: 0.5,
            quarter_turns: true,
            mixup_alpha: 0.2,
            cutmix_alpha: 1.0,
            random_resized_crop: Some(RandomResizedCrop::default()),
            pad_crop: Some(PadCrop::default()),
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

    fn image() -> Image {
        Image {
            width: 20,
            height: 14,
            channels: 3,
            pixels: (0..20 * 14 * 3).map(|v| (v * 31 % 256) as u8).collect(),
        }
    }

    fn applied(augment: &Augment, sample: Option<u64>) -> Vec<f32> {
        let mut stream = sample.map(|sample| Stream::new(0, Purpose::Augment, 0, sample, 0));
        let mut out = vec![0.0; augment.numbers()];
        augment.apply(image(), stream.as_mut(), &mut out);
        out
    }

    #[test]
    fn the_same_stream_gives_the_same_view_and_another_stream_another() {
        let augment = everything();
        assert_eq!(applied(&augment, Some(3)), applied(&augment, Some(3)));
        assert_ne!(applied(&augment, Some(3)), applied(&augment, Some(4)));
    }

    #[test]
    fn an_image_to_test_on_is_only_fitted_and_normalised() {
        let augment = everything();
        let plain = Augment {
            size: augment.size,
            normalisation: augment.normalisation.clone(),
            ..Augment::default()
        };
        assert_eq!(applied(&augment, None), applied(&plain, None));
        assert_eq!(applied(&plain, Some(3)), applied(&plain, None));
    }

    #[test]
    fn every_step_changes_what_is_trained_on() {
        let base = Augment {
            size: [12, 12],
            ..Augment::default()
        };
        let all = everything();
        let steps = [
            Augment {
                flip: 1.0,
                ..base.clone()
            },
            Augment {
                quarter_turns: true,
                ..base.clone()
            },
            Augment {
                random_resized_crop: all.random_resized_crop,
                ..base.clone()
            },
            Augment {
                pad_crop: all.pad_crop,
                ..base.clone()
            },
            Augment {
                rand_augment: all.rand_augment,
                ..base.clone()
            },
            Augment {
                colour_jitter: all.colour_jitter,
                ..base.clone()
            },
            Augment {
                normalisation: all.normalisation,
                ..base.clone()
            },
            Augment {
                random_erasing: all.random_erasing,
                ..base.clone()
            },
        ];
        for step in steps {
            let changes = (0..20).any(|s| applied(&step, Some(s)) != applied(&base, Some(s)));
            assert!(changes, "{step:?}");
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
}
