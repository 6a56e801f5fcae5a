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
}

impl std::fmt::Display for TapKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TapKind::Map([c, h, w]) => write!(f, "map [{c}, {h}, {w}]"),
            TapKind::Tokens { shape: [n, d], .. } => write!(f, "tokens [{n}, {d}]"),
            TapKind::Vector(d) => write!(f, "vector [{d}]"),
            TapKind::Attention([h, n, m]) => write!(f, "attention [{h}, {n}, {m}]"),
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
        }
    }

    /// A map `[B, C, H, W]`: maps as they are, tokens with their prefix left out and their
    /// patches put back on the grid, vectors as 1×1 maps; `None` for attention.
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
            Feature::Attention(_) => None,
        }
    }

    /// A vector `[B, D]`: vectors as they are, maps averaged over positions, tokens averaged over
    /// patches; `None` for attention.
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
}

/// What a forward pass gave out.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// `[B, K]`, before any softmax.
    pub logits: Tensor<2>,
    /// Recorded taps by name.
    pub features: BTreeMap<String, Feature>,
}

impl Outputs {
    /// Outputs with logits alone.
    pub fn from_logits(logits: Tensor<2>) -> Self {
        Self {
            logits,
            features: BTreeMap::new(),
        }
    }

    /// The recorded tap `name`.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.get(name)
    }

    /// The same values as constants: no gradient passes through them, not even into a tensor that
    /// records its own.
    pub fn detach(&self) -> Self {
        Self {
            logits: self.logits.clone().inner(),
            features: self
                .features
                .iter()
                .map(|(name, feature)| (name.clone(), feature.detach()))
                .collect(),
        }
    }
}
