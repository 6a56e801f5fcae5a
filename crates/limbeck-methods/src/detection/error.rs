//! What can go wrong with boxes.

/// Errors of detection.
#[derive(Debug, thiserror::Error)]
pub enum DetectionError {
    /// Anchors that no network can have.
    #[error("anchors: {reason}")]
    Anchors {
        /// What was found, what is needed.
        reason: String,
    },
    /// A setting is out of its range.
    #[error("`{key}` must be {expected}, found {found}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// Numbers or tensors of another shape than is needed.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Such as `the raw map of level 1`.
        what: String,
        /// Shape that fits.
        expected: String,
        /// Shape given.
        found: String,
    },
    /// A box to be learnt or measured with that is none, or of no class or image there is.
    #[error("{what} {index}: {reason}")]
    Row {
        /// Such as `target`.
        what: &'static str,
        /// Its place in the list.
        index: usize,
        /// What was found, what is needed.
        reason: String,
    },
}
