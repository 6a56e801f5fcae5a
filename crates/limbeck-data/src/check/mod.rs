//! What a data set holds and what is wrong with it, found by reading every image once.

mod duplicates;
mod image;
mod masks;
mod part;

use std::sync::Arc;

use serde::Serialize;

pub use self::duplicates::{Duplicates, Pair};
pub use self::masks::{ClassShare, ForeignId, MaskCheck, OtherSize};
pub use self::part::{ClassCount, PartCheck, Sizes, Unreadable};

use crate::source::{Labelling, Source};
use crate::{DataError, Found, Part};

/// How many examples of each kind are kept.
const EXAMPLES: usize = 5;

/// How many images something is true of, and the first few.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Examples<T> {
    /// How many.
    pub count: usize,
    /// The first few.
    pub examples: Vec<T>,
}

impl<T> Default for Examples<T> {
    /// None.
    fn default() -> Self {
        Self {
            count: 0,
            examples: Vec::new(),
        }
    }
}

impl<T> Examples<T> {
    pub(crate) fn add(&mut self, example: impl FnOnce() -> T) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    /// Adds all that `other` counts.
    pub(crate) fn join(&mut self, other: Self) {
        self.count += other.count;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// What a data set holds.
#[derive(Clone, Debug, Serialize)]
pub struct DataCheck {
    /// For people, such as `fashion-mnist (IDX)`.
    pub name: String,
    /// Whether the images have labels: a class each, or masks.
    pub labels: bool,
    /// What was found besides, and what was left out and why, a line each.
    pub notes: Vec<String>,
    /// Each part as it lies in the data, before any splitting.
    pub parts: Vec<PartCheck>,
    /// The same image more than once, for each pair of parts, and for each part by itself, where
    /// there are any.
    pub duplicates: Vec<Duplicates>,
}

impl DataCheck {
    /// Number of images that cannot be used.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.parts.iter().map(|part| part.unreadable.count).sum()
    }
}

impl Found {
    /// Reads every image, with `threads` threads (at least 1), and says what was found. What is
    /// found does not depend on the threads.
    ///
    /// # Errors
    /// A source that contradicts itself; images that cannot be read are part of what is found.
    pub fn check(&self, threads: usize) -> Result<DataCheck, DataError> {
        let mut parts = Vec::new();
        let mut seen = duplicates::Seen::default();
        for (name, source) in self.parts() {
            Part::all(Arc::clone(source)).check()?;
            let images = image::look_at_all(&**source, threads);
            seen.add(name, source, &images);
            parts.push(PartCheck::of(name, &**source, &images));
        }
        let labelled =
            |(_, source): &(&str, &Arc<dyn Source>)| source.labelling() != Labelling::None;
        Ok(DataCheck {
            name: self.name.clone(),
            labels: self.parts().iter().all(labelled),
            notes: self.notes.clone(),
            parts,
            duplicates: seen.duplicates(),
        })
    }
}
