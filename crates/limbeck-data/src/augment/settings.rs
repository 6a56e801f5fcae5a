//! What is done to images on their way to a network, and in which order.

use serde::{Deserialize, Serialize};

use super::fit::{Fit, fit};
use super::flip::random_flip;
use super::normalise::{Normalisation, write_planes};
use super::pad_crop::{PadCrop, pad_crop};
use crate::{DataError, Image, Stream};

/// What is done to images. The default brings them to the size and the channels and nothing
/// else; without a normalisation, values are 0 to 1.
///
/// Steps run in the order of the fields. Those that leave things to chance are for training
/// alone; an image to test on is only fitted to the size and normalised.
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
    /// Pad, then crop at a random place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_crop: Option<PadCrop>,
    /// Probability of mirroring left and right.
    pub flip: f64,
    /// Mean and deviation of the channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Normalisation>,
    /// Both parameters of the Beta distribution of mixup's shares; 0 is off.
    pub mixup_alpha: f64,
    /// Both parameters of the Beta distribution of CutMix's shares; 0 is off.
    pub cutmix_alpha: f64,
}

impl Default for Augment {
    /// 32x32 in colour, nothing left to chance.
    fn default() -> Self {
        Self {
            size: [32, 32],
            channels: 3,
            fit: Fit::Cover,
            fit_share: 1.0,
            pad_crop: None,
            flip: 0.0,
            normalisation: None,
            mixup_alpha: 0.0,
            cutmix_alpha: 0.0,
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
        if let Some(PadCrop { pixels, .. }) = self.pad_crop
            && pixels > MAX_SIDE
        {
            return Err(DataError::setting(
                "pad_crop.pixels",
                format!("at most {MAX_SIDE}"),
                pixels,
            ));
        }
        probability("flip", self.flip)?;
        if let Some(normalisation) = &self.normalisation {
            normalisation.check(self.channels)?;
        }
        alpha("mixup_alpha", self.mixup_alpha)?;
        alpha("cutmix_alpha", self.cutmix_alpha)
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
        let mut image = self.plain(image);
        if let Some(settings) = self.pad_crop {
            image = pad_crop(&image, settings, stream);
        }
        if self.flip > 0.0 {
            image = random_flip(image, self.flip, stream);
        }
        image
    }

    /// Writes the image as `[C, H, W]` numbers to `out`, which has [`Augment::numbers`] of them:
    /// augmented by the stream, or plain without one.
    pub fn apply(&self, image: Image, stream: Option<&mut Stream>, out: &mut [f32]) {
        let image = match stream {
            None => self.plain(image),
            Some(stream) => self.augmented(image, stream),
        };
        write_planes(&image, self.normalisation.as_ref(), out);
    }
}

/// Refuses what is not a parameter of a Beta distribution, nor 0.
fn alpha(key: &'static str, value: f64) -> Result<(), DataError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(DataError::setting(key, "a number of at least 0", value))
}

/// Refuses what is not a probability.
fn probability(key: &'static str, value: f64) -> Result<(), DataError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(DataError::setting(key, "a probability from 0 to 1", value))
}
