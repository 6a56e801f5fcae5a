//! # sats — SATS: Self-Attention Transfer for Continual Semantic Segmentation
//!
//! A network that has learnt some classes learns further ones from images in which the old ones are
//! called background. Its former self is the teacher: it says where old classes are, keeps the
//! logits, and keeps how the positions of a class attend to the image.
//!
//! ## Definition
//! L = task(z, ŷ) · r + kd_weight · L_kd + attention_weight · L_sat
//!
//! ŷ: masks in which each background pixel has the class that the teacher gives it, where its
//! entropy, over ln of the number of all classes, is below the threshold of that class, and is void
//! elsewhere. A threshold is the median of that entropy over the background pixels of the training
//! images that the teacher gives the class to, from a histogram of 100 bins, at least 0.001, and
//! 0.005 for a class that none has. r: share of the pixels that ŷ knows, since the authors take the
//! mean over all.
//! L_kd = −1/O mean Σ_c softmax(`alpha`·u)_c log p_c over the O classes of the teacher, z, u: logits of
//! both, p: probabilities of the student, in which the new classes count as background.
//! L_sat: for each stage, image and class c in ŷ but background, with a^h the mean of the attention
//! rows of head h over the positions of c, d_c = mean_h ‖a^h_s − a^h_t‖; the mean over the classes of
//! the image, over the images (0 for one without class), and over the stages.
//!
//! ## Inputs and shapes
//! `attention1`, `attention2`, … `[B, heads, L, K]` of both networks, of the last block of each
//! stage, where `attention_weight` is above 0, and the logits `[B, N, h, w]`; the student has the
//! teacher's classes first, in their order, and background as its class 0. Masks `[B, H, W]` are
//! reduced to each stage's grid by PIL's nearest rule.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `kd_weight` | 20 | ≥ 0 | authors' code, with SGD |
//! | `attention_weight` | 20 | ≥ 0 | same; 0 for students of convolutions, which is MiB with PLOP's labels |
//! | `alpha` | 1 | > 0 | same |
//! | `pooling` | `class` | or `global`, `none` | same; the ablations: one region of all positions, each position by itself |
//! | `row_layout` | `permuted` | or `released` | ours: see below |
//! | `pseudo_labels` | true | | authors' code; false leaves background as it is |
//!
//! ## Notes
//! A student with the teacher's classes and no more learns by ordinary distillation and attention
//! transfer, from its labels as they are. The released code brings rows and heads into one another
//! (a reshape without a permutation): for several heads its regions are not those of the paper;
//! `released` does the same. Its median takes a wrong step in a running sum; ours is the plain one.
//! Where no image has an old or new class L_sat is 0. A frozen teacher that is at hand is asked, since
//! thresholds need all training images; they are looked at once before the first step. Cost: no
//! weights; the teacher's forward pass, and the attention of one block in each stage kept in memory.
//!
//! ## Reference
//! Qiu, Shen, Sun, Zheng, Chang, Zheng, Wang. "SATS: Self-Attention Transfer for Continual Semantic
//! Segmentation". Pattern Recognition 138, 2023. <https://arxiv.org/abs/2203.07667>
//! Authors' code: <https://github.com/QIU023/SATS_Continual_Semantic_Seg> (369c10caabb2, no licence).

mod attention;
#[cfg(test)]
pub mod golden;
mod pseudo_labels;
#[cfg(test)]
mod tests;
mod unbiased;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use limbeck_data::VOID;
use limbeck_nn::{Feature, Outputs, Tap, TapKind, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, Interlude, MethodError, Probe, Procedure, Questions, STUDENT, Scene, Stage, State,
    Target, TaskKind, Term,
    criterion::{require_positive, require_teacher, require_weight},
};
use attention::{AttentionTransfer, Labels};
use pseudo_labels::{Certainty, Thresholds};

/// Over what attention rows are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The positions of each class.
    #[default]
    Class,
    /// All positions.
    Global,
    /// Nothing: each position is compared by itself.
    None,
}

/// Which row of an attention map belongs to which position and head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowLayout {
    /// That of the map.
    #[default]
    Permuted,
    /// That of the released code.
    Released,
}

/// Settings of [`Sats`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SatsConfig {
    /// Factor of the unbiased distillation.
    pub kd_weight: f64,
    /// Factor of the attention transfer.
    pub attention_weight: f64,
    /// The teacher's logits are multiplied by it.
    pub alpha: f64,
    /// Over what attention rows are averaged.
    pub pooling: Pooling,
    /// Which row belongs to which position and head.
    pub row_layout: RowLayout,
    /// Whether the teacher labels the background.
    pub pseudo_labels: bool,
}

impl Default for SatsConfig {
    fn default() -> Self {
        Self {
            kd_weight: 20.0,
            attention_weight: 20.0,
            alpha: 1.0,
            pooling: Pooling::Class,
            row_layout: RowLayout::Permuted,
            pseudo_labels: true,
        }
    }
}

