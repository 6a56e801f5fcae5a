//! # sskd — Knowledge Distillation Meets Self-Supervision
//!
//! "Which picture is this turned picture of?": how similar a teacher finds turned and upright
//! pictures tells more than its classes. A small head learns that question on the frozen teacher;
//! then the student copies the teacher's classes, upright and turned, and its similarities.
//!
//! ## Definition
//! Each image x_i gives four rows: turned by 0, 90, 180 and 270 degrees. h = head(pooled feature),
//! head: linear, ReLU, linear, of the feature's width. A_rj = cos(h_r, h_j) compares each turned
//! row r with each upright row j, `[3B, B]`.
//!
//! 1. `head`: CE of the rows of A with the image that each row shows. The teacher's head alone
//!    learns.
//! 2. `student`: L = ce_weight · CE(z, y) + kd_weight · KL_T(u ‖ z) over upright rows
//!    + transfer_weight · KL_T'(u ‖ z) over kept turned rows
//!    + similarity_weight · KL_S(A_t ‖ A_s) over kept turned rows,
//!
//! with KL_T(a ‖ b) = T² · mean over the rows used of KL(softmax(a/T) ‖ softmax(b/T)); z, A_s:
//! student, u, A_t: teacher, detached. Turned rows are ranked by the place of the right answer
//! (the label; for similarities, the row's own image) among the teacher's; those with the right
//! answer first are kept, and the best `transfer_ratio` (`similarity_ratio`) of the others,
//! earlier rows first where ranks are equal. Without any kept row a term is 0.
//!
//! ## Inputs and shapes
//! Square images `[B, C, S, S]`, at least 2 a step; taps `pooled` of both networks; labels `[B]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `head_share` | 0.25 | > 0 | authors' code: 60 epochs for the head beside 240 |
//! | `head_learning_rate` | 0.05 | > 0 | same; a tenth at half and at three quarters of the stage |
//! | `ce_weight` | 0.1 | ≥ 0 | same |
//! | `kd_weight` | 0.9 | ≥ 0 | same |
//! | `transfer_weight` | 2.7 | ≥ 0 | same |
//! | `similarity_weight` | 10 | ≥ 0 | same |
//! | `kd_temperature` | 4 | > 0 | same |
//! | `transfer_temperature` | 4 | > 0 | same |
//! | `similarity_temperature` | 0.5 | > 0 | same |
//! | `transfer_ratio` | 1 | 0 to 1 | same |
//! | `similarity_ratio` | 0.75 | 0 to 1 | same |
//!
//! ## Notes
//! The code crops each of the four views on its own; here one crop is turned, as in `hssakd`. Its
//! sort keeps equally ranked rows in no certain order; here the order is certain. The terms
//! `pretext_accuracy` show how often a turned row finds its image and weigh nothing. Cost: four
//! images for each one in teacher and student, so about four times the step of `kd`, and
//! 2·(d² + d) weights of a head on each network's feature of d numbers, thrown away.
//!
//! ## Reference
//! Xu, Liu, Li, Loy. "Knowledge Distillation Meets Self-Supervision". ECCV 2020.
//! <https://arxiv.org/abs/2006.07114>
//! Authors' code: <https://github.com/xuguodong03/SSKD> (661b972c124a, no licence file).

#[cfg(test)]
pub mod golden;
mod pretext;
mod selection;

use burn::tensor::{Int, Tensor};
use limbeck_nn::{
    Builder, Pass, Taps,
    layer::{Linear, relu},
};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, MethodError, Probe, Procedure, Progress, Questions, STUDENT, Scene, Stage, Term,
    criterion::{require_positive, require_share, require_teacher, require_weight},
    pairs::{find_map, vector_of},
    rotation::{TURNS, require_square, rotations},
    softmax::softened_kl,
};

use pretext::{pretext_accuracy, split};
pub use pretext::{pretext_loss, similarity};
pub use selection::Selection;
use selection::{kept_kl, select};

/// The tap that heads read.
const EMBEDDING: &str = "pooled";
/// The teacher's head in the cast.
const TEACHER_HEAD: &str = "teacher-head";
/// The student's head in the cast.
const STUDENT_HEAD: &str = "student-head";
/// Shares of the first stage at which its learning rate is divided by ten.
const HEAD_MILESTONES: [f64; 2] = [0.5, 0.75];

/// Settings of [`Sskd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SskdConfig {
    /// Epochs of the first stage as a share of the recipe's.
    pub head_share: f64,
    /// Learning rate at the beginning of the first stage.
    pub head_learning_rate: f64,
    /// Factor of the cross entropy with the labels.
    pub ce_weight: f64,
    /// Factor of the divergence on upright images.
    pub kd_weight: f64,
    /// Factor of the divergence on turned images.
    pub transfer_weight: f64,
    /// Factor of the divergence between similarities.
    pub similarity_weight: f64,
    /// Softens classes of upright images.
    pub kd_temperature: f64,
    /// Softens classes of turned images.
    pub transfer_temperature: f64,
    /// Softens similarities.
    pub similarity_temperature: f64,
    /// Share of the turned rows whose class the teacher gets wrong that is kept.
    pub transfer_ratio: f64,
    /// Share of the turned rows whose image the teacher gets wrong that is kept.
    pub similarity_ratio: f64,
}

