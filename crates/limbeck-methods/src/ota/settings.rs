//! Settings, and what is refused of them.

use serde::{Deserialize, Serialize};

use super::Ota;
use crate::{
    MethodError,
    criterion::{require_at_least, require_positive, require_share, require_weight},
};

/// Where an image that is made starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtaStart {
    /// At the image that guides it, with noise.
    #[default]
    Image,
    /// At normal noise of mean 0 and variance 1.
    Noise,
}

/// Settings of [`Ota`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtaConfig {
    /// A run of `vqae`, or its weights file.
    pub represent: Option<String>,
    /// Share of re-represented images in the second fine-tuning.
    pub mix: f64,
    /// Epochs of each fine-tuning; the recipe's where missing.
    pub finetune_epochs: Option<usize>,
    /// Learning rate of the new head, in the recipe's.
    pub finetune_rate: f64,
    /// Learning rates of the second fine-tuning, in those of the first.
    pub second_rate: f64,
    /// Learning rate of the backbone, in the head's.
    pub backbone_rate: f64,
    /// Images that are made for each real one.
    pub per_image: usize,
    /// Steps in which an image is made.
    pub steps: usize,
    /// Learning rate of its pixels, in deviations of the normalisation.
    pub image_rate: f64,
    /// Where it starts.
    pub start: OtaStart,
    /// Deviation of the noise that is added to the guide, in deviations of the normalisation.
    pub sigma: f64,
    /// Share of images that are made for another class than their guide's.
    pub other_class: f64,
    /// Share of steps that see images mirrored.
    pub flip: f64,
    /// Greatest number of pixels by which images are rolled in each direction.
    pub roll: usize,
    /// Weight of the cross entropy.
    pub ce_weight: f64,
    /// Weight of the distance to the guide's features.
    pub guide_weight: f64,
    /// Weight of the distance to the statistics of batch norms.
    pub bn_weight: f64,
    /// Weight of the differences of neighbouring pixels.
    pub tv_weight: f64,
    /// Weight of the pixels' squares.
    pub l2_weight: f64,
    /// Share of the divergence from the fine-tuned network in the student's loss.
    pub alpha: f64,
    /// Softens classes.
    pub temperature: f64,
}

impl Default for OtaConfig {
    fn default() -> Self {
        Self {
            represent: None,
            mix: 0.0,
            finetune_epochs: None,
            finetune_rate: 1.0,
            second_rate: 0.1,
            backbone_rate: 0.1,
            per_image: 4,
            steps: 100,
            image_rate: 0.05,
            start: OtaStart::Image,
            sigma: 0.5,
            other_class: 0.2,
            flip: 0.5,
            roll: 2,
            ce_weight: 1.0,
            guide_weight: 1.0,
            bn_weight: 0.1,
            tv_weight: 0.01,
            l2_weight: 0.001,
            alpha: 0.7,
            temperature: 4.0,
        }
    }
}

impl OtaConfig {
    /// Refuses settings out of range.
    ///
    /// # Errors
    /// [`MethodError::Setting`].
    pub(super) fn check(&self) -> Result<(), MethodError> {
        for (key, value) in [
            ("finetune_rate", self.finetune_rate),
            ("second_rate", self.second_rate),
            ("backbone_rate", self.backbone_rate),
            ("image_rate", self.image_rate),
            ("temperature", self.temperature),
        ] {
            require_positive(Ota::ID, key, value)?;
        }
        for (key, value) in [
            ("sigma", self.sigma),
            ("ce_weight", self.ce_weight),
            ("guide_weight", self.guide_weight),
            ("bn_weight", self.bn_weight),
            ("tv_weight", self.tv_weight),
            ("l2_weight", self.l2_weight),
        ] {
            require_weight(Ota::ID, key, value)?;
        }
        for (key, value) in [
            ("mix", self.mix),
            ("other_class", self.other_class),
            ("flip", self.flip),
            ("alpha", self.alpha),
        ] {
            require_share(Ota::ID, key, value)?;
        }
        require_at_least(Ota::ID, "steps", self.steps, 1)?;
        if let Some(epochs) = self.finetune_epochs {
            require_at_least(Ota::ID, "finetune_epochs", epochs, 1)?;
        }
        if self.mix > 0.0 && self.represent.is_none() {
            return Err(MethodError::Setting {
                method: Ota::ID,
                key: "mix",
                expected: "0 where no re-representer is given (represent)".to_owned(),
                found: self.mix.to_string(),
            });
        }
        Ok(())
    }
}
