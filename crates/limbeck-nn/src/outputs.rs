//! What a network gives out: named taps and their values.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;

/// What a tap carries, without the batch axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapKind {
    /// A feature map `[C, H, W]`.
    Map([usize; 3]),
    /// A sequence of tokens `[N, D]`; the first `prefix` are not patches, the others form a
    /// row-major `grid` of `[rows, columns]`.
    Tokens {
        /// `[N, D]`.
        shape: [usize; 2],
        /// Number of class and distillation tokens in front.
        prefix: usize,
        /// Rows and columns of patches; `rows · columns = N − prefix`.
        grid: [usize; 2],
    },
    /// One vector `[D]`.
    Vector(usize),
    /// Attention probabilities `[heads, N, N]`, rows sum to one.
    Attention([usize; 3]),
    /// What a detector predicts `[N, 5 + K]`: a row for each anchor of each cell of its levels.
    Cells {
        /// `[N, 5 + K]`; N = anchors · Σ rows · columns.
        shape: [usize; 2],
        /// Anchors of each cell.
        anchors: usize,
        /// Rows and columns of the cells of each level, finest first.
        levels: Vec<[usize; 2]>,
    },
}

impl std::fmt::Display for TapKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TapKind::Map([c, h, w]) => write!(f, "map [{c}, {h}, {w}]"),
            TapKind::Tokens { shape: [n, d], .. } => write!(f, "tokens [{n}, {d}]"),
            TapKind::Vector(d) => write!(f, "vector [{d}]"),
            TapKind::Attention([h, n, m]) => write!(f, "attention [{h}, {n}, {m}]"),
            TapKind::Cells { shape: [n, d], .. } => write!(f, "cells [{n}, {d}]"),
        }
    }
}

/// A named place in a network where its values can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Such as `stem`, `stage2`, `stage2.preact`, `block11`, `pooled`, `logits`.
    pub name: String,
    /// What it carries.
    pub kind: TapKind,
}

/// The set of taps that a forward pass is to record. Logits are always recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taps {
    names: BTreeSet<String>,
    all: bool,
}

impl Taps {
    /// Logits alone.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything that the network offers.
    pub fn all() -> Self {
        Self {
            names: BTreeSet::new(),
            all: true,
        }
    }

    /// Whether nothing is to be recorded.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.all
    }

    /// Whether `name` is to be recorded.
    pub fn wants(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }

    /// Asks for what `other` asks for too.
    pub fn merge(&mut self, other: &Taps) {
        self.names.extend(other.names.iter().cloned());
        self.all |= other.all;
    }

    /// The names asked for one by one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Taps {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            all: false,
        }
    }
}

/// The value of a tap for a batch.
#[derive(Clone, Debug)]
pub enum Feature {
    /// `[B, C, H, W]`.
    Map(Tensor<4>),
    /// Tokens with the layout of their patches.
    Tokens {
        /// `[B, N, D]`.
        tokens: Tensor<3>,
        /// Number of class and distillation tokens in front.
        prefix: usize,
        /// Rows and columns of patches.
        grid: [usize; 2],
    },
    /// `[B, D]`.
    Vector(Tensor<2>),
    /// `[B, heads, N, N]`.
    Attention(Tensor<4>),
    /// What a detector predicts, with the layout of its levels.
    Cells {
        /// `[B, N, 5 + K]`: x, y, w, h, objectness and K classes before their sigmoids; level by level,
        /// finest first, and in a level by anchor, row and column.
        cells: Tensor<3>,
        /// Anchors of each cell.
        anchors: usize,
        /// Rows and columns of the cells of each level, finest first.
        levels: Vec<[usize; 2]>,
    },
}

impl Feature {
    /// Kind and shape without the batch axis.
    pub fn kind(&self) -> TapKind {
        match self {
            Feature::Map(map) => {
                let [_, c, h, w] = map.dims();
                TapKind::Map([c, h, w])
            }
            Feature::Tokens {
                tokens,
                prefix,
                grid,
            } => {
                let [_, n, d] = tokens.dims();
                TapKind::Tokens {
                    shape: [n, d],
                    prefix: *prefix,
                    grid: *grid,
                }
            }
            Feature::Vector(vector) => TapKind::Vector(vector.dims()[1]),
            Feature::Attention(attention) => {
                let [_, h, n, m] = attention.dims();
                TapKind::Attention([h, n, m])
            }
            Feature::Cells {
                cells,
                anchors,
                levels,
            } => {
                let [_, n, d] = cells.dims();
                TapKind::Cells {
                    shape: [n, d],
                    anchors: *anchors,
                    levels: levels.clone(),
                }
            }
        }
    }

