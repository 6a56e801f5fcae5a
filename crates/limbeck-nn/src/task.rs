//! What networks are for.

use crate::TapKind;

/// The kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// One class of each image.
    Classification,
    /// One class of each pixel.
    Segmentation,
    /// Boxes around objects, with a class of each.
    Detection,
    /// No classes: an embedding of each image, to be used for other tasks.
    Pretraining,
}

impl TaskKind {
    /// The task whose predictions are of that kind: vectors classify images, maps pixels,
    /// cells find boxes.
    pub fn of(prediction: &TapKind) -> Option<Self> {
        match prediction {
            TapKind::Vector(_) => Some(Self::Classification),
            TapKind::Map(_) => Some(Self::Segmentation),
            TapKind::Cells { .. } => Some(Self::Detection),
            TapKind::Tokens { .. } | TapKind::Attention(_) => None,
        }
    }
}

impl std::fmt::Display for TaskKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Classification => "classification",
            Self::Segmentation => "segmentation",
            Self::Detection => "detection",
            Self::Pretraining => "pre-training",
        })
    }
}
