//! What is known of an image besides its pixels.

/// What is known of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotation {
    /// Nothing.
    None,
    /// Its class, a position in [`Source::classes`](super::Source::classes).
    Class(usize),
}

impl Annotation {
    /// The class, where there is one.
    #[must_use]
    pub fn class(self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Class(class) => Some(class),
        }
    }
}

/// What a source knows of all of its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labelling {
    /// Nothing: they are pictures without labels.
    None,
    /// The class of each.
    Classes,
}
