//! What is known of an image besides its pixels.

use super::BoxLabel;
use crate::Mask;

/// What is known of one image.
#[derive(Clone, Debug, PartialEq)]
pub enum Annotation {
    /// Nothing.
    None,
    /// Its class, a position in [`Source::classes`](super::Source::classes).
    Class(usize),
    /// The class of each of its pixels.
    Mask(Mask),
    /// The boxes around its objects, in pixels of the image; none where there is nothing but background.
    Boxes(Vec<BoxLabel>),
}

impl Annotation {
    /// The class, where there is one.
    #[must_use]
    pub fn class(&self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(*class),
            Self::None | Self::Mask(_) | Self::Boxes(_) => None,
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
    /// The class of each pixel.
    Masks,
    /// Boxes around the objects of each.
    Boxes,
}
