//! `[probe]`: how embeddings are judged.

use serde::{Deserialize, Serialize};

/// `[probe]`: how networks that are pre-trained are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeRecipe {
    /// How many of the nearest training images vote for the class of an image. Default 20 (Caron et
    /// al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, section 3.2).
    pub neighbours: usize,
    /// At most this many training images are looked among, balanced over the classes. Default 10,000.
    pub bank: usize,
    /// Epochs from one measurement on the validation part to the next; the last epoch is measured in
    /// any case. Default 5.
    pub every: usize,
}

impl Default for ProbeRecipe {
    fn default() -> Self {
        Self {
            neighbours: 20,
            bank: 10_000,
            every: 5,
        }
    }
}
