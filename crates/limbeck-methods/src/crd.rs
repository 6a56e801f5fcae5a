//! # crd — Contrastive Representation Distillation
//!
//! Student and teacher embeddings of one image should be recognisable as a pair among those of
//! thousands of other images, which are kept in a memory.
//!
//! ## Definition
//! L = CE(z, y) + weight · (NCE(s, V_t) + NCE(t, V_s))
//!
//! s, t: unit vectors of `embed_s(f_s)` and `embed_t(f_t)`, linear maps to `dimensions` numbers;
//! f_s: student embedding, f_t: teacher embedding (detached). V_s, V_t: one remembered vector of
//! each side for each of the N training images (detached). For each image of the batch the picks
//! are its own row and K = `negatives` others, and with o_k = exp(⟨V_k, a⟩/τ)/Z, τ =
//! `temperature`, c = K/N, ε = 1e-7:
//! NCE(a, V) = −1/B Σ_b (log(o_b0/(o_b0 + c + ε)) + Σ_k≥1 log(c/(o_bk + c + ε))).
//! Z is N times the mean of exp(⟨V_k, a⟩/τ) over the first batch's picks, of each side on its own,
//! and stays. After each step the rows of the batch become unit vectors of m·row + (1 − m)·a, m =
//! `momentum`, with a = s for V_s and t for V_t; of an image that comes twice the last one counts.
//!
//! ## Inputs and shapes
//! Embeddings `[B, D_s]` and `[B, D_t]`: by default `pooled` of both networks. Of a named pair of
//! maps or tokens, the mean over positions or patches is taken.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 0.8 | ≥ 0 | authors' code |
//! | `negatives` | 16384 | ≥ 1 | same |
//! | `dimensions` | 128 | ≥ 1 | same; ImageNet 512 |
//! | `temperature` | 0.07 | > 0 | same |
//! | `momentum` | 0.5 | 0 to 1 | same |
//! | `positive` | `own` | or `same_class` | same (`exact`, `relax`): the first pick is the image itself or a random one of its class |
//! | `others` | `other_classes` | or `all` | same; `all` reads no labels, for images without |
//!
//! ## Notes
//! As in the authors' code, negatives are drawn without replacement unless there are fewer images
//! than `negatives`. The same step draws the same. The paper's "CRD+KD" is
//! `kd+crd` with `kd_weight` 1. The memory takes 2·N·`dimensions` numbers, 51 MB for CIFAR, and
//! goes into checkpoints. The gathered vectors of the picks are never made: blocks of images are
//! multiplied with all rows.
//! `weight` is that of 240 epochs of 50,000 images. In 620 steps on 2,000 images (`docs/study/few-labels`) the
//! term is 95 % of the loss to the end, the student fits less than on labels alone (79.7 % of training images
//! right, 83.1 without it) and loses three points; with a tenth of the weight it loses none (79.9 and 80.4 with
//! two seeds, 77.6 and 77.1 with the default, 80.6 and 80.2 without the method).
//! Cost: `dimensions`·(D_s + D_t + 2) weights, 4·B·N·`dimensions`
//! multiply-accumulates.
//!
//! ## Reference
//! Tian, Krishnan, Isola. "Contrastive Representation Distillation". ICLR 2020.
//! <https://arxiv.org/abs/1910.10699>
//! Authors' code: <https://github.com/HobbitLong/RepDistiller> (b84f547c5db6, BSD-2).

#[cfg(test)]
pub mod golden;

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::Stream;
use limbeck_nn::{Builder, Pass, Taps, layer::Linear};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, State, Step, Term,
    criterion::{require_at_least, require_positive, require_share, require_weight},
    memory_bank::{Contrast, MemoryBank},
    negatives::ByClass,
    pairs::{Pair, embeddings, resolve_pair, vector_of},
};

/// Added to the denominators, as in the authors' code.
const EPSILON: f64 = 1e-7;

/// Which image is an image's partner among its picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positive {
    /// The image itself.
    #[default]
    Own,
    /// A random image of its class.
    SameClass,
}

/// Which images an image is told apart from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// Those of other classes.
    #[default]
    OtherClasses,
    /// All of them.
    All,
}

/// Settings of [`Crd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrdConfig {
    /// Factor of the contrasts.
    pub weight: f64,
    /// Negatives of each image.
    pub negatives: usize,
    /// Width of the compared vectors.
    pub dimensions: usize,
    /// Products are divided by it.
    pub temperature: f64,
    /// Share of the old row in the new one.
    pub momentum: f64,
    /// The first pick.
    pub positive: Positive,
    /// The other picks.
    pub others: Others,
}

impl CrdConfig {
    /// Whether images are drawn by their class.
    pub(crate) fn reads_labels(&self) -> bool {
        self.others == Others::OtherClasses || self.positive == Positive::SameClass
    }
}

