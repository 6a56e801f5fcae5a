//! What the student's head reads, as tokens and back.

use burn::tensor::Tensor;
use limbeck_nn::{Feature, Tap, TapKind};

use super::states::{Layout, mean_of, positions};
use crate::MethodError;

/// What the student's head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Tokens, of which so many in front are not patches.
    Tokens {
        /// Class and distillation tokens.
        prefix: usize,
    },
    /// The average of a map's positions.
    Average,
    /// Each pixel of a map.
    Pixels,
}

impl Reading {
    /// What the head reads by its `tap`, and its width D; `segments` of a network that predicts pixels.
    ///
    /// # Errors
    /// Neither tokens nor a map.
    pub fn of(
        method: &'static str,
        tap: &Tap,
        segments: bool,
    ) -> Result<(Self, usize), MethodError> {
        match tap.kind {
            TapKind::Tokens {
                shape: [_, width],
                prefix,
                ..
            } => Ok((Self::Tokens { prefix }, width)),
            TapKind::Map([width, ..]) => Ok((
                match segments {
                    true => Self::Pixels,
                    false => Self::Average,
                },
                width,
            )),
            TapKind::Vector(_) | TapKind::Attention(_) | TapKind::Cells { .. } => {
                Err(MethodError::Shape {
                    method,
                    feature: format!(
                        "what the student's head reads, `{}` ({})",
                        tap.name, tap.kind
                    ),
                    reason: "tokens or a map are rebuilt from prototypes; choose another student"
                        .to_owned(),
                })
            }
        }
    }

    /// How the teacher's states are laid out for a head that reads `own`.
    pub fn layout(self, own: &Feature) -> Layout {
        match self {
            Self::Tokens { prefix } => Layout {
                leading: prefix,
                within: None,
            },
            Self::Average => Layout {
                leading: 1,
                within: None,
            },
            Self::Pixels => Layout {
                leading: 0,
                within: Some(self.grid(own)),
            },
        }
    }

    /// Of the tokens `[B, N, D]` of a layout those that matter to the head: token 0 alone where it
    /// averages, since the others are not asked.
    pub fn read(self, tokens: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Average => tokens.narrow(1, 0, 1),
            Self::Tokens { .. } | Self::Pixels => tokens,
        }
    }

    /// What the head reads as tokens `[B, N, D]`, those that do not matter left out.
    ///
    /// # Errors
    /// A feature of another kind.
    pub fn tokens(self, method: &'static str, own: &Feature) -> Result<Tensor<3>, MethodError> {
        match (self, own) {
            (Self::Tokens { .. }, Feature::Tokens { tokens, .. }) => Ok(tokens.clone()),
            (Self::Average, Feature::Map(map)) => Ok(mean_of(map)),
            (Self::Pixels, Feature::Map(map)) => Ok(positions(map.clone())),
            (_, other) => Err(MethodError::Batch {
                method,
                reason: format!("the student's head was found to read a {}", other.kind()),
            }),
        }
    }

    /// Rows and columns of the positions of a feature.
    pub fn grid(self, own: &Feature) -> [usize; 2] {
        match own.kind() {
            TapKind::Tokens { grid, .. } => grid,
            TapKind::Map([_, height, width]) => [height, width],
            TapKind::Vector(_) | TapKind::Attention(_) | TapKind::Cells { .. } => [1, 1],
        }
    }

    /// Tokens `[B, N, D]` on `grid` as the head reads them.
    pub fn feature(self, tokens: Tensor<3>, grid: [usize; 2]) -> Feature {
        let [batch, _, width] = tokens.dims();
        match self {
            Self::Tokens { prefix } => Feature::Tokens {
                tokens,
                prefix,
                grid,
            },
            Self::Average => Feature::Vector(tokens.reshape([batch, width])),
            Self::Pixels => {
                let [height, columns] = grid;
                let map = tokens.swap_dims(1, 2);
                Feature::Map(map.reshape([batch, width, height, columns]))
            }
        }
    }
}
