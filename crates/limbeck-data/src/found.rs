//! What lies in a folder, before any splitting.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::source::Source;

/// The parts of a data set as they lie in its folder, before any splitting.
#[derive(Clone, Debug)]
pub struct Found {
    /// For people, such as `fashion-mnist (IDX)`.
    pub name: String,
    /// Images to train on. Where a data set has no parts, all its images are these.
    pub train: Option<Arc<dyn Source>>,
    /// Images to choose by.
    pub validation: Option<Arc<dyn Source>>,
    /// Images touched once, at the end.
    pub test: Option<Arc<dyn Source>>,
    /// What was found besides, and what was left out and why: a line each, for people.
    pub notes: Vec<String>,
}

impl Found {
    /// All images of `source`, of which [`Found::split`] makes three parts.
    #[must_use]
    pub fn whole(name: &str, source: impl Source + 'static) -> Self {
        Self {
            name: name.to_owned(),
            train: Some(Arc::new(source)),
            validation: None,
            test: None,
            notes: Vec::new(),
        }
    }

    /// The parts that are there, by name, in this order.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, &Arc<dyn Source>)> {
        [
            ("train", &self.train),
            ("validation", &self.validation),
            ("test", &self.test),
        ]
        .into_iter()
        .filter_map(|(name, part)| part.as_ref().map(|part| (name, part)))
        .collect()
    }

    /// Hash over all parts, in hexadecimal.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.train, &self.validation, &self.test] {
            match part {
                Some(source) => hash.update(source.digest()),
                None => hash.update([0; 32]),
            }
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
