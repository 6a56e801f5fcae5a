//! Where in student and teacher the compared features are.

use burn::tensor::Tensor;
use limbeck_nn::{Feature, Outputs, Tap, TapKind, Taps};

use super::{Cakd, Projections};
use crate::{
    MethodError, Probe, connector::resize_map, criterion::require_teacher, pairs::map_shape,
};

const ID: &str = Cakd::ID;
/// Embeddings of both networks.
const POOLED: &str = "pooled";
/// The teacher's tokens after all blocks.
const TOKENS: &str = "tokens";

/// Taps of student and teacher, and the shapes that follow from them.
#[derive(Debug)]
pub(super) struct Source {
    /// The student's map.
    student: Tap,
    /// Index of the teacher's block whose attention is compared.
    block: usize,
    /// Rows and columns of the teacher's patches.
    grid: [usize; 2],
    /// Tokens in front that are no patches.
    pub prefix: usize,
    /// The teacher's heads.
    pub heads: usize,
    /// Length of the teacher's tokens.
    pub width: usize,
    /// Length of the student's embedding.
    pub embedding: usize,
    /// The student's map on the grid, `[C, rows, columns]`.
    pub map: [usize; 3],
}

impl Source {
    /// Finds them: the last block of the teacher, the deepest stage of the student with its grid,
    /// or with `resize` the one nearest to it. Both can be named as a pair.
    ///
    /// # Errors
    /// No teacher, one without attention, no such map.
    pub fn find(probe: &Probe, resize: bool) -> Result<Self, MethodError> {
        let teacher = require_teacher(ID, probe)?;
        let named = match probe.pairs.as_deref() {
            None => None,
            Some([pair]) => Some(pair),
            Some(pairs) => {
                return Err(MethodError::Pairs {
                    method: ID.to_owned(),
                    reason: format!("compares one pair of layers, found {}", pairs.len()),
                });
            }
        };
        let block = block(teacher, named.map(|(_, teacher)| teacher.as_str()))?;
        let attention = tap(teacher, "teacher", &format!("attention{block}"))?;
        let query = tap(teacher, "teacher", &format!("query{block}"))?;
        let (
            TapKind::Attention([heads, ..]),
            TapKind::Tokens {
                shape,
                prefix,
                grid,
            },
        ) = (&attention.kind, &query.kind)
        else {
            return Err(without_attention());
        };
        let student = match named {
            Some((student, _)) => tap(&probe.student, "student", student)?,
            None => stage(&probe.student, *grid, resize)?,
        };
        let shape_of = map_shape(&student.kind);
        let Some([channels, rows, columns]) = shape_of.filter(|_| is_map(student)) else {
            return Err(MethodError::Shape {
                method: ID,
                feature: format!("student `{}` ({})", student.name, student.kind),
                reason: "a map is compared; name a stage".to_owned(),
            });
        };
        if [rows, columns] != *grid && !resize {
            return Err(mismatch(student, *grid));
        }
        let pooled = tap(&probe.student, "student", POOLED)?;
        let TapKind::Vector(embedding) = pooled.kind else {
            return Err(MethodError::Shape {
                method: ID,
                feature: format!("student `{POOLED}` ({})", pooled.kind),
                reason: "an embedding is a vector".to_owned(),
            });
        };
        Ok(Self {
            block,
            grid: *grid,
            prefix: *prefix,
            heads: *heads,
            width: shape[1],
            embedding,
            map: [channels, grid[0], grid[1]],
            student: student.clone(),
        })
    }