/// A network that learns further classes from its former self.
#[derive(Debug)]
pub struct Sats {
    config: SatsConfig,
    transfer: AttentionTransfer,
    /// Grid of each stage's positions; empty where attention is not read.
    grids: Vec<[usize; 2]>,
    /// Classes of the student.
    classes: usize,
    /// Classes of the teacher.
    old_classes: usize,
    /// Images of the training part.
    images: usize,
    thresholds: Option<Thresholds>,
    device: Device,
    dtype: DType,
}

/// Name of the thresholds in checkpoints.
const THRESHOLDS: &str = "thresholds";

impl Sats {
    const ID: &'static str = "sats";

    /// Checks what both networks show.
    ///
    /// # Errors
    /// A setting out of range, no teacher, networks that do not segment, a student with fewer classes
    /// than its teacher, or attention that is not there or not the same.
    pub fn new(config: SatsConfig, probe: &Probe, _cast: &mut Cast) -> Result<Self, MethodError> {
        require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        require_weight(Self::ID, "attention_weight", config.attention_weight)?;
        require_positive(Self::ID, "alpha", config.alpha)?;
        let teacher = require_teacher(Self::ID, probe)?;
        let classes = logits(&probe.student)?;
        let old_classes = logits(teacher)?;
        if classes < old_classes {
            return Err(refuse(format!(
                "the student has {classes} classes, fewer than the {old_classes} of its teacher, \
                 which are to be kept"
            )));
        }
        let grids = match config.attention_weight > 0.0 {
            true => grids(&probe.student, teacher)?,
            false => Vec::new(),
        };
        Ok(Self {
            transfer: AttentionTransfer {
                pooling: config.pooling,
                layout: config.row_layout,
            },
            config,
            grids,
            classes,
            old_classes,
            images: probe.training.images,
            thresholds: None,
            device: probe.device.clone(),
            dtype: probe.dtype,
        })
    }

    /// Whether old classes are called background in the masks.
    fn labels_background(&self) -> bool {
        self.config.pseudo_labels && self.classes > self.old_classes
    }

    fn taps(&self) -> Taps {
        (1..=self.grids.len()).map(attention).collect()
    }

    /// The attention of all stages, `[B, heads, L, K]` each.
    fn attentions(&self, side: &str, outputs: &Outputs) -> Result<Vec<Tensor<4>>, MethodError> {
        let stages = 1..=self.grids.len();
        stages
            .map(|stage| match outputs.feature(&attention(stage)) {
                Some(Feature::Attention(probabilities)) => Ok(probabilities.clone()),
                _ => Err(refuse(format!(
                    "the {side}'s outputs were recorded without `{}`",
                    attention(stage)
                ))),
            })
            .collect()
    }

    /// Masks `[B, H, W]` in which the teacher has labelled the background.
    ///
    /// # Errors
    /// No thresholds yet, or logits that are no map.
    fn labelled(
        &self,
        masks: &Tensor<3, Int>,
        teacher: &Outputs,
    ) -> Result<Tensor<3, Int>, MethodError> {
        if !self.labels_background() {
            return Ok(masks.clone());
        }
        let thresholds = self
            .thresholds
            .as_ref()
            .ok_or_else(|| refuse("its thresholds were not measured".to_owned()))?;
        let certainty = Certainty::of(map_of(&teacher.prediction)?, masks, self.classes);
        Ok(thresholds.label(masks, &certainty))
    }
}

fn attention(stage: usize) -> String {
    format!("attention{stage}")
}

fn refuse(reason: String) -> MethodError {
    MethodError::Batch {
        method: Sats::ID,
        reason,
    }
}

fn map_of(prediction: &Feature) -> Result<Tensor<4>, MethodError> {
    match prediction {
        Feature::Map(logits) => Ok(logits.clone()),
        other => Err(MethodError::Prediction {
            task: TaskKind::Segmentation,
            expected: "a map of logits for each image".to_owned(),
            found: format!("a {} for each", other.kind()),
        }),
    }
}

/// Classes of a network that segments.
fn logits(taps: &[Tap]) -> Result<usize, MethodError> {
    match taps.last().map(|tap| &tap.kind) {
        Some(&TapKind::Map([classes, ..])) => Ok(classes),
        other => Err(MethodError::Prediction {
            task: TaskKind::Segmentation,
            expected: "a map of logits".to_owned(),
            found: other.map_or("nothing".to_owned(), ToString::to_string),
        }),
    }
}

