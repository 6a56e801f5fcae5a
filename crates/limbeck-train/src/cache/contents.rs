//! What a cache is to hold.

use limbeck_cache::{Encoding, Output};
use limbeck_nn::{Tap, TapKind};

use crate::TrainError;

/// What a cache is to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheContents {
    /// Views of each training image.
    pub views: usize,
    /// How logits are stored.
    pub logits: Encoding,
    /// Taps that are stored besides the logits.
    pub taps: Vec<String>,
    /// How they are stored.
    pub features: Encoding,
}

impl CacheContents {
    /// The outputs of a teacher with `taps`, logits first.
    ///
    /// # Errors
    /// A tap that the teacher does not have.
    pub(super) fn outputs(&self, taps: &[Tap]) -> Result<Vec<Output>, TrainError> {
        let find = |name: &str| taps.iter().find(|tap| tap.name == name);
        let mut outputs = Vec::new();
        if let Some(logits) = find(LOGITS) {
            outputs.push(output(logits, self.logits));
        }
        for name in &self.taps {
            if outputs.iter().any(|output| output.name == *name) {
                continue;
            }
            let Some(tap) = find(name) else {
                let known: Vec<&str> = taps.iter().map(|tap| tap.name.as_str()).collect();
                return Err(TrainError::Setting(format!(
                    "the teacher has no tap `{name}` to store; it has: {}",
                    known.join(", ")
                )));
            };
            outputs.push(output(tap, self.features));
        }
        Ok(outputs)
    }
}

/// Name of the logits among taps and outputs.
pub(super) const LOGITS: &str = "logits";

fn output(tap: &Tap, encoding: Encoding) -> Output {
    let kind = match tap.kind {
        TapKind::Map(_) => "map",
        TapKind::Tokens { .. } => "tokens",
        TapKind::Vector(_) => "vector",
        TapKind::Attention(_) => "attention",
    };
    Output {
        name: tap.name.clone(),
        kind: kind.to_owned(),
        shape: shape_of(&tap.kind),
        encoding,
    }
}

/// Shape of a tap's numbers, without the batch.
pub(super) fn shape_of(kind: &TapKind) -> Vec<usize> {
    match kind {
        TapKind::Map(shape) | TapKind::Attention(shape) => shape.to_vec(),
        TapKind::Tokens { shape, .. } => shape.to_vec(),
        TapKind::Vector(length) => vec![*length],
    }
}
