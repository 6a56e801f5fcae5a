//! Which layers of student and teacher are compared.
//!
//! By default the ends of the stages, which all networks name `stage1`, `stage2`, …, and of detectors the
//! levels that their heads read, `p3`, `p4`, …: the last stages of both networks belong together, the others go where the resolution is closest.

use burn::tensor::Tensor;
use limbeck_nn::{Feature, IMAGE, Outputs, Tap, TapKind};

use crate::{MethodError, Probe, criterion::require_teacher};

/// Proposes layer pairs `(student tap, teacher tap)`, shallow to deep, by the stages of both
/// networks: the last with the last; before that, as many pairs as the network with fewer stages
/// allows, in order, so that the resolutions within the pairs are as equal as can be, and as deep
/// as can be where that leaves a choice. Empty where a network has no stages.
pub fn propose_pairs(student: &[Tap], teacher: &[Tap]) -> Vec<(String, String)> {
    let (student, teacher) = (stages(student), stages(teacher));
    let mut chosen = align(&student, &teacher).1;
    chosen.reverse();
    chosen
        .into_iter()
        .map(|(i, j)| (student[i].name.clone(), teacher[j].name.clone()))
        .collect()
}

/// The best alignment that ends with both last stages: how unequal its resolutions are, and the
/// indices, deep to shallow. Tries them all; networks have few stages.
fn align(student: &[&Tap], teacher: &[&Tap]) -> (f64, Vec<(usize, usize)>) {
    let count = student.len().min(teacher.len());
    let (Some(i), Some(j)) = (student.len().checked_sub(1), teacher.len().checked_sub(1)) else {
        return (0.0, Vec::new());
    };
    let pixels = |tap: &Tap| map_shape(&tap.kind).map_or(1, |[_, h, w]| h * w) as f64;
    let unequal = (pixels(student[i]).ln() - pixels(teacher[j]).ln()).abs();
    let mut best = (0.0, Vec::new());
    if count > 1 {
        best.0 = f64::INFINITY;
        for (s, t) in shorter_by(student.len() - 1, teacher.len() - 1, count - 1) {
            let candidate = align(&student[..s], &teacher[..t]);
            if candidate.0 < best.0 {
                best = candidate;
            }
        }
    }
    best.0 += unequal;
    best.1.insert(0, (i, j));
    best
}

/// How many stages of both networks may be left for `count` more pairs, the deepest choice first.
fn shorter_by(
    student: usize,
    teacher: usize,
    count: usize,
) -> impl Iterator<Item = (usize, usize)> {
    (count..=student)
        .rev()
        .flat_map(move |s| (count..=teacher).rev().map(move |t| (s, t)))
        .filter(move |&(s, t)| s.min(t) == count)
}

/// The ends of a network's stages, shallow to deep; of a detector the levels that its head reads.
pub(crate) fn stages(taps: &[Tap]) -> Vec<&Tap> {
    let levels = numbered(taps, "p");
    match levels.is_empty() {
        true => numbered(taps, "stage"),
        false => levels,
    }
}

/// Taps that are called by `prefix` and a number, in forward order.
pub(crate) fn numbered<'a>(taps: &'a [Tap], prefix: &str) -> Vec<&'a Tap> {
    let is_numbered = |tap: &&Tap| {
        let number = tap.name.strip_prefix(prefix);
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    taps.iter().filter(is_numbered).collect()
}

/// Names of a network's blocks, `block0`, `block1`, …, shallow to deep; of a network that shows
/// none, the ends of its stages.
pub fn blocks(taps: &[Tap]) -> Vec<String> {
    let numbered = |tap: &&Tap| {
        let number = tap.name.strip_prefix("block");
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut found: Vec<&Tap> = taps.iter().filter(numbered).collect();
    if found.is_empty() {
        found = stages(taps);
    }
    found.into_iter().map(|tap| tap.name.clone()).collect()
}

/// The tap that holds a network's embedding.
const EMBEDDING: &str = "pooled";

/// The pair of the embeddings; none where a network has no tap for it.
pub(crate) fn embeddings(student: &[Tap], teacher: &[Tap]) -> Vec<(String, String)> {
    let has_embedding = |taps: &[Tap]| taps.iter().any(|tap| tap.name == EMBEDDING);
    match has_embedding(student) && has_embedding(teacher) {
        true => vec![(EMBEDDING.to_owned(), EMBEDDING.to_owned())],
        false => Vec::new(),
    }
}

/// Channels, height and width of what [`Feature::to_map`] makes of such a feature; `None` for
/// attention.
pub(crate) fn map_shape(kind: &TapKind) -> Option<[usize; 3]> {
    match kind {
        TapKind::Map(shape) => Some(*shape),
        TapKind::Tokens {
            shape: [_, width],
            grid: [rows, columns],
            ..
        } => Some([*width, *rows, *columns]),
        TapKind::Vector(width) => Some([*width, 1, 1]),
        TapKind::Attention(_) | TapKind::Cells { .. } => None,
    }
}

/// A layer of each network whose features can be read as maps.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// Tap of the student.
    pub student: Tap,
    /// Tap of the teacher.
    pub teacher: Tap,
    /// `[C, H, W]` of the student's map.
    pub student_shape: [usize; 3],
    /// `[C, H, W]` of the teacher's map.
    pub teacher_shape: [usize; 3],
}

