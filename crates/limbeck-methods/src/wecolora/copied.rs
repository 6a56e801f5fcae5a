//! A student made of a part of the teacher's blocks.

use limbeck_data::Normalisation;
use limbeck_nn::{
    Network, Store,
    model::vit::{Embedding, VisionTransformer, VisionTransformerConfig},
};

use super::Wecolora;
use crate::{MethodError, TeacherNetwork};

/// Weights that see the images themselves.
const PATCH_WEIGHT: &str = "patch_embed.proj.weight";
const PATCH_BIAS: &str = "patch_embed.proj.bias";

/// Which blocks of the teacher the student has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Blocks of the teacher.
    of: usize,
    /// Every how many of them one is kept.
    factor: usize,
}

impl Copied {
    /// Every `factor`-th of `of` blocks, the first one first.
    ///
    /// # Errors
    /// A factor of 0, or one above the number of blocks.
    pub fn every(factor: usize, of: usize) -> Result<Self, MethodError> {
        if (1..=of).contains(&factor) {
            return Ok(Self { of, factor });
        }
        Err(MethodError::Setting {
            method: Wecolora::ID,
            key: "reduction_factor",
            expected: format!(
                "from 1 to {of}, the number of the teacher's blocks: of every that many one is kept, and \
                 no more can be copied than there are"
            ),
            found: factor.to_string(),
        })
    }

    /// What `student` can have of `teacher`, by `factor` or else by the depths, and the student's
    /// shape.
    ///
    /// # Errors
    /// Networks that are no plain vision transformers or differ in more than their depth, a student
    /// that is not shallower, or of a depth that no factor gives.
    pub fn between(
        student: &Network,
        teacher: &Network,
        factor: Option<usize>,
    ) -> Result<(Self, VisionTransformerConfig), MethodError> {
        let refuse = |reason: String| {
            Err(MethodError::Mismatch {
                method: Wecolora::ID,
                student: format!("`{}`", student.name()),
                teacher: format!("`{}`", teacher.name()),
                reason,
            })
        };
        let of = |network: &Network| {
            network
                .transformer()
                .map(VisionTransformer::config)
                .copied()
        };
        let (Some(own), Some(whole)) = (of(student), of(teacher)) else {
            let name = match of(teacher) {
                None => teacher.name(),
                Some(_) => student.name(),
            };
            return refuse(format!(
                "it copies blocks that are all alike, and `{name}` has none such; both have to be plain \
                 vision transformers (`deit_…`, `vit_…`)"
            ));
        };
        if let Some(difference) = difference(&own, &whole) {
            return refuse(format!(
                "the student has {difference}, and weights are copied as they are; give a student that \
                 differs in its depth alone, {}",
                proposal(teacher.name(), whole.depth)
            ));
        }
        let (seen, shown) = (student.input(), teacher.input());
        if seen != shown {
            return refuse(format!(
                "the student sees {} channels of {}×{} pixels and tells {} classes apart, the teacher {} \
                 of {}×{} and {}; both have to see the same (augment.size, augment.channels)",
                seen.channels,
                seen.height,
                seen.width,
                seen.classes,
                shown.channels,
                shown.height,
                shown.width,
                shown.classes
            ));
        }
        if own.depth >= whole.depth {
            return refuse(format!(
                "the student has {} blocks and the teacher {}; it has to have fewer, {}",
                own.depth,
                whole.depth,
                proposal(teacher.name(), whole.depth)
            ));
        }
        let depth_of = |factor: usize| whole.depth.div_ceil(factor);
        let factor = match factor {
            Some(factor) => factor,
            None => match (1..=whole.depth).find(|&factor| depth_of(factor) == own.depth) {
                Some(factor) => factor,
                None => {
                    let mut depths: Vec<usize> = (2..=whole.depth).map(depth_of).collect();
                    depths.dedup();
                    let depths: Vec<String> = depths.iter().map(usize::to_string).collect();
                    return refuse(format!(
                        "the student has {} blocks, and every second, third, … of the teacher's {} are \
                         {}; give it one of these depths, {}",
                        own.depth,
                        whole.depth,
                        depths.join(", "),
                        proposal(teacher.name(), whole.depth)
                    ));
                }
            },
        };
        let copied = Self::every(factor, whole.depth)?;
        if copied.depth() != own.depth {
            return refuse(format!(
                "the student has {} blocks, and one of every {factor} (reduction_factor) of the \
                 teacher's {} are {}; leave reduction_factor out, or give a student of that depth",
                own.depth,
                whole.depth,
                copied.depth()
            ));
        }
        Ok((copied, own))
    }

    /// Blocks of the student.
    pub fn depth(&self) -> usize {
        self.of.div_ceil(self.factor)
    }

    /// Blocks of the teacher.
    pub fn of(&self) -> usize {
        self.of
    }

