//! What records are of, and what each holds.

use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;

/// Images of one part of the data, each in the same number of views.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// Images.
    pub samples: u64,
    /// Views of each.
    pub views: u64,
}

/// One of the outputs that a record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// `logits`, or the name of a tap.
    pub name: String,
    /// `map`, `tokens`, `vector` or `attention`.
    pub kind: String,
    /// Without the batch: `[classes]`, `[C, H, W]` (of logits `[classes, h, w]`), `[T, D]` or `[D]`.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub encoding: Encoding,
    /// Of a map that was reduced: rows and columns of the image for each of its own. Missing where it
    /// is stored as it was given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
}

impl Output {
    /// Numbers that it has once decoded. Does not overflow in a manifest that was checked.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Never true in a manifest that was checked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
