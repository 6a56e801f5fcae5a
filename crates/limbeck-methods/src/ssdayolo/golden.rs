//! Golden files of this method, which are those of detection.

pub use crate::detection::golden::ADAPTERS;