    /// Every how many blocks of the teacher one is kept.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// Puts the teacher's weights into `student`, whose images are normalised by `normalisation`.
    ///
    /// # Errors
    /// A weight that the teacher does not have, or has in another shape.
    pub fn fill(
        &self,
        student: &mut Store,
        teacher: &TeacherNetwork,
        normalisation: &Normalisation,
    ) -> Result<(), MethodError> {
        let from = &teacher.network.store;
        for id in student.ids() {
            let entry = student.entry(id);
            let name = self.source(&entry.name);
            let found = from.find(&name).map(|id| from.entry(id));
            let Some(found) = found.filter(|found| found.shape == entry.shape) else {
                return Err(MethodError::Mismatch {
                    method: Wecolora::ID,
                    student: format!("`{}` {:?}", entry.name, entry.shape),
                    teacher: format!("`{name}`"),
                    reason: match found {
                        Some(found) => format!("that has the shape {:?}", found.shape),
                        None => "that is not there".to_owned(),
                    },
                });
            };
            let value = found.value.clone();
            student.set(id, value);
        }
        if teacher.normalisation != *normalisation {
            adapt_patches(student, normalisation, &teacher.normalisation);
        }
        Ok(())
    }

    /// The teacher's name of the student's entry `name`.
    fn source(&self, name: &str) -> String {
        let block = name.strip_prefix("blocks.").and_then(|rest| {
            let (index, rest) = rest.split_once('.')?;
            Some((index.parse::<usize>().ok()?, rest))
        });
        match block {
            Some((index, rest)) => format!("blocks.{}.{rest}", index * self.factor),
            None => name.to_owned(),
        }
    }
}

/// What the student's shape has otherwise than the teacher's, apart from the depth.
fn difference(
    student: &VisionTransformerConfig,
    teacher: &VisionTransformerConfig,
) -> Option<String> {
    let counts = [
        ("tokens of length", student.width, teacher.width),
        ("patches with sides of", student.patch, teacher.patch),
        (
            "attention heads to the number of",
            student.heads,
            teacher.heads,
        ),
    ];
    for (what, own, other) in counts {
        if own != other {
            return Some(format!("{what} {own}, the teacher {other}"));
        }
    }
    let factors = [
        (
            "perceptrons wider by a factor of",
            student.mlp_ratio,
            teacher.mlp_ratio,
        ),
        ("layer norms with an ε of", student.epsilon, teacher.epsilon),
    ];
    for (what, own, other) in factors {
        if own != other {
            return Some(format!("{what} {own}, the teacher {other}"));
        }
    }
    if student.distilled != teacher.distilled {
        return Some(match student.distilled {
            true => "a distillation token, the teacher none".to_owned(),
            false => "no distillation token, the teacher one".to_owned(),
        });
    }
    let reads = |config: &VisionTransformerConfig| match config.embedding {
        Embedding::ClassToken => "the class token",
        Embedding::PatchMean => "the mean of the patches",
    };
    (student.embedding != teacher.embedding).then(|| {
        format!(
            "a head that reads {}, the teacher one that reads {}",
            reads(student),
            reads(teacher)
        )
    })
}

/// The zoo's name of a net of half the teacher's depth.
fn proposal(teacher: &str, depth: usize) -> String {
    let is_depth = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    let stem = match teacher.rsplit_once("_d") {
        Some((stem, end)) if is_depth(end) => stem,
        _ => teacher,
    };
    format!("such as `{stem}_d{}`", depth.div_ceil(2))
}

/// Lets patches that were made for images normalised by `made_for` see images normalised by `seen` as
/// they would see those: with x' = x·scale + shift, weights are multiplied by scale, channel by
/// channel, and the biases take what shift gives.
fn adapt_patches(store: &mut Store, seen: &Normalisation, made_for: &Normalisation) {
    let (Some(weight), Some(bias)) = (store.find(PATCH_WEIGHT), store.find(PATCH_BIAS)) else {
        return;
    };
    let &[outputs, channels, rows, columns] = store.entry(weight).shape.as_slice() else {
        return;
    };
    let of = |values: &[f64], channel: usize, missing: f64| {
        values.get(channel).copied().unwrap_or(missing)
    };
    let mut weights: Vec<f64> = store.entry(weight).value.to_data().iter().collect();
    let mut biases: Vec<f64> = store.entry(bias).value.to_data().iter().collect();
    let pixels = rows * columns;
    for (index, part) in weights.chunks_exact_mut(pixels).enumerate() {
        let (output, channel) = (index / channels, index % channels);
        let deviation = of(&made_for.std, channel, 1.0);
        let scale = of(&seen.std, channel, 1.0) / deviation;
        let means = of(&seen.mean, channel, 0.0) - of(&made_for.mean, channel, 0.0);
        biases[output] += means / deviation * part.iter().sum::<f64>();
        for value in part {
            *value *= scale;
        }
    }
    debug_assert_eq!(biases.len(), outputs);
    store.set_values(weight, weights);
    store.set_values(bias, biases);
}