impl Default for CrdConfig {
    fn default() -> Self {
        Self {
            weight: 0.8,
            negatives: 16384,
            dimensions: 128,
            temperature: 0.07,
            momentum: 0.5,
            positive: Positive::Own,
            others: Others::OtherClasses,
        }
    }
}

/// Contrast with remembered embeddings.
#[derive(Debug)]
pub struct Crd {
    config: CrdConfig,
    pair: Pair,
    embed_student: Linear,
    embed_teacher: Linear,
    student_bank: MemoryBank,
    teacher_bank: MemoryBank,
    images: ByClass,
}

/// Unit vectors of a batch, `[B, dimensions]`.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Gradients flow into student and `embed_s`.
    pub student: Tensor<2>,
    /// Gradients flow into `embed_t`.
    pub teacher: Tensor<2>,
}

impl Crd {
    const ID: &'static str = "crd";
    /// Names of the rows in checkpoints: the authors'.
    const ROWS: [&'static str; 2] = ["contrast.memory_v1", "contrast.memory_v2"];
    /// Names of ln Z; the rows of the other side are scored with it, as in the authors' code.
    const NORMALISERS: [&'static str; 2] = ["contrast.log_z_v2", "contrast.log_z_v1"];

    /// Makes `embed_s.linear`, `embed_t.linear` and the memory.
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there, or no training images.
    pub fn new(
        config: CrdConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_at_least(Self::ID, "negatives", config.negatives, 1)?;
        require_at_least(Self::ID, "dimensions", config.dimensions, 1)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_share(Self::ID, "momentum", config.momentum)?;
        let pair = resolve_pair(Self::ID, probe, embeddings)?;
        let images = match config.reads_labels() {
            true => ByClass::new(probe.training.labels(Self::ID)?),
            false => ByClass::unlabelled(probe.training.images),
        };
        let refuse = |reason: &str| {
            Err(MethodError::Batch {
                method: Self::ID,
                reason: reason.to_owned(),
            })
        };
        if images.len() == 0 {
            return refuse("there are no training images to remember");
        }
        if config.others == Others::OtherClasses && !images.has_others(0) {
            return refuse(
                "all training images are of one class, so there are no negatives; set `others` \
                 to \"all\" in [method.crd]",
            );
        }
        let width = config.dimensions;
        let like = Tensor::zeros([1], (&probe.device, probe.dtype));
        let bank = |name| MemoryBank::drawn(name, probe.seed, &like, images.len(), width);
        let [student_bank, teacher_bank] = Self::ROWS.map(bank);
        Ok(Self {
            embed_student: Linear::new(builder.sub("embed_s.linear"), pair.student_shape[0], width),
            embed_teacher: Linear::new(builder.sub("embed_t.linear"), pair.teacher_shape[0], width),
            config,
            pair,
            student_bank,
            teacher_bank,
            images,
        })
    }

    /// Brings embeddings `[B, D_s]` and `[B, D_t]` to unit vectors.
    ///
    /// # Errors
    /// A vector of zeros, which has no direction.
    pub fn embed(
        &self,
        pass: &mut Pass<'_>,
        student: Tensor<2>,
        teacher: Tensor<2>,
    ) -> Result<Embedded, MethodError> {
        Ok(Embedded {
            student: unit("student", self.embed_student.forward(pass, student))?,
            teacher: unit("teacher", self.embed_teacher.forward(pass, teacher))?,
        })
    }

    /// The images that each one of the batch is compared with, first its partner:
    /// `[B, 1 + negatives]`, drawn from `seed`.
    ///
    /// # Errors
    /// A position outside of the training part.
    pub fn pick(&mut self, positions: &[usize], seed: u64) -> Result<Tensor<2, Int>, MethodError> {
        self.check_positions(positions)?;
        let columns = 1 + self.config.negatives;
        let mut picks = Vec::with_capacity(positions.len() * columns);
        let mut random = Stream::of_seed(seed);
        for &position in positions {
            let partner = match self.config.positive {
                Positive::Own => position,
                Positive::SameClass => {
                    let class = self.images.of_the_same(position);
                    class[random.below(class.len())] as usize
                }
            };
            picks.push(partner as i64);
            let apart_from = (self.config.others == Others::OtherClasses).then_some(position);
            self.images
                .draw(apart_from, self.config.negatives, &mut random, &mut picks);
        }
        Ok(Tensor::from_data(
            TensorData::new(picks, [positions.len(), columns]),
            &self.student_bank.rows.device(),
        ))
    }

    /// NCE(s, V_t) + NCE(t, V_s), `[1]`; sets both Z if they are not set.
    ///
    /// # Errors
    /// Picks that are not `[B, 1 + negatives]`.
    pub fn contrast(
        &mut self,
        embedded: &Embedded,
        picks: &Tensor<2, Int>,
    ) -> Result<Tensor<1>, MethodError> {
        let expected = [embedded.student.dims()[0], 1 + self.config.negatives];
        if picks.dims() != expected {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!("the picks are {:?}, expected {expected:?}", picks.dims()),
            });
        }
        let temperature = self.config.temperature;
        let constants = Contrast {
            temperature,
            epsilon: EPSILON,
        };
        self.teacher_bank
            .set_normaliser(&embedded.student, picks, temperature);
        self.student_bank
            .set_normaliser(&embedded.teacher, picks, temperature);
        let student = self
            .teacher_bank
            .contrast(embedded.student.clone(), picks, constants);
        let teacher = self
            .student_bank
            .contrast(embedded.teacher.clone(), picks, constants);
        Ok(student + teacher)
    }

