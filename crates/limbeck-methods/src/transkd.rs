//! # transkd — TransKD: Transformer Knowledge Distillation for Efficient Semantic Segmentation
//!
//! A hierarchical transformer that was never trained on a great set of images learns from one that
//! was: the student's stages are fused from deep to shallow and matched to the teacher's, and so are
//! its patch embeddings, the tokens that enter each stage.
//!
//! ## Definition
//! L = task + feature_weight · Σ_i HCL(O_i, F_t,i) + Σ_i w_i · mean (P_i − E_t,i)²
//!
//! Selective fusion, from the deepest stage to the shallowest, with r the result of the stage below:
//! x = BN(conv1×1(F_s,i)); at the deepest r = x, else r' = r resized to x (nearest), z = fc(mean over
//! positions of x + r'), (a, b) = softmax of two maps of z over the two, channel by channel, and
//! r = a·x + b·r'; O_i = BN(conv3×3(r)). fc is a 1×1 convolution with BN and ReLU to
//! max(`mid_channels`/16, 32) channels, and one without BN where the batch is a single image.
//! HCL compares maps as they are and averaged to 4×4, 2×2 and 1×1, see `reviewkd`.
//!
//! Embeddings, of stage i: P_i = linear_i(E_s,i). With `variant` = `gl`, the last one first goes
//! through the mixer: E ← g·attention(E) + l·conv(E)·sigmoid(conv'(E)), convolutions of width 3 along
//! the tokens, g and l learnt from 0.5. With `ea`, P_i = u_i·linear_i(E_s,i) + v_i·A_i, where A_i is a
//! patch embedding of the teacher's width, of the image for the first stage and of the student's
//! stage before for the others, u and v learnt from 0.1, 0.2, …, in this order.
//!
//! F_s, F_t: maps at the ends of the stages, E_s, E_t: tokens after the norm of the patch embeddings,
//! the teacher's detached, w: `embed_weights`.
//!
//! ## Inputs and shapes
//! `stage1`, `stage2`, … `[B, C, H, W]` and `embed1`, `embed2`, … `[B, H·W, C]` of both networks, as
//! many, and of the same sizes. Batch norms in the fusion need more than one value for a channel.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `variant` | `base` | or `gl`, `ea` | authors' code; `ea` is the best of its table by 0.1 to 0.4 points |
//! | `feature_weight` | 1 | ≥ 0 | same |
//! | `embed_weights` | none | each ≥ 0, one for a stage | none: 0.1, 0.1, 0.5 and 1 of the authors' code; the last of them are the deepest stages' |
//! | `mid_channels` | 64 | ≥ 1 | same |
//! | `heads` | 8 | ≥ 1, divides the channels of the student's last stage | same; read by `gl` |
//! | `residual` | false | | same; true adds the embedding to what the mixer makes of it |
//!
//! ## Notes
//! Published with AdamW. Both sides of every error are outputs of norms, which makes each start at one
//! or two whatever the networks, and all together at three to four times the cross entropy (measured
//! on `scenes`); the weights are left as they are for SGD too. The released mixer leaves g and l
//! uninitialised; 0.5 is ours. Its class weights and its twentieth class for void are the task's
//! affair. No logits are read: the authors' numbers are without.
//! Everything but the student is thrown away afterwards. Cost: Σ_i (C_i·M + 9·M·O_i) weights for the
//! fusion with M = `mid_channels`, most of its work at the first stage; one forward pass of the
//! teacher.
//!
//! ## Reference
//! Liu, Yang, Roitberg, Zhang, Peng, Liu, Stiefelhagen. "TransKD: Transformer Knowledge Distillation
//! for Efficient Semantic Segmentation". 2022. <https://arxiv.org/abs/2202.13393>
//! Authors' code: <https://github.com/RuipingL/TransKD> (39ab795d37d3, no licence).

mod embeddings;
#[cfg(test)]
pub mod golden;
mod mixer;
mod selective_fusion;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Feature, IMAGE, Outputs, Pass, Tap, TapKind, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::mean_squared_error,
    criterion::{require_at_least, require_teacher, require_weight},
    hierarchical_context::hierarchical_context_loss,
    pairs::map_of,
};
use embeddings::Embeddings;
use selective_fusion::SelectiveFusion;

/// What is made of the student's embeddings besides a linear map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransKdVariant {
    /// Nothing.
    #[default]
    Base,
    /// The last one is mixed globally and locally.
    Gl,
    /// Assistants embed the image and the student's stages to the teacher's width.
    Ea,
}