impl Default for SskdConfig {
    fn default() -> Self {
        Self {
            head_share: 0.25,
            head_learning_rate: 0.05,
            ce_weight: 0.1,
            kd_weight: 0.9,
            transfer_weight: 2.7,
            similarity_weight: 10.0,
            kd_temperature: 4.0,
            transfer_temperature: 4.0,
            similarity_temperature: 0.5,
            transfer_ratio: 1.0,
            similarity_ratio: 0.75,
        }
    }
}

/// Classes and similarities of turned images.
#[derive(Clone, Debug)]
pub struct Sskd {
    config: SskdConfig,
    teacher_head: ProjectionHead,
    student_head: ProjectionHead,
}

/// Linear, ReLU, linear: names `proj_head.{0,2}`.
#[derive(Clone, Debug)]
pub struct ProjectionHead {
    layers: [Linear; 2],
}

impl ProjectionHead {
    /// For features of `width` numbers.
    pub fn new(builder: &mut Builder<'_>, width: usize) -> Self {
        Self {
            layers: ["proj_head.0", "proj_head.2"]
                .map(|name| Linear::new(builder.sub(name), width, width)),
        }
    }

    /// `[R, d]` → `[R, d]`.
    pub fn forward(&self, pass: &mut Pass<'_>, feature: Tensor<2>) -> Tensor<2> {
        let hidden = relu(self.layers[0].forward(pass, feature));
        self.layers[1].forward(pass, hidden)
    }
}

/// One side's predictions of the 4·B rows of a batch.
#[derive(Clone, Debug)]
pub struct RotatedRows {
    /// `[4·B, K]`.
    pub logits: Tensor<2>,
    /// Outputs of the head, `[4·B, d]`.
    pub projection: Tensor<2>,
}

impl RotatedRows {
    /// Logits of the upright rows, `[B, K]`.
    pub fn upright(&self) -> Tensor<2> {
        split(self.logits.clone()).0
    }
}

/// What the second stage's terms are made from, beside the supervised loss.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct SskdTerms {
    /// Of classes.
    pub transfer: Selection,
    /// Of similarities.
    pub similarity: Selection,
    /// `kd`, `transfer` and `similarity`.
    pub terms: Vec<Term>,
}

impl Sskd {
    const ID: &'static str = "sskd";