    /// The same values as constants: no gradient passes through them, not even into a tensor that
    /// records its own.
    pub fn detach(&self) -> Self {
        match self {
            Feature::Map(map) => Feature::Map(map.clone().inner()),
            Feature::Tokens {
                tokens,
                prefix,
                grid,
            } => Feature::Tokens {
                tokens: tokens.clone().inner(),
                prefix: *prefix,
                grid: *grid,
            },
            Feature::Vector(vector) => Feature::Vector(vector.clone().inner()),
            Feature::Attention(attention) => Feature::Attention(attention.clone().inner()),
            Feature::Cells {
                cells,
                anchors,
                levels,
            } => Feature::Cells {
                cells: cells.clone().inner(),
                anchors: *anchors,
                levels: levels.clone(),
            },
        }
    }

    /// A map `[B, C, H, W]`: maps as they are, tokens with their prefix left out and their
    /// patches put back on the grid, vectors as 1×1 maps; `None` for attention and for cells.
    pub fn to_map(&self) -> Option<Tensor<4>> {
        match self {
            Feature::Map(map) => Some(map.clone()),
            Feature::Tokens {
                tokens,
                prefix,
                grid: [rows, columns],
            } => {
                let [batch, count, width] = tokens.dims();
                Some(
                    tokens
                        .clone()
                        .slice([0..batch, *prefix..count, 0..width])
                        .swap_dims(1, 2)
                        .reshape([batch, width, *rows, *columns]),
                )
            }
            Feature::Vector(vector) => {
                let [batch, width] = vector.dims();
                Some(vector.clone().reshape([batch, width, 1, 1]))
            }
            Feature::Attention(_) | Feature::Cells { .. } => None,
        }
    }

    /// A vector `[B, D]`: vectors as they are, maps averaged over positions, tokens averaged over
    /// patches; `None` for attention and for cells.
    pub fn to_vector(&self) -> Option<Tensor<2>> {
        if let Feature::Vector(vector) = self {
            return Some(vector.clone());
        }
        let map = self.to_map()?;
        let [batch, channels, height, width] = map.dims();
        Some(
            map.reshape([batch, channels, height * width])
                .mean_dim(2)
                .reshape([batch, channels]),
        )
    }

    /// The values at each position as a row `[R, D]`: a vector gives one row for each image, a map
    /// one for each pixel, tokens one for each token, attention one for each query of each head, cells
    /// one for each anchor of each cell; image by image, then row by row.
    pub fn to_rows(&self) -> Tensor<2> {
        match self {
            Feature::Vector(vector) => vector.clone(),
            Feature::Map(map) => {
                let [batch, channels, height, width] = map.dims();
                map.clone()
                    .permute([0, 2, 3, 1])
                    .reshape([batch * height * width, channels])
            }
            Feature::Tokens { tokens, .. } => tokens.clone().flatten(0, 1),
            Feature::Cells { cells, .. } => cells.clone().flatten(0, 1),
            Feature::Attention(attention) => attention.clone().flatten(0, 2),
        }
    }
}

/// What a forward pass gave out.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// What the network predicts, before any softmax: a vector `[B, K]` of a classifier, a map
    /// `[B, K, h, w]` of a network that segments, cells `[B, N, 5 + K]` of a detector.
    pub prediction: Feature,
    /// Recorded taps by name.
    pub features: BTreeMap<String, Feature>,
}

impl Outputs {
    /// Outputs of a classifier with logits `[B, K]` alone.
    pub fn from_logits(logits: Tensor<2>) -> Self {
        Self {
            prediction: Feature::Vector(logits),
            features: BTreeMap::new(),
        }
    }

    /// The prediction as rows of logits ([`Feature::to_rows`]): `[B, K]` of a classifier.
    pub fn logits(&self) -> Tensor<2> {
        self.prediction.to_rows()
    }

    /// The recorded tap `name`.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.get(name)
    }

    /// The same values as constants: no gradient passes through them, not even into a tensor that
    /// records its own.
    pub fn detach(&self) -> Self {
        Self {
            prediction: self.prediction.detach(),
            features: self
                .features
                .iter()
                .map(|(name, feature)| (name.clone(), feature.detach()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int};

    use super::*;

    #[test]
    fn rows_follow_images_then_positions() {
        let count = |shape: [usize; 4]| {
            let count = shape.iter().product::<usize>() as i64;
            Tensor::<1, Int>::arange(0..count, &Device::flex())
                .float()
                .reshape(shape)
        };
        let rows = Feature::Map(count([2, 3, 1, 2])).to_rows();
        assert_eq!(rows.dims(), [4, 3]);
        let found: Vec<f32> = rows.into_data().iter().collect();
        assert_eq!(found, [0., 2., 4., 1., 3., 5., 6., 8., 10., 7., 9., 11.]);
        assert_eq!(
            Feature::Attention(count([2, 3, 4, 4])).to_rows().dims(),
            [24, 4]
        );
    }
}
