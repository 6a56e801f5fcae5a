//! What tells one of the family from another, as its name has it.

use std::fmt;
use std::str::FromStr;

use crate::NnError;

/// What every name of the family begins with.
pub(super) const STEM: &str = "vq_autoencoder";
/// Beyond this a latent would stand for more than any small image has.
const MOST_REDUCED: usize = 64;

/// Settings of a [`super::VqAutoencoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VqAutoencoderConfig {
    /// By what height and width of an image are divided to get those of its latents; a power of two.
    pub factor: usize,
    /// Numbers of a latent, D.
    pub width: usize,
    /// Entries of the codebook, K.
    pub codes: usize,
}

impl VqAutoencoderConfig {
    /// The suggestion for small images.
    pub const DEFAULT: Self = Self {
        factor: 4,
        width: 32,
        codes: 128,
    };

    /// Whether `name`, in small letters, is of the family.
    pub(crate) fn is_told_by(name: &str) -> bool {
        name.strip_prefix(STEM)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }

    /// Refuses settings out of range.
    ///
    /// # Errors
    /// [`NnError::Unsupported`].
    pub(super) fn check(&self) -> Result<(), NnError> {
        let reason = if !self.factor.is_power_of_two() || !(2..=MOST_REDUCED).contains(&self.factor)
        {
            format!(
                "found the factor {}, it must be a power of two from 2 to {MOST_REDUCED}",
                self.factor
            )
        } else if self.width == 0 {
            "found latents of 0 numbers, it needs at least 1".to_owned()
        } else if self.codes < 2 {
            format!("found {} codes, it needs at least 2", self.codes)
        } else {
            return Ok(());
        };
        Err(NnError::Unsupported {
            model: self.to_string(),
            reason,
        })
    }
}

impl fmt::Display for VqAutoencoderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self == Self::DEFAULT {
            true => f.write_str(STEM),
            false => write!(f, "{STEM}_f{}_d{}_k{}", self.factor, self.width, self.codes),
        }
    }
}

impl FromStr for VqAutoencoderConfig {
    type Err = NnError;

    fn from_str(name: &str) -> Result<Self, NnError> {
        if name == STEM {
            return Ok(Self::DEFAULT);
        }
        let number = |part: Option<&str>, mark: char| -> Option<usize> {
            part?.strip_prefix(mark)?.parse().ok()
        };
        let told = || {
            let mut parts = name.strip_prefix(STEM)?.strip_prefix('_')?.split('_');
            let config = Self {
                factor: number(parts.next(), 'f')?,
                width: number(parts.next(), 'd')?,
                codes: number(parts.next(), 'k')?,
            };
            parts.next().is_none().then_some(config)
        };
        let Some(config) = told() else {
            return Err(NnError::Unsupported {
                model: name.to_owned(),
                reason: format!(
                    "its factor, the width of its latents and the number of its codes are told as in \
                     `{STEM}_f4_d32_k128`"
                ),
            });
        };
        config.check()?;
        Ok(config)
    }
}