    /// Adds both heads to the cast.
    ///
    /// # Errors
    /// A setting out of range, no teacher, a network without the tap `pooled`, images that are
    /// not square, or steps of a single image.
    pub fn new(config: SskdConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        let teacher = require_teacher(Self::ID, probe)?;
        for (key, value) in [
            ("head_share", config.head_share),
            ("head_learning_rate", config.head_learning_rate),
            ("kd_temperature", config.kd_temperature),
            ("transfer_temperature", config.transfer_temperature),
            ("similarity_temperature", config.similarity_temperature),
        ] {
            require_positive(Self::ID, key, value)?;
        }
        for (key, value) in [
            ("ce_weight", config.ce_weight),
            ("kd_weight", config.kd_weight),
            ("transfer_weight", config.transfer_weight),
            ("similarity_weight", config.similarity_weight),
        ] {
            require_weight(Self::ID, key, value)?;
        }
        require_share(Self::ID, "transfer_ratio", config.transfer_ratio)?;
        require_share(Self::ID, "similarity_ratio", config.similarity_ratio)?;
        let input = cast.network(STUDENT)?.input();
        require_square(Self::ID, input.height, input.width)?;
        if probe.batch < 2 {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: "one image a step cannot be mistaken for another; set data.batch to 2 or \
                         more"
                    .to_owned(),
            });
        }
        let mut head = |name: &str, side, taps, seed| {
            let (_, [width, ..]) = find_map(Self::ID, side, taps, EMBEDDING)?;
            cast.add_modules(name, seed, |builder| {
                Ok(ProjectionHead::new(builder, width))
            })
        };
        Ok(Self {
            teacher_head: head(TEACHER_HEAD, "teacher", teacher, probe.seed)?,
            student_head: head(STUDENT_HEAD, "student", &probe.student, probe.seed)?,
            config,
        })
    }

    /// Terms of the second stage, beside the supervised loss, for a batch with `labels` `[B]`.
    /// The teacher's side is detached.
    ///
    /// # Errors
    /// Numbers of rows or classes that do not fit each other.
    pub fn student_terms(
        &self,
        student: &RotatedRows,
        teacher: &RotatedRows,
        labels: &Tensor<1, Int>,
    ) -> Result<SskdTerms, MethodError> {
        let [images] = labels.dims();
        let [rows, classes] = student.logits.dims();
        let found = teacher.logits.dims();
        if rows != TURNS * images || found != [rows, classes] {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "{images} labels need {} rows of logits of both sides with the same classes; \
                     found {rows}×{classes} and {}×{}",
                    TURNS * images,
                    found[0],
                    found[1]
                ),
            });
        }
        let config = &self.config;
        let (student_upright, student_turned) = split(student.logits.clone());
        let (teacher_upright, teacher_turned) = split(teacher.logits.clone().inner());
        let student_similarity = similarity(student.projection.clone());
        let teacher_similarity = similarity(teacher.projection.clone().inner());

        let labels: Vec<usize> = labels.to_data().iter::<i64>().map(|y| y as usize).collect();
        let label_of = |row: usize| labels[row / (TURNS - 1)];
        let image_of = |row: usize| row / (TURNS - 1);
        let transfer = select(&teacher_turned, label_of, config.transfer_ratio);
        let similar = select(&teacher_similarity, image_of, config.similarity_ratio);
        let kd = softened_kl(student_upright, teacher_upright, config.kd_temperature);
        let terms = vec![
            Term::new("kd", kd, config.kd_weight),
            Term::new(
                "transfer",
                kept_kl(
                    student_turned,
                    teacher_turned,
                    &transfer.kept,
                    config.transfer_temperature,
                ),
                config.transfer_weight,
            ),
            Term::new(
                "similarity",
                kept_kl(
                    student_similarity,
                    teacher_similarity,
                    &similar.kept,
                    config.similarity_temperature,
                ),
                config.similarity_weight,
            ),
        ];
        Ok(SskdTerms {
            transfer,
            similarity: similar,
            terms,
        })
    }

    fn teacher_rows(
        &self,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
    ) -> Result<RotatedRows, MethodError> {
        let taps = Taps::from_iter([EMBEDDING]);
        let outputs = scene.teacher(Self::ID, images, &taps)?;
        let feature = vector_of(Self::ID, "teacher", &outputs, EMBEDDING)?.inner();
        let head = &self.teacher_head;
        let projection = scene.modules(TEACHER_HEAD, |pass| head.forward(pass, feature))?;
        Ok(RotatedRows {
            logits: outputs.logits(),
            projection,
        })
    }

    fn student_rows(
        &self,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
    ) -> Result<RotatedRows, MethodError> {
        let taps = Taps::from_iter([EMBEDDING]);
        let outputs = scene.train(STUDENT, images, &taps)?;
        let feature = vector_of(Self::ID, "student", &outputs, EMBEDDING)?;
        let head = &self.student_head;
        let projection = scene.modules(STUDENT_HEAD, |pass| head.forward(pass, feature))?;
        Ok(RotatedRows {
            logits: outputs.logits(),
            projection,
        })
    }
}

impl Procedure for Sskd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let head_epochs = (self.config.head_share * epochs as f64).round() as usize;
        vec![
            Stage::new(
                "head",
                head_epochs.max(1),
                vec![Act::training([TEACHER_HEAD])],
            ),
            Stage::new(
                "student",
                epochs,
                vec![Act::training([STUDENT, STUDENT_HEAD])],
            ),
        ]
    }

    fn learning_rate(&self, stage: usize, _act: usize, progress: Progress, recipe: f64) -> f64 {
        if stage > 0 {
            return recipe;
        }
        let done = progress.epoch as f64 / progress.epochs as f64;
        let reached = HEAD_MILESTONES.iter().filter(|&&at| done >= at).count();
        self.config.head_learning_rate * 0.1_f64.powi(reached as i32)
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let images = rotations(batch.images.clone());
        let teacher = self.teacher_rows(scene, images.clone())?;
        if stage == 0 {
            let similarity = similarity(teacher.projection);
            let accuracy = pretext_accuracy(&similarity);
            return Ok(vec![
                Term::new("pretext", pretext_loss(similarity), 1.0),
                Term::new("pretext_accuracy", accuracy, 0.0),
            ]);
        }
        let student = self.student_rows(scene, images)?;
        let task = scene.task(student.upright())?;
        let mut terms = vec![Term::new("task", task, self.config.ce_weight)];
        terms.extend(
            self.student_terms(&student, &teacher, batch.target.classes(Self::ID)?.0)?
                .terms,
        );
        let accuracy = pretext_accuracy(&similarity(student.projection));
        terms.push(Term::new("pretext_accuracy", accuracy, 0.0));
        Ok(terms)
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: Taps::from_iter([EMBEDDING]),
            logits: true,
            beyond: Some("rotated images"),
        }
    }
}

#[cfg(test)]
mod tests;