/// Grid of the positions of each stage, whose attention both networks show alike.
fn grids(student: &[Tap], teacher: &[Tap]) -> Result<Vec<[usize; 2]>, MethodError> {
    let kind = |taps: &[Tap], name: &str| {
        let tap = taps.iter().find(|tap| tap.name == name);
        tap.map(|tap| tap.kind.clone())
    };
    let pairs = |reason: String| MethodError::Pairs {
        method: Sats::ID.to_owned(),
        reason,
    };
    let mut grids = Vec::new();
    for stage in 1.. {
        let name = attention(stage);
        let both = [kind(student, &name), kind(teacher, &name)];
        let (own, other) = match both {
            [Some(own), Some(other)] => (own, other),
            _ => break,
        };
        if own != other {
            return Err(pairs(format!(
                "`{name}` is {own} of the student and {other} of the teacher; attention is \
                 transferred between networks with the same heads, positions and keys, as a network \
                 and its former self have"
            )));
        }
        let TapKind::Attention([_, positions, _]) = own else {
            break;
        };
        let side = positions.isqrt();
        let grid = match kind(student, &format!("stage{stage}")) {
            Some(TapKind::Map([_, height, width])) if height * width == positions => {
                [height, width]
            }
            _ if side * side == positions => [side, side],
            _ => {
                return Err(pairs(format!(
                    "the {positions} positions of `{name}` are those of no map"
                )));
            }
        };
        grids.push(grid);
    }
    if grids.is_empty() {
        return Err(pairs(
            "it transfers attention, which hierarchical transformers alone show (segformer_b0 to \
             segformer_b5); set `attention_weight` to 0 in [method.sats] for unbiased distillation \
             and pseudo labels without it"
                .to_owned(),
        ));
    }
    Ok(grids)
}

impl Procedure for Sats {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        vec![Stage::new("train", epochs, vec![Act::training([STUDENT])])]
    }

    fn begin_stage(
        &mut self,
        _stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        if !self.labels_background() || self.thresholds.is_some() {
            return Ok(());
        }
        let teacher = interlude
            .teacher
            .ok_or(MethodError::NoTeacher { method: Self::ID })?;
        let images = interlude.held_out.ok_or_else(|| {
            refuse("there are no training images to measure thresholds on".to_owned())
        })?;
        let mut medians = pseudo_labels::Medians::new(self.old_classes);
        images.look(&mut |batch| {
            let masks = batch.target.masks(Self::ID)?;
            let outputs = teacher.outputs(batch.images.clone(), &Taps::none())?;
            let logits = map_of(&outputs.prediction)?;
            medians.add(masks, &Certainty::of(logits, masks, self.classes));
            Ok(())
        })?;
        self.thresholds = Some(medians.thresholds());
        Ok(())
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let taps = self.taps();
        let teacher = scene.teacher_of_batch(Self::ID, &taps)?.detach();
        let student = scene.train(STUDENT, batch.images.clone(), &taps)?;
        let masks = self.labelled(batch.target.masks(Self::ID)?, &teacher)?;
        let known: f64 = {
            let void: Tensor<3> = masks.clone().equal_elem(VOID).float();
            1.0 - void.mean().into_scalar::<f64>()
        };
        let target = Target::Masks(masks.clone());
        let mut terms = scene.supervise_with(&student, &target, 1.0)?;
        for term in &mut terms {
            term.value = term.value.clone().mul_scalar(known);
        }
        let (own, other) = (map_of(&student.prediction)?, map_of(&teacher.prediction)?);
        let map = unbiased::distillation(own, other, self.config.alpha);
        terms.push(Term::new("unbiased_kd", map.mean(), self.config.kd_weight));
        if !self.grids.is_empty() {
            let own = self.attentions("student", &student)?;
            let other = self.attentions("teacher", &teacher)?;
            let labels = Labels::of(&masks);
            let value = self.transfer.loss(&own, &other, &self.grids, &labels);
            terms.push(Term::new("attention", value, self.config.attention_weight));
        }
        Ok(terms)
    }

    fn sampled(&self) -> usize {
        match self.labels_background() {
            true => self.images,
            false => 0,
        }
    }

    fn state(&self) -> State {
        let mut state = State::new();
        if let Some(thresholds) = &self.thresholds {
            let values = thresholds.values().to_vec();
            let shape = vec![values.len()];
            let data = TensorData::new(values, [shape[0]]);
            let flat = Tensor::from_data(data, (&self.device, self.dtype));
            state.insert(THRESHOLDS.to_owned(), (shape, flat));
        }
        state
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let Some((_, flat)) = state.remove(THRESHOLDS) else {
            return Ok(());
        };
        let values: Vec<f32> = flat.into_data().iter::<f32>().collect();
        if values.len() != self.old_classes {
            return Err(MethodError::State {
                method: Self::ID,
                reason: format!(
                    "there are {} thresholds, expected {}, one for each class of the teacher",
                    values.len(),
                    self.old_classes
                ),
            });
        }
        self.thresholds = Some(Thresholds::new(values));
        Ok(())
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: self.taps(),
            logits: false,
            beyond: self
                .labels_background()
                .then_some("training images that are not augmented"),
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let stages = 1..=self.grids.len();
        stages
            .map(|stage| (attention(stage), attention(stage)))
            .collect()
    }
}