    /// Number of patches.
    pub fn patches(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// The layers that are compared.
    pub fn pair(&self) -> (String, String) {
        (self.student.name.clone(), format!("block{}", self.block))
    }

    pub fn student_taps(&self) -> Taps {
        Taps::from_iter([self.student.name.as_str(), POOLED])
    }

    pub fn teacher_taps(&self) -> Taps {
        let projections = ["query", "key", "value"].map(|name| format!("{name}{}", self.block));
        let others = [TOKENS, POOLED].map(str::to_owned);
        projections.into_iter().chain(others).collect()
    }

    /// The student's map on the grid, `[B, C, rows, columns]`.
    pub fn student_map(&self, student: &Outputs) -> Result<Tensor<4>, MethodError> {
        let map = feature(student, &self.student.name)?.to_map();
        let map = map.ok_or_else(|| missing(&self.student.name))?;
        Ok(resize_map(map, self.grid))
    }

    /// The student's embedding, `[B, E]`.
    pub fn student_embedding(&self, student: &Outputs) -> Result<Tensor<2>, MethodError> {
        vector(student)
    }

    /// The teacher's embedding, `[B, D]`.
    pub fn teacher_embedding(&self, teacher: &Outputs) -> Result<Tensor<2>, MethodError> {
        vector(teacher)
    }

    /// The teacher's projections of all tokens, `[B, prefix + N, D]` each.
    pub fn projections(&self, teacher: &Outputs) -> Result<Projections, MethodError> {
        let of = |name: &str| sequence(teacher, &format!("{name}{}", self.block));
        Ok(Projections {
            queries: of("query")?,
            keys: of("key")?,
            values: of("value")?,
        })
    }

    /// The teacher's patches, `[B, N, D]`.
    pub fn patch_tokens(&self, teacher: &Outputs) -> Result<Tensor<3>, MethodError> {
        let tokens = sequence(teacher, TOKENS)?;
        let count = tokens.dims()[1] - self.prefix;
        Ok(tokens.narrow(1, self.prefix, count))
    }
}

impl Projections {
    /// Without the first `prefix` tokens, which are no patches.
    pub fn patches(&self, prefix: usize) -> Self {
        let cut = |tokens: &Tensor<3>| {
            let count = tokens.dims()[1] - prefix;
            tokens.clone().narrow(1, prefix, count)
        };
        Self {
            queries: cut(&self.queries),
            keys: cut(&self.keys),
            values: cut(&self.values),
        }
    }
}

fn is_map(tap: &Tap) -> bool {
    matches!(tap.kind, TapKind::Map(_) | TapKind::Tokens { .. })
}

fn number(name: &str, prefix: &str) -> Option<usize> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// The teacher's block that is named, or its last one with attention.
fn block(teacher: &[Tap], named: Option<&str>) -> Result<usize, MethodError> {
    let blocks = || {
        teacher
            .iter()
            .filter_map(|tap| number(&tap.name, "attention"))
    };
    let Some(last) = blocks().max() else {
        return Err(without_attention());
    };
    let Some(named) = named else {
        return Ok(last);
    };
    number(named, "block")
        .filter(|&index| blocks().any(|block| block == index))
        .ok_or_else(|| MethodError::UnknownTap {
            method: ID,
            side: "teacher",
            tap: named.to_owned(),
            available: blocks().map(|block| format!("block{block}")).collect(),
        })
}

/// The deepest stage with the grid, or the one with the nearest number of positions.
fn stage(student: &[Tap], grid: [usize; 2], resize: bool) -> Result<&Tap, MethodError> {
    let stages: Vec<&Tap> = student
        .iter()
        .filter(|tap| number(&tap.name, "stage").is_some() && is_map(tap))
        .collect();
    let size = |tap: &Tap| map_shape(&tap.kind).map(|[_, rows, columns]| [rows, columns]);
    let fitting = stages.iter().rev().find(|tap| size(tap) == Some(grid));
    let distance = |tap: &Tap| {
        let positions = size(tap).map_or(1, |[rows, columns]| rows * columns);
        ((positions as f64).ln() - ((grid[0] * grid[1]) as f64).ln()).abs()
    };
    let nearest = stages
        .iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)));
    match (fitting, nearest) {
        (Some(tap), _) => Ok(tap),
        (None, Some(tap)) if resize => Ok(tap),
        (None, Some(tap)) => Err(mismatch(tap, grid)),
        (None, None) => Err(missing("stage1")),
    }
}

fn tap<'a>(taps: &'a [Tap], side: &'static str, name: &str) -> Result<&'a Tap, MethodError> {
    let found = taps.iter().find(|tap| tap.name == name);
    found.ok_or_else(|| MethodError::UnknownTap {
        method: ID,
        side,
        tap: name.to_owned(),
        available: taps.iter().map(|tap| tap.name.clone()).collect(),
    })
}

fn feature<'a>(outputs: &'a Outputs, name: &str) -> Result<&'a Feature, MethodError> {
    outputs.feature(name).ok_or_else(|| missing(name))
}

fn sequence(outputs: &Outputs, name: &str) -> Result<Tensor<3>, MethodError> {
    match feature(outputs, name)? {
        Feature::Tokens { tokens, .. } => Ok(tokens.clone()),
        _ => Err(missing(name)),
    }
}

fn vector(outputs: &Outputs) -> Result<Tensor<2>, MethodError> {
    let vector = feature(outputs, POOLED)?.to_vector();
    vector.ok_or_else(|| missing(POOLED))
}

fn missing(name: &str) -> MethodError {
    MethodError::Batch {
        method: ID,
        reason: format!("needs the tap `{name}` in its shape, which is not there"),
    }
}

fn without_attention() -> MethodError {
    MethodError::Shape {
        method: ID,
        feature: "the teacher".to_owned(),
        reason: "it has no attention whose relations could be taught; use a vision transformer"
            .to_owned(),
    }
}

fn mismatch(student: &Tap, [rows, columns]: [usize; 2]) -> MethodError {
    MethodError::Mismatch {
        method: ID,
        student: format!("`{}` ({})", student.name, student.kind),
        teacher: format!("patches on a grid of {rows}×{columns}"),
        reason: "both have to have as many positions; name a student stage of that size with \
                 `pairs` in [method], or set `resize` to true"
            .to_owned(),
    }
}
