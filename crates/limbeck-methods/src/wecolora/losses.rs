//! What is compared, and how.

use burn::tensor::{
    Tensor,
    activation::{log_softmax, softmax},
};
use limbeck_nn::{
    Feature, Outputs, Taps,
    model::vit::{Embedding, VisionTransformerConfig},
};

use super::{Copied, Wecolora, WecoloraConfig, WecoloraLoss};
use crate::{MethodError, Term};

/// The tap behind the last norm, of nets that norm their tokens.
const AFTER_NORM: &str = "tokens";

/// Which tokens of student and teacher are compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    loss: WecoloraLoss,
    /// Taps of student and teacher.
    pairs: Vec<(String, String)>,
}

impl Comparison {
    /// What `config` says of networks of `shape` whose blocks are `copied`.
    ///
    /// # Errors
    /// Settings that do not go together or with the networks.
    pub fn new(
        config: &WecoloraConfig,
        copied: &Copied,
        shape: &VisionTransformerConfig,
    ) -> Result<Self, MethodError> {
        let (depth, of, factor) = (copied.depth(), copied.of(), copied.factor());
        let refuse = |reason: String| {
            Err(MethodError::Configuration {
                method: Wecolora::ID.to_owned(),
                reason,
            })
        };
        let multi = config.loss == WecoloraLoss::Multi;
        if config.group_end && !multi {
            return refuse(
                "`group_end` says what `loss = \"multi\"` compares with; set that, or leave it out"
                    .to_owned(),
            );
        }
        if config.after_norm && multi {
            return refuse(
                "`loss = \"multi\"` compares what blocks give, which no norm follows; leave `after_norm` \
                 out"
                    .to_owned(),
            );
        }
        if config.after_norm && shape.embedding == Embedding::PatchMean {
            return refuse(
                "the networks norm the mean of their patches, not their tokens; leave `after_norm` out"
                    .to_owned(),
            );
        }
        if multi && !of.is_multiple_of(factor) {
            return refuse(format!(
                "`loss = \"multi\"` compares groups of {factor} blocks, and the teacher's {of} are no \
                 multiple of that; set `loss = \"last\"`, or give a student of another depth"
            ));
        }
        let block = |index: usize| format!("block{index}");
        let pairs = match config.loss {
            WecoloraLoss::Multi => (0..depth)
                .map(|j| {
                    let other = match config.group_end {
                        true => (j + 1) * factor - 1,
                        false => (1 + j * factor).min(of - 1),
                    };
                    (block(j), block(other))
                })
                .collect(),
            _ if config.after_norm => vec![(AFTER_NORM.to_owned(), AFTER_NORM.to_owned())],
            _ => vec![(block(depth - 1), block(of - 1))],
        };
        Ok(Self {
            loss: config.loss,
            pairs,
        })
    }

    /// Taps of student and teacher that are compared.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Taps that are read of the student.
    pub fn student_taps(&self) -> Taps {
        self.pairs
            .iter()
            .map(|(student, _)| student.as_str())
            .collect()
    }

    /// Taps that are read of the teacher.
    pub fn teacher_taps(&self) -> Taps {
        self.pairs
            .iter()
            .map(|(_, teacher)| teacher.as_str())
            .collect()
    }

    /// The terms of a batch; the teacher's tokens are constants.
    ///
    /// # Errors
    /// Outputs without the tokens that are compared, or with others than the student's.
    pub fn terms(&self, student: &Outputs, teacher: &Outputs) -> Result<Vec<Term>, MethodError> {
        let mut distances = Vec::with_capacity(self.pairs.len());
        let mut divergence = None;
        for (own, other) in &self.pairs {
            let own = tokens(student, "student", own)?;
            let other = tokens(teacher, "teacher", other)?.inner();
            if own.dims() != other.dims() {
                return Err(MethodError::Batch {
                    method: Wecolora::ID,
                    reason: format!(
                        "found tokens {:?} of the student and {:?} of the teacher, they have to be as \
                         many and as long",
                        own.dims(),
                        other.dims()
                    ),
                });
            }
            if self.loss == WecoloraLoss::MaeKld {
                divergence = Some(token_divergence(own.clone(), other.clone()));
            }
            distances.push(distance(own, other));
        }
        let count = distances.len() as f64;
        let sum = distances.into_iter().reduce(|sum, part| sum + part);
        let mean = sum.map(|sum| sum.div_scalar(count));
        let (name, weight) = match self.loss {
            WecoloraLoss::Last => ("last", 1.0),
            WecoloraLoss::Multi => ("multi", 1.0),
            WecoloraLoss::MaeKld => ("mae", 0.5),
        };
        let mut terms: Vec<Term> = mean
            .into_iter()
            .map(|mean| Term::new(name, mean, weight))
            .collect();
        terms.extend(divergence.map(|value| Term::new("kld", value, 0.5)));
        Ok(terms)
    }
}

/// Tokens `[B, N, C]` of a tap.
fn tokens(outputs: &Outputs, side: &str, tap: &str) -> Result<Tensor<3>, MethodError> {
    match outputs.feature(tap) {
        Some(Feature::Tokens { tokens, .. }) => Ok(tokens.clone()),
        _ => Err(MethodError::Batch {
            method: Wecolora::ID,
            reason: format!("the {side} gave no tokens `{tap}`"),
        }),
    }
}

/// mean |T − S|, `[1]`.
fn distance(student: Tensor<3>, teacher: Tensor<3>) -> Tensor<1> {
    (teacher - student).abs().mean()
}

/// mean p (ln p − ln q) over images, tokens and numbers, with the softmax p of the teacher's and q of
/// the student's over the numbers of each token, `[1]`.
fn token_divergence(student: Tensor<3>, teacher: Tensor<3>) -> Tensor<1> {
    let difference = log_softmax(teacher.clone(), 2) - log_softmax(student, 2);
    (softmax(teacher, 2) * difference).mean()
}