/// Settings of [`TransKd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransKdConfig {
    /// What is made of the student's embeddings.
    pub variant: TransKdVariant,
    /// Factor of the maps' errors.
    pub feature_weight: f64,
    /// Factor of each stage's embedding; `None`: the authors'.
    pub embed_weights: Option<Vec<f64>>,
    /// Channels while fusing.
    pub mid_channels: usize,
    /// Attention heads of the mixer.
    pub heads: usize,
    /// Whether the mixer's input is added to what it gives.
    pub residual: bool,
}

impl Default for TransKdConfig {
    fn default() -> Self {
        Self {
            variant: TransKdVariant::Base,
            feature_weight: 1.0,
            embed_weights: None,
            mid_channels: 64,
            heads: 8,
            residual: false,
        }
    }
}

/// Weights of the embeddings, shallow to deep: authors' code.
const EMBED_WEIGHTS: [f64; 4] = [0.1, 0.1, 0.5, 1.0];

/// Stages of both networks, by number from 1.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// Channels of the student's map and tokens.
    student: usize,
    /// Channels of the teacher's.
    teacher: usize,
    /// Height and width of all of them.
    size: [usize; 2],
}

/// Stages and patch embeddings that are matched.
#[derive(Debug)]
pub struct TransKd {
    config: TransKdConfig,
    stages: usize,
    embed_weights: Vec<f64>,
    fusion: SelectiveFusion,
    embeddings: Embeddings,
}

impl TransKd {
    const ID: &'static str = "transkd";

    /// Makes the fusion `skfs.*` and what embeddings go through, under the names of the authors'
    /// code.
    ///
    /// # Errors
    /// A setting out of range, no teacher, networks without patch embeddings or of other sizes.
    pub fn new(
        config: TransKdConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "feature_weight", config.feature_weight)?;
        require_at_least(Self::ID, "mid_channels", config.mid_channels, 1)?;
        require_at_least(Self::ID, "heads", config.heads, 1)?;
        let teacher = require_teacher(Self::ID, probe)?;
        if probe.pairs.is_some() {
            return Err(refuse(
                "it matches all stages of both networks; leave `pairs` out",
            ));
        }
        let stages = stages(&probe.student, teacher)?;
        let embed_weights = embed_weights(&config, stages.len())?;
        if let Some(stage) = stages.last()
            && probe.batch * stage.size[0] * stage.size[1] == 1
        {
            return Err(refuse(
                "batch norm over a last stage of 1×1 needs at least 2 images a step",
            ));
        }
        let fusion = SelectiveFusion::new(builder, &stages, config.mid_channels);
        let embeddings = Embeddings::new(builder, &config, &stages, &probe.student)?;
        Ok(Self {
            stages: stages.len(),
            config,
            embed_weights,
            fusion,
            embeddings,
        })
    }

    /// Tokens of all stages, `[B, H·W, C]` each.
    fn tokens(&self, side: &str, outputs: &Outputs) -> Result<Vec<Tensor<3>>, MethodError> {
        let stages = 1..=self.stages;
        stages
            .map(|stage| match outputs.feature(&embed(stage)) {
                Some(Feature::Tokens { tokens, .. }) => Ok(tokens.clone()),
                _ => Err(MethodError::Batch {
                    method: Self::ID,
                    reason: format!(
                        "the {side}'s outputs were recorded without tokens `{}`",
                        embed(stage)
                    ),
                }),
            })
            .collect()
    }

    /// Maps of all stages, `[B, C, H, W]` each.
    fn maps(&self, side: &str, outputs: &Outputs) -> Result<Vec<Tensor<4>>, MethodError> {
        let stages = 1..=self.stages;
        stages
            .map(|stage| map_of(Self::ID, side, outputs, &map(stage)))
            .collect()
    }
}

/// Σ_i HCL of fused maps and the teacher's, `[1]`.
fn feature_loss(fused: Vec<Tensor<4>>, teacher: Vec<Tensor<4>>) -> Tensor<1> {
    let both = fused.into_iter().zip(teacher);
    Tensor::cat(
        both.map(|(fused, teacher)| hierarchical_context_loss(fused, teacher))
            .collect(),
        0,
    )
    .sum()
}

/// Mean squared error of each stage's embedding, `[1]` each.
fn embedding_losses(made: Vec<Tensor<3>>, teacher: Vec<Tensor<3>>) -> Vec<Tensor<1>> {
    let both = made.into_iter().zip(teacher);
    both.map(|(made, teacher)| mean_squared_error(made, teacher))
        .collect()
}

fn weighted(losses: Vec<Tensor<1>>, weights: &[f64]) -> Tensor<1> {
    let weighted = losses.into_iter().zip(weights);
    Tensor::cat(
        weighted
            .map(|(loss, &weight)| loss.mul_scalar(weight))
            .collect(),
        0,
    )
    .sum()
}

