//! Which images of a data set a model is measured on.

use std::sync::Arc;

use crate::dataset::Part;
use crate::open::OpenOptions;
use crate::source::Joined;
use crate::{DataError, Found};

/// A part of a data set, to measure a model on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// What networks are trained on.
    Train,
    /// What epochs are chosen by.
    Validation,
    /// What is held back until the end.
    Test,
    /// All images of all parts.
    All,
}

impl Measured {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::All => "all",
        }
    }
}

impl Found {
    /// The part that is measured where none is named: the test part where the data has one of its
    /// own, else all images, unless a run has set a test part of these images aside (`split`).
    #[must_use]
    pub fn usually_measured(&self, split: bool) -> Measured {
        match self.test.is_some() || split {
            true => Measured::Test,
            false => Measured::All,
        }
    }

    /// The images of a part. What the data does not bring is taken from its training part as
    /// `options` say.
    ///
    /// # Errors
    /// A part that is not there and cannot be taken from another.
    pub fn measured(self, part: Measured, options: &OpenOptions) -> Result<Part, DataError> {
        let own = match part {
            Measured::Train | Measured::All => None,
            Measured::Validation => self.validation.clone(),
            Measured::Test => self.test.clone(),
        };
        if let Some(own) = own {
            return checked(Part::all(own));
        }
        if part == Measured::All {
            for (_, source) in self.parts() {
                Part::all(Arc::clone(source)).check_masks()?;
            }
            let mut sources = self
                .parts()
                .into_iter()
                .map(|(_, source)| Arc::clone(source));
            let Some(first) = sources.next() else {
                return Err(DataError::EmptyPart {
                    part: "whole",
                    reason: format!("{} has no images", self.name),
                });
            };
            return checked(Part::all(Arc::new(Joined::new(first, sources))));
        }
        let dataset = self.split(options)?;
        Ok(match part {
            Measured::Train | Measured::All => dataset.train,
            Measured::Validation => dataset.validation,
            Measured::Test => dataset.test,
        })
    }
}

fn checked(part: Part) -> Result<Part, DataError> {
    part.check()?;
    part.check_masks()?;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Packed, Source};

    fn source(count: usize) -> Arc<dyn Source> {
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let labels = (0..count).map(|i| (i % 2) as u8).collect();
        Arc::new(Packed::new(classes, [1, 1, 1], labels, vec![0; count]).unwrap())
    }

    fn found(train: Option<usize>, test: Option<usize>) -> Found {
        Found {
            name: "set".to_owned(),
            train: train.map(source),
            validation: None,
            test: test.map(source),
            notes: Vec::new(),
        }
    }

    fn sizes(found: &Found) -> Vec<usize> {
        [
            Measured::Train,
            Measured::Validation,
            Measured::Test,
            Measured::All,
        ]
        .map(|part| found.clone().measured(part, &OpenOptions::default()))
        .into_iter()
        .map(|part| part.map_or(0, |part| part.len()))
        .collect()
    }

    #[test]
    fn a_set_without_parts_is_measured_whole_unless_a_run_has_split_it() {
        let set = found(Some(100), None);
        assert_eq!(set.usually_measured(false), Measured::All);
        assert_eq!(set.usually_measured(true), Measured::Test);
        assert_eq!(sizes(&set), [72, 8, 20, 100]);
    }

    #[test]
    fn a_test_part_of_its_own_is_what_is_measured() {
        let set = found(Some(100), Some(30));
        assert_eq!(set.usually_measured(false), Measured::Test);
        assert_eq!(sizes(&set), [90, 10, 30, 130]);
        let alone = found(None, Some(30));
        assert_eq!(alone.usually_measured(false), Measured::Test);
        assert_eq!(sizes(&alone), [0, 0, 30, 30]);
    }
}
