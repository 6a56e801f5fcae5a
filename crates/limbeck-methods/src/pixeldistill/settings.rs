//! What can be set.

use serde::{Deserialize, Serialize};

use crate::{
    MethodError,
    criterion::{require_at_least, require_positive, require_share, require_weight},
};

use super::Pixeldistill;

/// Whether there is an assistant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelForm {
    /// The student learns from the teacher (ISRD).
    #[default]
    OneStage,
    /// An assistant learns from the teacher, the student from the assistant (TAS).
    TwoStage,
}

/// How features of student and assistant are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelFeature {
    /// Not at all.
    None,
    /// Maps of one size (ICFUP).
    #[default]
    Icfup,
    /// Attention maps (AT).
    Attention,
    /// Similarities of images (SP).
    Similarity,
    /// Correlations of channels (ICKD).
    Correlation,
    /// First maps of the large image and of the one that is made (FSR).
    SuperResolution,
}

impl PixelFeature {
    /// The authors' factor; that of ICFUP is ours.
    pub fn weight(self) -> f64 {
        match self {
            Self::None | Self::Icfup | Self::SuperResolution => 1.0,
            Self::Attention => 1000.0,
            Self::Similarity => 3000.0,
            Self::Correlation => 2.5,
        }
    }
}

/// Settings of [`Pixeldistill`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PixeldistillConfig {
    /// Whether there is an assistant.
    pub form: PixelForm,
    /// Side of the large images in sides of the small ones.
    pub ratio: usize,
    /// Share of the divergence in the loss.
    pub alpha: f64,
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the large image's mean absolute error.
    pub eta: f64,
    /// How features of student and assistant are compared.
    pub feature: PixelFeature,
    /// Factor of the feature term; that of its kind where missing.
    pub feature_weight: Option<f64>,
    /// Factor of the image's error in FSR.
    pub image_weight: f64,
    /// Whether stages are compared before their last ReLU.
    pub before_relu: bool,
    /// Epochs of the assistant; the recipe's where missing.
    pub assistant_epochs: Option<usize>,
}

impl Default for PixeldistillConfig {
    fn default() -> Self {
        Self {
            form: PixelForm::OneStage,
            ratio: 2,
            alpha: 0.9,
            temperature: 4.0,
            eta: 10.0,
            feature: PixelFeature::Icfup,
            feature_weight: None,
            image_weight: 1.0,
            before_relu: true,
            assistant_epochs: None,
        }
    }
}

impl PixeldistillConfig {
    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), MethodError> {
        const ID: &str = Pixeldistill::ID;
        require_at_least(ID, "ratio", self.ratio, 1)?;
        require_share(ID, "alpha", self.alpha)?;
        require_positive(ID, "temperature", self.temperature)?;
        require_weight(ID, "eta", self.eta)?;
        require_weight(ID, "image_weight", self.image_weight)?;
        if let Some(weight) = self.feature_weight {
            require_weight(ID, "feature_weight", weight)?;
        }
        if let Some(epochs) = self.assistant_epochs {
            require_at_least(ID, "assistant_epochs", epochs, 1)?;
        }
        Ok(())
    }
}
