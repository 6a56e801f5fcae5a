//! Tensors that an operation may do without.

use burn::backend::{Backend, ExtensionType, tensor::FloatTensor};

/// An argument of a backend's operation that need not be there; an `Option` cannot be one.
#[derive(Clone, Debug, ExtensionType)]
pub enum Optional<B: Backend> {
    /// There is none.
    Absent,
    /// There is this one.
    Present(FloatTensor<B>),
}

impl<B: Backend> Optional<B> {
    /// The same as an argument.
    pub fn new(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Self::Absent, Self::Present)
    }

    /// The same as an option.
    pub fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Absent => None,
            Self::Present(tensor) => Some(tensor),
        }
    }
}
