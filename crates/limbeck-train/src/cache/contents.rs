//! What a cache is to hold.

use limbeck_cache::{Encoding, Output};
use limbeck_nn::{Feature, Outputs, Tap, TapKind};

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
    /// The outputs of a teacher with `taps`, in its order.
    ///
    /// # Errors
    /// A tap that the teacher does not have.
    pub(crate) fn outputs(&self, taps: &[Tap]) -> Result<Vec<Output>, TrainError> {
        let has = |name: &String| taps.iter().any(|tap| tap.name == *name);
        if let Some(unknown) = self.taps.iter().find(|name| !has(name)) {
            let known: Vec<&str> = taps.iter().map(|tap| tap.name.as_str()).collect();
            return Err(TrainError::Setting(format!(
                "the teacher has no tap `{unknown}` to store; it has: {}",
                known.join(", ")
            )));
        }
        // The teacher's order, whatever the user's, so that equal contents make equal caches.
        let outputs = taps.iter().filter_map(|tap| match tap.name.as_str() {
            LOGITS => Some(output(tap, self.logits)),
            name if self.taps.iter().any(|wanted| wanted == name) => {
                Some(output(tap, self.features))
            }
            _ => None,
        });
        Ok(outputs.collect())
    }

    /// The numbers of a batch's outputs, in the order of `stored`, each `[B, …]` flat.
    ///
    /// # Errors
    /// An output that the teacher did not give out.
    pub(crate) fn numbers(
        stored: &[Output],
        outputs: &Outputs,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        let flat = |name: &str| {
            if name == LOGITS {
                return Some(outputs.logits().to_data());
            }
            Some(match outputs.feature(name)? {
                Feature::Map(map) | Feature::Attention(map) => map.to_data(),
                Feature::Tokens { tokens, .. } => tokens.to_data(),
                Feature::Vector(vector) => vector.to_data(),
            })
        };
        let numbers = stored.iter().map(|output| {
            let data = flat(&output.name).ok_or_else(|| {
                TrainError::Setting(format!("the teacher gave out no `{}`", output.name))
            })?;
            Ok(data.iter::<f32>().collect())
        });
        numbers.collect()
    }
}

/// Name of the logits among taps and outputs.
pub(crate) const LOGITS: &str = "logits";

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
