//! What can be set.

use serde::{Deserialize, Serialize};

use crate::{
    MethodError,
    criterion::{require_at_least, require_share, require_weight},
};

use super::Cakd;

/// Which of the two is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CakdForm {
    /// The equations of the paper.
    #[default]
    Paper,
    /// What the public code computes.
    Released,
}

/// Settings of [`Cakd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CakdConfig {
    /// Which of the two is computed.
    pub form: CakdForm,
    /// Factor of what the paper's student learns from the discriminator.
    pub adversarial_weight: f64,
    /// Share of the paper's student's images that are seen in another view.
    pub multi_view: f64,
    /// Share of the paper's projected numbers that are omitted.
    pub dropout: f64,
    /// Side of the squares that share a linear map, in positions.
    pub group: usize,
    /// Heads of the released projector.
    pub heads: usize,
    /// Last epoch without the released terms.
    pub ramp_start: usize,
    /// Channels after the first convolution of the released discriminator.
    pub discriminator_width: usize,
    /// Its convolutions of stride 2.
    pub discriminator_layers: usize,
    /// Learning rate of the discriminator, in the recipe's.
    pub discriminator_rate: f64,
    /// Whether a student map of another size is brought to the teacher's grid.
    pub resize: bool,
    /// Whether gradients are cut off as in the released loop.
    pub compat_detach: bool,
}

impl Default for CakdConfig {
    fn default() -> Self {
        Self {
            form: CakdForm::Paper,
            adversarial_weight: 0.1,
            multi_view: 0.5,
            dropout: 0.1,
            group: 4,
            heads: 16,
            ramp_start: 25,
            discriminator_width: 8,
            discriminator_layers: 3,
            discriminator_rate: 0.01,
            resize: false,
            compat_detach: false,
        }
    }
}

impl CakdConfig {
    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), MethodError> {
        const ID: &str = Cakd::ID;
        require_weight(ID, "adversarial_weight", self.adversarial_weight)?;
        require_weight(ID, "discriminator_rate", self.discriminator_rate)?;
        require_share(ID, "multi_view", self.multi_view)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(MethodError::Setting {
                method: ID,
                key: "dropout",
                expected: "a number from 0 to below 1".to_owned(),
                found: self.dropout.to_string(),
            });
        }
        require_at_least(ID, "group", self.group, 1)?;
        require_at_least(ID, "heads", self.heads, 1)?;
        require_at_least(ID, "discriminator_width", self.discriminator_width, 1)?;
        require_at_least(ID, "discriminator_layers", self.discriminator_layers, 1)
    }
}