impl Pair {
    /// Both names.
    pub fn names(&self) -> (String, String) {
        (self.student.name.clone(), self.teacher.name.clone())
    }

    /// That the two cannot be brought together.
    pub fn mismatch(&self, method: &'static str, reason: String) -> MethodError {
        let named = |tap: &Tap| format!("`{}` ({})", tap.name, tap.kind);
        MethodError::Mismatch {
            method,
            student: named(&self.student),
            teacher: named(&self.teacher),
            reason,
        }
    }

    /// The student's map `[B, C, H, W]`.
    pub fn student_map(
        &self,
        method: &'static str,
        student: &Outputs,
    ) -> Result<Tensor<4>, MethodError> {
        map_of(method, "student", student, &self.student.name)
    }

    /// The teacher's map `[B, C, H, W]`.
    pub fn teacher_map(
        &self,
        method: &'static str,
        teacher: &Outputs,
    ) -> Result<Tensor<4>, MethodError> {
        map_of(method, "teacher", teacher, &self.teacher.name)
    }
}

/// The pairs that the user named, or else those of `default`.
pub(crate) fn resolve_pairs(
    method: &'static str,
    probe: &Probe,
    default: impl FnOnce(&[Tap], &[Tap]) -> Vec<(String, String)>,
) -> Result<Vec<Pair>, MethodError> {
    let teacher = require_teacher(method, probe)?;
    let names = match &probe.pairs {
        Some(pairs) => pairs.clone(),
        None => default(&probe.student, teacher),
    };
    if names.is_empty() {
        return Err(MethodError::Pairs {
            method: method.to_owned(),
            reason: "there are no layers to compare; name some with `pairs` in [method], see \
                     `limbeck inspect`"
                .to_owned(),
        });
    }
    names
        .into_iter()
        .map(|(student_name, teacher_name)| {
            let (student, student_shape) =
                find_map(method, "student", &probe.student, &student_name)?;
            let (teacher, teacher_shape) = find_map(method, "teacher", teacher, &teacher_name)?;
            Ok(Pair {
                student,
                teacher,
                student_shape,
                teacher_shape,
            })
        })
        .collect()
}

/// As [`resolve_pairs`], for methods that compare one pair.
pub(crate) fn resolve_pair(
    method: &'static str,
    probe: &Probe,
    default: impl FnOnce(&[Tap], &[Tap]) -> Vec<(String, String)>,
) -> Result<Pair, MethodError> {
    let mut pairs = resolve_pairs(method, probe, default)?;
    match (pairs.pop(), pairs.len()) {
        (Some(pair), 0) => Ok(pair),
        (_, more) => Err(MethodError::Pairs {
            method: method.to_owned(),
            reason: format!("it compares one pair of layers, {} were named", more + 1),
        }),
    }
}

/// The tap called `name` with the shape of its map.
pub(crate) fn find_map(
    method: &'static str,
    side: &'static str,
    taps: &[Tap],
    name: &str,
) -> Result<(Tap, [usize; 3]), MethodError> {
    let comparable = || {
        taps.iter()
            .filter_map(|tap| Some((tap, map_shape(&tap.kind)?)))
            .filter(|(tap, _)| ![IMAGE, "logits"].contains(&tap.name.as_str()))
    };
    match comparable().find(|(tap, _)| tap.name == name) {
        Some((tap, shape)) => Ok((tap.clone(), shape)),
        None => Err(MethodError::UnknownTap {
            method,
            side,
            tap: name.to_owned(),
            available: comparable().map(|(tap, _)| tap.name.clone()).collect(),
        }),
    }
}

/// The recorded tap `name`.
fn feature_of<'a>(
    method: &'static str,
    side: &str,
    outputs: &'a Outputs,
    name: &str,
) -> Result<&'a Feature, MethodError> {
    outputs.feature(name).ok_or_else(|| MethodError::Batch {
        method,
        reason: format!("the {side}'s outputs were recorded without tap `{name}`"),
    })
}

/// The map `[B, C, H, W]` of the recorded tap `name`.
pub(crate) fn map_of(
    method: &'static str,
    side: &str,
    outputs: &Outputs,
    name: &str,
) -> Result<Tensor<4>, MethodError> {
    feature_of(method, side, outputs, name)?
        .to_map()
        .ok_or_else(|| attention(method, side, name))
}

