//! The version of the format in which results are written.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Version of the format that is written. Files without a version are of the first.
pub const VERSION: u64 = 2;

/// Stands for the version of the format in [`Results`](crate::Results); written as [`VERSION`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.serialize_u64(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        match u64::deserialize(reader)? {
            VERSION => Ok(Self),
            found => Err(serde::de::Error::custom(format!("format {found}"))),
        }
    }
}
