//! How many bits a student has.

use std::fmt;

use limbeck_nn::quantise::Quantiser;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `student.quantise`: bits of its weights and of what its layers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantiseRecipe {
    /// The same in all layers, 1 to 8.
    Bits(u32),
    /// As many in each layer as its trained weights need.
    Hybrid,
}

const HYBRID: &str = "hybrid";
const EXPECTED: &str = "bits from 1 to 8, or \"hybrid\"";

impl Serialize for QuantiseRecipe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bits(bits) => serializer.serialize_u32(*bits),
            Self::Hybrid => serializer.serialize_str(HYBRID),
        }
    }
}

impl<'de> Deserialize<'de> for QuantiseRecipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// A number, or a text that is one or says hybrid.
struct Either;

impl Visitor<'_> for Either {
    type Value = QuantiseRecipe;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_i64<E: Error>(self, bits: i64) -> Result<QuantiseRecipe, E> {
        let known = u32::try_from(bits)
            .ok()
            .filter(|bits| (1..=8).contains(bits));
        let bits = known.ok_or_else(|| E::custom(format!("expected {EXPECTED}, found {bits}")))?;
        Ok(QuantiseRecipe::Bits(bits))
    }

    fn visit_u64<E: Error>(self, bits: u64) -> Result<QuantiseRecipe, E> {
        self.visit_i64(i64::try_from(bits).unwrap_or(i64::MAX))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<QuantiseRecipe, E> {
        match (text, text.parse()) {
            (HYBRID, _) => Ok(QuantiseRecipe::Hybrid),
            (_, Ok(bits)) => self.visit_i64(bits),
            _ => Err(E::custom(format!("expected {EXPECTED}, found `{text}`"))),
        }
    }
}

/// `student.quantiser`: how numbers are brought to few bits; see [`Quantiser`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuantiserName {
    /// For any network: weights by output channel, what layers are given by the range that it was seen in.
    #[default]
    Range,
    /// Of networks of convolutions with batch norms: DoReFa's, as in GHOST.
    Dorefa,
}

impl From<QuantiserName> for Quantiser {
    fn from(name: QuantiserName) -> Self {
        match name {
            QuantiserName::Range => Self::Range,
            QuantiserName::Dorefa => Self::Dorefa,
        }
    }
}
