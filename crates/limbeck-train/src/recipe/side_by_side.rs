//! How many trainings of a run go on at the same time.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `train.side_by_side`: how many trainings of a run go on at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SideBySide {
    /// As many as there are threads, or trainings, where that is measured to be faster; else one after the
    /// other.
    #[default]
    Auto,
    /// So many; 1 for one after the other.
    Count(usize),
}

const AUTO: &str = "auto";
const EXPECTED: &str = "\"auto\", or a number of trainings of at least 1";

impl SideBySide {
    /// Reads what is typed: `auto` or a number.
    ///
    /// # Errors
    /// Anything else, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            (AUTO, _) => Ok(Self::Auto),
            (_, Ok(count)) if count > 0 => Ok(Self::Count(count)),
            _ => Err(format!("expected {EXPECTED}, found `{text}`")),
        }
    }
}

impl fmt::Display for SideBySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(AUTO),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl Serialize for SideBySide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Count(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

impl<'de> Deserialize<'de> for SideBySide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// A number, or a text that is one or says auto.
struct Either;

impl Visitor<'_> for Either {
    type Value = SideBySide;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<SideBySide, E> {
        self.visit_str(&count.to_string())
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<SideBySide, E> {
        self.visit_str(&count.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SideBySide, E> {
        SideBySide::parse(text).map_err(E::custom)
    }
}
