//! Which images a family takes.

use crate::{InputShape, NnError};

/// Heights and widths that a family takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSizes {
    /// Both of at least this many pixels: each of the family's halvings then has two pixels to
    /// halve.
    AtLeast(usize),
    /// Both a multiple of this many pixels.
    MultipleOf(usize),
}

impl ImageSizes {
    /// Refuses what the family called `model` cannot be built for.
    ///
    /// # Errors
    /// [`NnError::Unsupported`].
    pub fn check(self, model: &str, input: InputShape) -> Result<(), NnError> {
        let InputShape {
            channels,
            height,
            width,
            ..
        } = input;
        let reason = if channels == 0 {
            "found 0 colour channels, it needs at least 1".to_owned()
        } else if [height, width].iter().all(|&length| self.takes(length)) {
            return Ok(());
        } else {
            let advice = self.advice(height, width);
            format!("found images of {height}×{width} pixels, it needs {self}{advice}")
        };
        Err(NnError::Unsupported {
            model: model.to_owned(),
            reason,
        })
    }

    /// What to do about images that are no multiples: the next larger ones that are.
    fn advice(self, height: usize, width: usize) -> String {
        let ImageSizes::MultipleOf(step) = self else {
            return String::new();
        };
        let [height, width] =
            [height, width].map(|length| length.max(1).div_ceil(step).saturating_mul(step));
        format!("; bring them to {height}×{width}, with augment.size in a recipe")
    }

    fn takes(self, length: usize) -> bool {
        match self {
            ImageSizes::AtLeast(minimum) => length >= minimum,
            ImageSizes::MultipleOf(step) => length > 0 && length.is_multiple_of(step),
        }
    }
}

impl std::fmt::Display for ImageSizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImageSizes::AtLeast(minimum) => write!(f, "sides of at least {minimum}"),
            ImageSizes::MultipleOf(step) => write!(f, "sides that are multiples of {step}"),
        }
    }
}