    /// The scores o of the student's and of the teacher's vectors, `[B, 1 + negatives]` each.
    #[cfg(test)]
    pub fn scores(&self, embedded: &Embedded, picks: &Tensor<2, Int>) -> [Tensor<2>; 2] {
        let temperature = self.config.temperature;
        [
            self.teacher_bank
                .scores(&embedded.student, picks, temperature),
            self.student_bank
                .scores(&embedded.teacher, picks, temperature),
        ]
    }

    /// Moves the rows of the batch towards its vectors.
    ///
    /// # Errors
    /// A position outside of the training part.
    pub fn remember(
        &mut self,
        embedded: &Embedded,
        positions: &[usize],
    ) -> Result<(), MethodError> {
        self.check_positions(positions)?;
        let momentum = self.config.momentum;
        self.student_bank
            .remember(positions, embedded.student.clone(), momentum);
        self.teacher_bank
            .remember(positions, embedded.teacher.clone(), momentum);
        Ok(())
    }

    fn check_positions(&self, positions: &[usize]) -> Result<(), MethodError> {
        let count = self.images.len();
        match positions.iter().find(|&&position| position >= count) {
            Some(position) => Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "the batch has the image at position {position}, but the memory was made for \
                     {count} training images"
                ),
            }),
            None => Ok(()),
        }
    }

    fn banks(&mut self) -> [&mut MemoryBank; 2] {
        [&mut self.student_bank, &mut self.teacher_bank]
    }
}

/// Vectors over their lengths, `[B, D]`.
fn unit(side: &str, x: Tensor<2>) -> Result<Tensor<2>, MethodError> {
    let lengths = x.clone().square().sum_dim(1).sqrt();
    let shortest: f64 = lengths.clone().inner().min().into_scalar();
    if shortest == 0.0 {
        return Err(MethodError::Batch {
            method: Crd::ID,
            reason: format!(
                "an embedding of the {side} is zero and has no direction; a smaller learning rate \
                 may help"
            ),
        });
    }
    Ok(x / lengths)
}

impl Criterion for Crd {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter([&self.pair.student.name]),
            teacher: Taps::from_iter([&self.pair.teacher.name]),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let teacher = step.teacher(Self::ID)?;
        let teacher = vector_of(Self::ID, "teacher", &teacher, &self.pair.teacher.name)?;
        let student = vector_of(Self::ID, "student", step.student, &self.pair.student.name)?;
        let picks = self.pick(step.indices, pass.next_seed())?;
        let embedded = self.embed(pass, student, teacher)?;
        let value = self.contrast(&embedded, &picks)?;
        self.remember(&embedded, step.indices)?;
        Ok(vec![Term::new("crd", value, self.config.weight)])
    }

    fn state(&self) -> State {
        let mut state = State::new();
        let banks = [&self.student_bank, &self.teacher_bank];
        for (bank, (rows, normaliser)) in banks.into_iter().zip(names()) {
            let [count, width] = bank.rows.dims();
            let flat = bank.rows.clone().reshape([count * width]);
            state.insert(rows.to_owned(), (vec![count, width], flat));
            if let Some(value) = &bank.log_normaliser {
                state.insert(normaliser.to_owned(), (vec![1], value.clone()));
            }
        }
        state
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let refuse = |reason: String| {
            Err(MethodError::State {
                method: Self::ID,
                reason,
            })
        };
        for (bank, (rows, normaliser)) in self.banks().into_iter().zip(names()) {
            let expected = bank.rows.dims();
            let Some((shape, flat)) = state.remove(rows) else {
                return refuse(format!("the memory `{rows}` is missing"));
            };
            if shape != expected {
                return refuse(format!("`{rows}` is {shape:?}, expected {expected:?}"));
            }
            bank.rows = flat.reshape(expected);
            bank.log_normaliser = state.remove(normaliser).map(|(_, value)| value);
        }
        match state.keys().next() {
            Some(name) => refuse(format!("it has no place for `{name}`")),
            None => Ok(()),
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.pair.names()]
    }
}

/// Names in checkpoints of rows and ln Z: of the student's bank, of the teacher's.
fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    Crd::ROWS.into_iter().zip(Crd::NORMALISERS)
}

#[cfg(test)]
mod tests;