fn refuse(reason: &str) -> MethodError {
    MethodError::Pairs {
        method: TransKd::ID.to_owned(),
        reason: reason.to_owned(),
    }
}

fn embed(stage: usize) -> String {
    format!("embed{stage}")
}

fn map(stage: usize) -> String {
    format!("stage{stage}")
}

/// The stages of both networks, shallow to deep.
fn stages(student: &[Tap], teacher: &[Tap]) -> Result<Vec<Stage>, MethodError> {
    let (student, teacher) = (
        stages_of("student", student)?,
        stages_of("teacher", teacher)?,
    );
    if student.len() != teacher.len() {
        return Err(refuse(&format!(
            "the student has {} stages, the teacher {}; it needs as many",
            student.len(),
            teacher.len()
        )));
    }
    let both = (1..).zip(student.into_iter().zip(teacher));
    both.map(|(stage, ([student, h, w], [teacher, height, width]))| {
        if [h, w] != [height, width] {
            return Err(refuse(&format!(
                "the student's stage {stage} is {h}×{w}, the teacher's {height}×{width}; it needs \
                 stages of one size, so both networks have to see images of one size"
            )));
        }
        Ok(Stage {
            student,
            teacher,
            size: [height, width],
        })
    })
    .collect()
}

/// `[C, H, W]` of each stage of a network.
fn stages_of(side: &str, taps: &[Tap]) -> Result<Vec<[usize; 3]>, MethodError> {
    let kind = |name: String| {
        taps.iter()
            .find(|tap| tap.name == name)
            .map(|tap| &tap.kind)
    };
    let found: Vec<[usize; 3]> = (1..)
        .map_while(|stage| match (kind(map(stage))?, kind(embed(stage))?) {
            (
                &TapKind::Map([channels, height, width]),
                &TapKind::Tokens {
                    shape: [count, embedded],
                    ..
                },
            ) if count == height * width && embedded == channels => Some([channels, height, width]),
            _ => None,
        })
        .collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(refuse(&format!(
            "it matches the patch embeddings of hierarchical transformers stage by stage, and the \
             {side} has none; networks that have them: segformer_b0 to segformer_b5"
        ))),
    }
}

/// Weights of the embeddings, shallow to deep, as many as there are stages.
fn embed_weights(config: &TransKdConfig, stages: usize) -> Result<Vec<f64>, MethodError> {
    let Some(given) = &config.embed_weights else {
        let shallow = EMBED_WEIGHTS.len().saturating_sub(stages);
        let missing = stages.saturating_sub(EMBED_WEIGHTS.len());
        let first = std::iter::repeat_n(EMBED_WEIGHTS[0], missing);
        return Ok(first
            .chain(EMBED_WEIGHTS.into_iter().skip(shallow))
            .collect());
    };
    for &weight in given {
        require_weight(TransKd::ID, "embed_weights", weight)?;
    }
    match given.len() == stages {
        true => Ok(given.clone()),
        false => Err(MethodError::Setting {
            method: TransKd::ID,
            key: "embed_weights",
            expected: format!("a list of {stages} numbers, one for each stage"),
            found: format!("{}", given.len()),
        }),
    }
}

impl Criterion for TransKd {
    fn needs(&self) -> Needs {
        let of_stages = || (1..=self.stages).flat_map(|stage| [embed(stage), map(stage)]);
        let image = (self.config.variant == TransKdVariant::Ea).then(|| IMAGE.to_owned());
        Needs {
            student: of_stages().chain(image).collect(),
            teacher: Taps::from_iter(of_stages()),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let teacher = step.teacher(Self::ID)?;
        let maps = self.maps("student", step.student)?;
        let image = match self.config.variant {
            TransKdVariant::Ea => Some(map_of(Self::ID, "student", step.student, IMAGE)?),
            _ => None,
        };
        let tokens = self.tokens("student", step.student)?;
        let made = self.embeddings.forward(pass, tokens, &maps, image);
        let fused = self.fusion.forward(pass, maps);
        let features = feature_loss(fused, self.maps("teacher", &teacher)?);
        let embeddings = embedding_losses(made, self.tokens("teacher", &teacher)?);
        let embeddings = weighted(embeddings, &self.embed_weights);
        Ok(vec![
            Term::new("features", features, self.config.feature_weight),
            Term::new("embeddings", embeddings, 1.0),
        ])
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let stages = 1..=self.stages;
        stages
            .flat_map(|stage| [embed(stage), map(stage)])
            .map(|name| (name.clone(), name))
            .collect()
    }
}