/// The vector `[B, D]` of the recorded tap `name`: maps are averaged over positions, tokens over
/// patches.
pub(crate) fn vector_of(
    method: &'static str,
    side: &str,
    outputs: &Outputs,
    name: &str,
) -> Result<Tensor<2>, MethodError> {
    feature_of(method, side, outputs, name)?
        .to_vector()
        .ok_or_else(|| attention(method, side, name))
}

fn attention(method: &'static str, side: &str, name: &str) -> MethodError {
    MethodError::Batch {
        method,
        reason: format!("the {side}'s tap `{name}` holds attention, not features"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{map, probe, tokens, vector};

    fn cnn(sizes: &[usize]) -> Vec<Tap> {
        let mut taps = vec![map("stem", [8, sizes[0], sizes[0]])];
        for (i, &size) in (1..).zip(sizes) {
            taps.push(map(&format!("stage{i}.preact"), [8, size, size]));
            taps.push(map(&format!("stage{i}"), [8, size, size]));
        }
        taps.push(vector("pooled", 8));
        taps
    }

    fn vit(grid: usize) -> Vec<Tap> {
        let stage = |i| tokens(&format!("stage{i}"), 16, [grid, grid]);
        (1..=4).map(stage).chain([vector("pooled", 16)]).collect()
    }

    fn proposed(student: &[Tap], teacher: &[Tap]) -> Vec<String> {
        propose_pairs(student, teacher)
            .into_iter()
            .map(|(student, teacher)| format!("{student}-{teacher}"))
            .collect()
    }

    #[test]
    fn equal_networks_are_paired_stage_by_stage() {
        let pairs = proposed(&cnn(&[32, 16, 8]), &cnn(&[32, 16, 8]));
        assert_eq!(pairs, ["stage1-stage1", "stage2-stage2", "stage3-stage3"]);
    }

    #[test]
    fn networks_of_different_stage_counts_are_paired_from_the_last_and_by_resolution() {
        let (three, four) = (cnn(&[32, 16, 8]), cnn(&[32, 16, 8, 4]));
        assert_eq!(
            proposed(&three, &four),
            ["stage1-stage1", "stage2-stage2", "stage3-stage4"]
        );
        assert_eq!(
            proposed(&four, &three),
            ["stage1-stage1", "stage2-stage2", "stage4-stage3"]
        );
        assert_eq!(
            proposed(&cnn(&[28, 14, 7]), &cnn(&[56, 28, 14, 7])),
            ["stage1-stage2", "stage2-stage3", "stage3-stage4"]
        );
    }

    #[test]
    fn where_all_resolutions_are_equal_the_deepest_stages_are_paired() {
        assert_eq!(
            proposed(&cnn(&[56, 28, 14, 7]), &vit(14)),
            [
                "stage1-stage1",
                "stage2-stage2",
                "stage3-stage3",
                "stage4-stage4"
            ]
        );
        assert_eq!(
            proposed(&cnn(&[32, 16, 8]), &vit(8)),
            ["stage1-stage2", "stage2-stage3", "stage3-stage4"]
        );
    }

    #[test]
    fn networks_without_stages_are_not_paired() {
        assert!(propose_pairs(&[vector("pooled", 4)], &cnn(&[8])).is_empty());
    }

    #[test]
    fn pairs_of_the_user_win_and_unknown_taps_list_the_known() {
        let mut probe = probe(&cnn(&[32, 16]), &vit(8));
        let pair = |s: &str, t: &str| Some(vec![(s.to_owned(), t.to_owned())]);
        probe.pairs = pair("stem", "stage1");
        let pairs = resolve_pairs("m", &probe, propose_pairs).unwrap();
        assert_eq!(pairs.len(), 1);
        assert_eq!(pairs[0].names(), ("stem".to_owned(), "stage1".to_owned()));
        assert_eq!(pairs[0].student_shape, [8, 32, 32]);
        assert_eq!(pairs[0].teacher_shape, [16, 8, 8]);
        probe.pairs = pair("stage9", "stage1");
        let error = resolve_pairs("m", &probe, propose_pairs).unwrap_err();
        assert_eq!(
            error.to_string(),
            "method `m`: the student has no tap `stage9` to compare; it has: stem, \
             stage1.preact, stage1, stage2.preact, stage2, pooled"
        );
        probe.pairs = pair("stem", "logits");
        let error = resolve_pairs("m", &probe, propose_pairs).unwrap_err();
        assert!(error.to_string().contains("teacher has no tap `logits`"));
    }

    #[test]
    fn a_method_of_one_pair_refuses_two() {
        let probe = probe(&cnn(&[32, 16]), &cnn(&[32, 16]));
        let error = resolve_pair("m", &probe, propose_pairs).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("one pair of layers, 2 were named")
        );
    }
}
