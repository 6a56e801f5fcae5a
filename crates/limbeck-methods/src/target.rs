//! What is known of the images of a batch.

use burn::tensor::{Int, Tensor};

use crate::{MethodError, detection::TargetBox};

/// What is known of the images of a batch, on the device.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a batch has one, and hardly any is without labels"
)]
pub enum Target {
    /// Nothing: the images have no labels.
    None,
    /// A class of each image.
    Classes {
        /// `[B]`; under mixing, the class with the greater share.
        labels: Tensor<1, Int>,
        /// Share of each class in each image, `[B, K]`, rows sum to one; `None` where the labels
        /// say all.
        shares: Option<Tensor<2>>,
    },
    /// A class of each pixel, `[B, H, W]`; [`limbeck_data::VOID`] where nothing is known.
    Masks(Tensor<3, Int>),
    /// Boxes on the images, in any order.
    Boxes {
        /// Each says which image it is on.
        boxes: Vec<TargetBox>,
        /// Number of images, B.
        images: usize,
    },
}

impl Target {
    /// Whole images of these classes `[B]`.
    pub fn labels(labels: Tensor<1, Int>) -> Self {
        Self::Classes {
            labels,
            shares: None,
        }
    }

    /// The class of each pixel, `[B, H, W]`, for the method called `method`.
    ///
    /// # Errors
    /// [`MethodError::NoLabels`], and labels of whole images.
    pub fn masks(&self, method: &str) -> Result<&Tensor<3, Int>, MethodError> {
        let reader = || format!("method `{method}`");
        match self {
            Self::Masks(masks) => Ok(masks),
            Self::None => Err(MethodError::NoLabels { reader: reader() }),
            Self::Classes { .. } => Err(MethodError::LabelKind {
                reader: reader(),
                wanted: "a class of each pixel",
                found: "a class of each image",
            }),
            Self::Boxes { .. } => Err(MethodError::LabelKind {
                reader: reader(),
                wanted: "a class of each pixel",
                found: "boxes around objects",
            }),
        }
    }

    /// The class of each image, `[B]`, and the shares of all classes where images are mixed,
    /// `[B, K]`, for the method called `method`.
    ///
    /// # Errors
    /// [`MethodError::NoLabels`].
    pub fn classes(
        &self,
        method: &str,
    ) -> Result<(&Tensor<1, Int>, Option<&Tensor<2>>), MethodError> {
        match self {
            Self::Classes { labels, shares } => Ok((labels, shares.as_ref())),
            Self::None => Err(MethodError::NoLabels {
                reader: format!("method `{method}`"),
            }),
            Self::Masks(_) => Err(MethodError::LabelKind {
                reader: format!("method `{method}`"),
                wanted: "a class of each image",
                found: "a class of each pixel",
            }),
            Self::Boxes { .. } => Err(MethodError::LabelKind {
                reader: format!("method `{method}`"),
                wanted: "a class of each image",
                found: "boxes around objects",
            }),
        }
    }
}
