//! What can be wrong with stored features and what is asked of them.

use std::path::{Path, PathBuf};

use limbeck_methods::MethodError;
use limbeck_nn::weights::WeightsError;

/// Errors of few-shot classification.
#[derive(Debug, thiserror::Error)]
pub enum FewshotError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// What is in a file cannot be used.
    #[error("`{}`: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found, what is needed.
        reason: String,
    },
    /// What is asked for cannot be.
    #[error("{0}")]
    Setting(String),
    /// A setting of the method, or features that it cannot use.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// Training led nowhere.
    #[error(
        "with {shots} shots, draw {draw}, the adapter's numbers grew beyond what single precision \
         holds; lower its learning rate (--set learning_rate=…, --set text_learning_rate=…)"
    )]
    NotFinite {
        /// Images of each class.
        shots: usize,
        /// Counted from 1.
        draw: usize,
    },
}

impl FewshotError {
    /// About what is in the file `path`.
    pub(super) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
