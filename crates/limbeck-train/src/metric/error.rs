//! Errors of metrics.

use limbeck_methods::MethodError;

/// Errors of metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// Logits, labels and choices of different numbers of images.
    #[error("expected {expected} {what} for {images} images of {classes} classes, found {found}")]
    Length {
        /// `logits` or `choices of the teacher`.
        what: &'static str,
        /// Number that fits the labels.
        expected: usize,
        /// Number given.
        found: usize,
        /// Number of labels.
        images: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A label that is no class.
    #[error("label {label} of image {image} is not one of the classes 0..{classes}")]
    Label {
        /// The label.
        label: i64,
        /// Index in what was added.
        image: usize,
        /// Number of classes.
        classes: usize,
    },
    /// Embeddings that recall cannot be taken of.
    #[error(transparent)]
    Recall(#[from] MethodError),
}
